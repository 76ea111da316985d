"""What is written about the tool agrees with the tool."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from codemods.rules import index
from codemods.rules.registry import SECTIONS, RegistryError, all_rules, find, page, validate
from tests.conftest import Loopmend, forget_rules

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import new_rule  # noqa: E402

import docs  # noqa: E402


def test_the_pages_in_docs_are_fresh() -> None:
    wanted = docs.pages(ROOT / "fixtures")
    committed = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "rules").glob("*.md")}
    assert sorted(committed) == sorted(wanted), "run `make docs`"
    assert committed == wanted, "run `make docs`"


def test_the_diffs_in_the_readme_are_what_the_tool_does() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert docs.readme(text) == text, "run `make docs`"
    for code in ("LM101", "LM201", "LM301", "LM401"):
        assert f"[{code}](docs/rules/{code}.md)" in text


@pytest.mark.parametrize("rule", all_rules(), ids=lambda rule: rule.code)
def test_every_section_of_a_page_says_something(rule: object) -> None:
    text = page(rule)  # type: ignore[arg-type]
    assert text.summary
    assert [title for title in SECTIONS if not text.sections.get(title)] == []


def test_rules_lists_what_explain_explains(loopmend: Loopmend) -> None:
    listed = loopmend("rules").out.splitlines()
    assert [line.split()[0] for line in listed] == [rule.code for rule in all_rules()]
    for rule in all_rules():
        by_code, by_name = loopmend("explain", rule.code.lower()), loopmend("explain", rule.name)
        assert by_code.out == by_name.out
        assert all(f"\n{title}\n" in by_code.out for title in SECTIONS)


def test_explaining_what_does_not_exist_suggests_something(loopmend: Loopmend) -> None:
    result = loopmend("explain", "unparsible")
    assert result.code == 2
    assert "did you mean 'unparsable'?" in result.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"code": "LM902"}, "the file of LM902 old-call has another name"),
        ({"name": "Old_Call"}, "'Old_Call' is not a name"),
        ({"name": "new-call"}, "the file of LM901 new-call has another name"),
        ({"__doc__": "No page.\n\nWhat it finds\n"}, "the page of LM901 lacks Why it breaks"),
    ],
)
def test_a_rule_that_breaks_the_conventions_is_named(
    rules_for_tests: None, change: dict[str, str], message: str
) -> None:
    rule = find("LM901")
    broken = type("Broken", (type(rule),), {"__doc__": type(rule).__doc__, **change})
    with pytest.raises(RegistryError, match=message):
        validate(broken, index.Entry("LM901", "old-call", "lm901_old_call", (), ()))


def test_the_readme_names_every_verb_and_every_file_it_speaks_of() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for verb in ("check", "diff", "apply", "explain", "rules", "pr"):
        assert f"loopmend {verb}" in readme
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", readme):
        assert (ROOT / target).exists(), target
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`make ([a-z-]+)", readme):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_a_new_rule_is_valid_from_the_start(
    rules_for_tests: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loopmend: Loopmend, project: Path
) -> None:
    (tmp_path / "codemods" / "rules").mkdir(parents=True)
    (tmp_path / "codemods" / "rules" / "lm601_other.py").touch()
    shutil.copy(ROOT / new_rule.INDEX, tmp_path / new_rule.INDEX)
    monkeypatch.setattr(new_rule, "ROOT", tmp_path)
    assert new_rule.main(["finds-nothing-yet", "--family", "6"]) == 0
    rule = tmp_path / "codemods" / "rules" / "lm602_finds_nothing_yet.py"
    case = tmp_path / "fixtures" / "finds-nothing-yet" / "finds-the-bug"
    assert sorted(path.name for path in case.iterdir()) == ["before.py", "case.toml"]

    from codemods import rules

    written = (tmp_path / new_rule.INDEX).read_text(encoding="utf-8")
    assert (
        written.index('"LM402": _LOOP')
        < written.index('"LM602": ((b"asyncio.replace_me(",),),')
        < written.index("CONTEXT")
    )

    rules.__path__.append(str(rule.parent))
    monkeypatch.setitem(index.NEEDLES, "LM602", ((b"asyncio.replace_me(",),))
    forget_rules()
    rule.parent.joinpath("lm601_other.py").unlink()
    (project / "a.py").write_bytes((case / "before.py").read_bytes())
    assert loopmend("check", "--select", "LM602").out.startswith("a.py:4:1: LM602 ")
    with pytest.raises(SystemExit):
        new_rule.main(["finds-nothing-yet"])


def test_codes_are_given_in_order() -> None:
    assert new_rule.next_code("6", []) == "LM601"
    assert new_rule.next_code("6", ["lm601_a", "lm603_b", "lm101_c"]) == "LM602"
