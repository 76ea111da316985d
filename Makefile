# Everything here works on a fresh machine with Python 3.11 or newer, git and make.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
REPO ?= examples/service
FAMILY ?= 6

.DEFAULT_GOAL := help
.PHONY: help diff test test-matrix lint fmt accept new-rule docs bench ecosystem setup-servers clean

help:  ## Show these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1  \2/p' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "loopmend needs Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' >&2
	@touch $@

diff: $(STAMP)  ## What loopmend would change, unsafe fixes marked as such (REPO=path, default: the example service)
	@cd "$(REPO)" && "$(CURDIR)/$(BIN)/loopmend" diff --no-cache --unsafe-fixes $(ARGS) || test $$? -eq 1

test: $(STAMP)  ## Run all tests (ARGS="-k name" for some)
	@$(BIN)/python -X dev -m pytest -n auto -m "not slow" $(ARGS)

test-matrix: $(STAMP)  ## The suites of the fixtures under all kinds of pytest-asyncio, in environments of their own
	@$(BIN)/python -X dev -m pytest -n auto tests/test_project_matrix.py tests/test_project_fixtures.py $(ARGS)

lint: $(STAMP)  ## ruff, mypy --strict, and the direction of the imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

fmt: $(STAMP)  ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

accept: $(STAMP)  ## Write what the rules do now into the fixtures; review it with git diff
	@$(BIN)/python -m pytest -q -p no:xdist tests/test_fixtures.py tests/test_notebook_fixtures.py --accept $(ARGS)
	@$(BIN)/python scripts/docs.py
	@git --no-pager diff --stat -- fixtures docs

new-rule: $(STAMP)  ## Start a rule: NAME=some-name (FAMILY=6 for a code LM6xx)
	@test -n "$(NAME)" || { echo "make new-rule NAME=some-name" >&2; exit 2; }
	@$(BIN)/python scripts/new_rule.py "$(NAME)" --family "$(FAMILY)"

docs: $(STAMP)  ## Write docs/rules from the pages of the rules and their fixtures
	@$(BIN)/python scripts/docs.py

bench: $(STAMP)  ## CPU time beside ruff's: TREES="path ..." (see scripts/bench.py)
	@$(BIN)/python scripts/bench.py $(TREES)

ecosystem: $(STAMP)  ## Write docs/ecosystem.md from unpacked source distributions: TREES="path ..."
	@$(BIN)/python scripts/ecosystem.py $(TREES) > docs/ecosystem.md

setup-servers:  ## Install redis-server and postgresql for the tests that want them (Debian, root)
	@scripts/setup-servers

clean:  ## Remove the virtual environment and all caches
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
