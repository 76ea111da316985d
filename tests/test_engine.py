"""The parts of the engine that the command line shows only in passing."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from codemods.engine import workers
from codemods.engine.cache import Cache
from codemods.engine.examine import Examined, Task
from codemods.engine.prefilter import Prefilter
from codemods.engine.results import Verb
from codemods.engine.run import Request, run
from codemods.engine.select import chosen
from codemods.engine.settings import Settings, SettingsError
from codemods.needles import Imported, Pattern
from codemods.rules.index import Entry, Needles
from codemods.rules.registry import all_rules
from codemods.source import Source
from tests.conftest import Loopmend


def fake(code: str, name: str, needles: Needles = ()) -> Entry:
    """A rule with needles and nothing else."""
    return Entry(code, name, "", needles, ())


RULES = [fake("LM101", "one-run"), fake("LM102", "two-runs"), fake("LM201", "one-session")]


@pytest.mark.parametrize(
    ("select", "ignore", "expected"),
    [
        (["ALL"], [], ["LM101", "LM102", "LM201"]),
        (["LM1"], [], ["LM101", "LM102"]),
        (["lm1", "one-session"], ["LM101"], ["LM102", "LM201"]),
        (["LM101"], ["LM1"], ["LM101"]),
        (["ALL"], ["LM1"], ["LM201"]),
        (["LM1"], ["LM1"], []),
        ([], [], []),
    ],
)
def test_the_longer_selector_wins(select: list[str], ignore: list[str], expected: list[str]) -> None:
    settings = Settings(select=tuple(select), ignore=tuple(ignore))
    assert [rule.code for rule in chosen(RULES, settings)] == expected


@pytest.mark.parametrize("selector", ["LM9", "L", "", "runs", "LM1011"])
def test_a_selector_that_fits_no_rule_is_an_error(selector: str) -> None:
    with pytest.raises(SettingsError):
        chosen(RULES, Settings(ignore=(selector,)))


def test_a_file_is_parsed_when_one_group_of_needles_is_there() -> None:
    prefilter = Prefilter([(), ((b"a", b"b"), (b"c",))])
    assert prefilter.numbers(b"a b") == prefilter.numbers(b"c") == {1}
    assert prefilter.numbers(b"a") == prefilter.numbers(b"b") == prefilter.numbers(b"") == set()


def test_a_pattern_decides_where_its_plain_needles_are() -> None:
    prefilter = Prefilter([((b"loop=", Pattern(rb"sleep\([^()]*loop=")),)])
    assert prefilter.numbers(b"sleep(1, loop=loop)") == {0}
    assert prefilter.numbers(b"sleep(1); run(loop=loop)") == set()


def test_of_needles_that_contain_one_another_each_is_found() -> None:
    prefilter = Prefilter([((b"asyncio.run(",),), ((b"asyncio", b"run"),), ((b"run(", b"io.r"),)])
    assert prefilter.numbers(b"asyncio.run(main())") == {0, 1, 2}
    assert prefilter.numbers(b"asyncio; run") == {1}


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("import redis\n", True),
        ("import os, redis\n", True),
        ("import os\nfrom redis.asyncio import Redis\n", True),
        ("import os\r\n    import redis as r\r\n", True),
        ("import os,redis\n", True),
        ("import\tredis\n", True),
        ("from .redis import Redis\n", False),
        ("import redistribute\n", False),
        ("print('redis')\n", False),
    ],
)
def test_a_needle_may_have_to_be_imported(text: str, there: bool) -> None:
    prefilter = Prefilter([((Imported(b"redis"), b"\n"),)])
    assert prefilter.numbers(text.encode()) == ({0} if there else set())


def age(path: Path) -> None:
    """Make a file look as if it had not been touched for a while."""
    then = time.time_ns() - 60 * 10**9
    os.utime(path, ns=(then, then))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that a run reads."""
    from codemods.engine import run as module

    names: list[str] = []
    real = module._read
    monkeypatch.setattr(module, "_read", lambda path: names.append(os.path.basename(path)) or real(path))
    return names


def test_the_cache_remembers_silence_only(loopmend: Loopmend, project: Path, reads: list[str]) -> None:
    for name, text in {"silent": "print()\n", "loud": "old_safe()\n", "parsed": "old_nothing()\n"}.items():
        (project / f"{name}.py").write_text(text)
        age(project / f"{name}.py")
    first = loopmend("check")
    assert sorted(reads) == ["loud.py", "parsed.py", "silent.py"]
    reads.clear()
    assert loopmend("check") == first
    assert reads == ["loud.py"]


def test_the_cache_forgets_what_changed_and_what_is_asked_otherwise(
    loopmend: Loopmend, project: Path, reads: list[str]
) -> None:
    (project / "a.py").write_text("print()\n")
    age(project / "a.py")
    loopmend("check")
    for arguments in (["--no-cache"], ["--ignore", "LM9"], ["--isolated", "--unsafe-fixes"]):
        reads.clear()
        loopmend("check", *arguments)
        assert reads == ["a.py"], arguments
    reads.clear()
    (project / "a.py").write_text("old_safe()\n")
    assert loopmend("check").code == 1


def test_a_file_that_has_just_changed_is_not_remembered(loopmend: Loopmend, project: Path, reads: list[str]) -> None:
    (project / "a.py").write_text("print()\n")
    loopmend("check")
    loopmend("check")
    assert reads == ["a.py", "a.py"]


def test_what_a_project_rule_wants_is_not_remembered(loopmend: Loopmend, project: Path) -> None:
    (project / "conftest.py").write_text("pair_is_old()\n")
    (project / "test_a.py").write_text("pair_old()\n")
    age(project / "conftest.py")
    age(project / "test_a.py")
    assert loopmend("check").out == loopmend("check").out != ""


def test_a_broken_cache_is_no_cache(loopmend: Loopmend, project: Path, tmp_path: Path) -> None:
    (project / "a.py").write_text("print()\n")
    age(project / "a.py")
    loopmend("check")
    (file,) = (tmp_path / "cache").iterdir()
    for text in ("", "[]", "{", '{"a": 1}'):
        file.write_text(text)
        assert loopmend("check").code == 0


def test_a_cache_that_cannot_be_written_is_no_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "file").touch()
    monkeypatch.setenv("LOOPMEND_CACHE_DIR", str(project / "file"))
    age(project / "file")
    cache = Cache.for_settings(Settings(root=project))
    cache.remember("/a.py", (project / "file").stat())
    cache.save()


_examine = workers._examine


def _die_at_kill(sources: list[Source]) -> list[Examined]:
    if any(b"kill" in source.data for source in sources):
        os._exit(1)
    return _examine(sources)


def test_a_worker_that_dies_loses_one_file(
    rules_for_tests: None, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_examine", _die_at_kill)
    sources = [Source(f"{n}.py", b"old_safe()  # kill\n" if n == 3 else b"old_safe()\n") for n in range(10)]
    results = list(workers.examine_in_pool(sources, Task(Settings(root=project), project), 2))
    assert sorted(result.path for result in results) == [f"{n}.py" for n in range(10)]
    (lost,) = [result for result in results if result.problems]
    assert lost.path == "3.py"
    assert all(len(result.found) == 1 for result in results if result is not lost)


def test_the_report_of_a_run_can_be_used_without_the_command_line(rules_for_tests: None, project: Path) -> None:
    (project / "a.py").write_text("old_safe()\n")
    report = run(Request(Verb.DIFF, ["."], Settings(root=project), project, cache=False))
    assert [entry.status for entry in report.entries] == ["fixed"]
    assert report.changes["a.py"].after.data == b"new_safe()\n"
    assert report.exit_code == 1
    assert {"LM000", "LM001"} <= {rule.code for rule in all_rules()}


def test_rules_know_the_target_version(rules_for_tests: None, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from codemods.facts import module as facts

    targets: list[tuple[int, int]] = []

    class Spy(facts.Module):
        def __init__(self, source: Source, target: tuple[int, int], *others: Any) -> None:
            targets.append(target)
            super().__init__(source, target, *others)

    monkeypatch.setattr(facts, "Module", Spy)
    (project / "a.py").write_text("old_safe()\n")
    run(Request(Verb.CHECK, ["."], Settings(root=project, target_version=(3, 9)), project, cache=False))
    assert targets == [(3, 9)]
