#!/usr/bin/env bash
# loopmend, out of the commit that the workflow pinned, into an environment of its own.
set -euo pipefail

case "$MODE" in
report | collect | comment | pull-requests) ;;
*)
  echo "::error::mode is report, collect, comment or pull-requests"
  exit 1
  ;;
esac

if [ ! -x "$RUNNER_TEMP/loopmend/bin/loopmend" ]; then
  python3 -m venv "$RUNNER_TEMP/loopmend"
  "$RUNNER_TEMP/loopmend/bin/python" -m pip install --quiet --disable-pip-version-check "$GITHUB_ACTION_PATH[bot]"
fi
