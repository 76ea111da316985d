"""Notebooks as files: found, read, reported, patched and written like any other, and never laid out anew."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codemods.notebooks.cells import join, split
from codemods.notebooks.document import Notebook
from codemods.notebooks.literals import change_list, change_string, parse
from codemods.notebooks.magics import MARK, cell_magic, hide, reveal
from codemods.source import Source
from tests.conftest import Loopmend

RUN = "asyncio.run(work())"


def notebook(*cells: str | list[str] | dict[str, Any], **metadata: Any) -> dict[str, Any]:
    made = [
        cell
        if isinstance(cell, dict)
        else {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": cell}
        for cell in cells
    ]
    return {"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}


def write(file: Path, content: Any, **layout: Any) -> bytes:
    data = json.dumps(content, **layout).encode()
    file.write_bytes(data)
    return data


SIMPLE = notebook("import asyncio", f"# start\n{RUN}\n", ["x = 1\n", f"print({RUN})"])


# -- the command line -------------------------------------------------------------------------


def test_a_finding_names_its_cell_and_the_line_in_it(loopmend: Loopmend, project: Path) -> None:
    write(project / "a.ipynb", SIMPLE)
    result = loopmend("check")
    assert result.code == 1
    assert [line.partition(" LM501 ")[0] for line in result.out.splitlines()] == [
        "a.ipynb:cell 2:2:1:",
        "a.ipynb:cell 3:2:7:",
    ]
    found = json.loads(loopmend("check", "--output-format", "json").out)
    assert [(f["path"], f["cell"], f["line"], f["column"], f["end_column"]) for f in found] == [
        ("a.ipynb", 2, 2, 1, 20),
        ("a.ipynb", 3, 2, 7, 26),
    ]
    annotations = loopmend("check", "--output-format", "github").out.splitlines()
    assert annotations[1].startswith("::error file=a.ipynb,line=1,endLine=1,title=loopmend LM501::cell 3:2:7: ")


def test_other_files_have_no_cell(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("import asyncio\nasync def f():\n    asyncio.run(f())\n")
    (found,) = json.loads(loopmend("check", "--output-format", "json").out)
    assert "cell" not in found


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_the_patch_says_what_changes_in_each_cell_and_applies(
    loopmend: Loopmend, project: Path, indent: int | None
) -> None:
    write(project / "a.ipynb", SIMPLE, indent=indent)
    result = loopmend("diff")
    assert result.code == 1
    head = result.out[: result.out.index("--- a/a.ipynb")].splitlines()
    assert head == [
        "# LM501 [safe] a.ipynb:cell 2:2 Await the coroutine",
        "# LM501 [safe] a.ipynb:cell 3:2 Await the coroutine",
        "# cell 2:",
        "#  # start",
        "# -asyncio.run(work())",
        "# +await work()",
        "# cell 3:",
        "#  x = 1",
        "# -print(asyncio.run(work()))",
        "# +print(await work())",
    ]
    subprocess.run(["git", "apply", "-"], input=result.data, cwd=project, check=True)
    after = notebook("import asyncio", "# start\nawait work()\n", ["x = 1\n", "print(await work())"])
    assert (project / "a.ipynb").read_text() == json.dumps(after, indent=indent)
    assert loopmend("check").code == 0


def test_apply_writes_the_same_as_the_patch_and_only_one_fix_when_asked(loopmend: Loopmend, project: Path) -> None:
    write(project / "a.ipynb", SIMPLE)
    second = json.loads(loopmend("check", "--output-format", "json").out)[1]["id"]
    loopmend("apply", "--fix", second)
    cells = json.loads((project / "a.ipynb").read_bytes())["cells"]
    assert [cell["source"] for cell in cells[1:]] == [f"# start\n{RUN}\n", ["x = 1\n", "print(await work())"]]
    assert loopmend("apply").code == 0


@pytest.mark.parametrize("verb", ["check", "diff"])
def test_the_edits_in_the_json_speak_of_the_file(loopmend: Loopmend, project: Path, verb: str) -> None:
    data = write(project / "a.ipynb", SIMPLE, indent=1).decode()
    for finding in reversed(json.loads(loopmend(verb, "--output-format", "json").out)):
        for edit in finding["fix"]["edits"]:
            lines = data.splitlines(keepends=True)
            starts = [sum(map(len, lines[:n])) for n in range(len(lines))]
            start = starts[edit["line"] - 1] + edit["column"] - 1
            end = starts[edit["end_line"] - 1] + edit["end_column"] - 1
            data = data[:start] + edit["content"] + data[end:]
    loopmend("apply")
    assert (project / "a.ipynb").read_text() == data


def test_a_notebook_from_stdin(loopmend: Loopmend) -> None:
    result = loopmend("apply", "-", "--stdin-filename", "a.ipynb", stdin=json.dumps(SIMPLE).encode())
    assert json.loads(result.data)["cells"][2]["source"] == ["x = 1\n", "print(await work())"]


def test_what_is_excluded_is_not_read(loopmend: Loopmend, project: Path) -> None:
    for folder in (".ipynb_checkpoints", "drafts", "kept"):
        (project / folder).mkdir()
        write(project / folder / "a.ipynb", SIMPLE)
    out = loopmend("check", "--extend-exclude", "drafts", "--output-format", "concise").out
    assert {line.partition(":")[0] for line in out.splitlines()} == {"kept/a.ipynb"}


def test_other_rules_do_not_look_at_notebooks(loopmend: Loopmend, project: Path) -> None:
    cell = "import aiohttp, asyncio, pytest\nasync def f():\n    s = aiohttp.ClientSession()\n    await s.get('/')\n"
    write(project / "a.ipynb", notebook(cell, "await f()", "await f()"))
    assert loopmend("check").code == 0


def test_several_processes_say_the_same(loopmend: Loopmend, project: Path) -> None:
    for name in "abcdef":
        write(project / f"{name}.ipynb", SIMPLE)
    assert loopmend("diff", "--jobs", "2").data == loopmend("diff", "--jobs", "1").data


# -- what is no notebook, or only half --------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"cells": [], "x": "asyncio.run(" ', "1:35"),
        ('{"cells": [],\n<<<<<<< HEAD\n"x": "asyncio.run("}', "2:1"),
        ("", None),
        ("asyncio.run(", "1:1"),
    ],
)
def test_broken_json_is_listed_and_left(loopmend: Loopmend, project: Path, text: str, place: str | None) -> None:
    (project / "a.ipynb").write_text(text)
    result = loopmend("apply")
    assert (project / "a.ipynb").read_text() == text
    if place is None:
        assert result.out == ""
    else:
        assert result.out.startswith(f"a.ipynb:{place}: LM000 ")


@pytest.mark.parametrize(
    "content",
    [
        [RUN],
        RUN,
        {"cells": {"source": RUN}},
        {"cells": [RUN, None, {"source": RUN}]},
        {"worksheets": [{"cells": [{"cell_type": "code", "input": [RUN]}]}]},
        notebook({"cell_type": "code", "source": ["import asyncio\n", 5, RUN]}),
        notebook({"cell_type": "code", "metadata": {"tags": ["raises-exception"]}, "source": f"import asyncio\n{RUN}"}),
        notebook({"cell_type": "markdown", "source": f"import asyncio\n{RUN}"}),
        notebook(f"import asyncio\n{RUN}", language_info={"name": "julia"}),
        notebook(f"import asyncio\n{RUN}", kernelspec={"language": "R"}),
        notebook(
            {"cell_type": "code", "metadata": {"vscode": {"languageId": "sql"}}, "source": f"import asyncio\n{RUN}"}
        ),
        notebook(f"import asyncio\n{RUN}\npass  {MARK} 1\n"),
        notebook(f"import asyncio\n{RUN}\nx = '\ud800'"),
        notebook(f"import asyncio\n{RUN}\nx = '\0'"),
        notebook(f"import asyncio\n{RUN}\nreturn"),
    ],
    ids=repr,
)
def test_what_holds_no_python_is_silent(loopmend: Loopmend, project: Path, content: Any) -> None:
    data = write(project / "a.ipynb", content)
    result = loopmend("apply", "--unsafe-fixes")
    assert (result.code, result.out, (project / "a.ipynb").read_bytes()) == (0, "", data)


HOSTILE = {
    "100000 brackets": "[" * 100_000 + '"asyncio.run("' + "]" * 100_000,
    "a cell of 1000 brackets": json.dumps(notebook(f"import asyncio\n{RUN}\nx = {'[' * 1000}{']' * 1000}")),
    "a sum of 3000 in a cell": json.dumps(notebook(f"import asyncio\n{RUN}\nx = {'1 + ' * 3000}1")),
    "a source that is there twice": '{"cells": [{"cell_type": "code", "source": "x", "source": "asyncio.run(f())"}]}',
    "numbers that are none": '{"cells": [], "x": [NaN, -Infinity, 1e999, "asyncio.run("]}',
    "a nul": '{"cells": [{"cell_type": "code", "source": "asyncio.run(\\u0000)"}]}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_notebook_breaks_nothing(loopmend: Loopmend, project: Path, name: str) -> None:
    (project / "a.ipynb").write_text(HOSTILE[name])
    result = loopmend("apply", "--unsafe-fixes")
    assert result.code in (0, 1), result.err
    if "LM000" in result.out or result.code == 0:
        assert (project / "a.ipynb").read_text() == HOSTILE[name]


def test_bytes_that_are_no_utf8_are_listed(loopmend: Loopmend, project: Path) -> None:
    (project / "a.ipynb").write_bytes(json.dumps(SIMPLE).encode().replace(b"# start", b"# st\xe4rt"))
    assert "a.ipynb:1:1: LM000 " in loopmend("check").out


def test_a_cell_cannot_declare_an_encoding(loopmend: Loopmend, project: Path) -> None:
    write(project / "a.ipynb", notebook(f"# -*- coding: latin-1 -*-\nimport asyncio\n'é'; {RUN}"))
    assert loopmend("apply").code == 0
    assert json.loads((project / "a.ipynb").read_bytes())["cells"][0]["source"].endswith("\n'é'; await work()")


def test_crlf_inside_of_cells(loopmend: Loopmend, project: Path) -> None:
    write(project / "a.ipynb", notebook("import asyncio\r\n!ls\r\n", [f"{RUN}\r\n", f"{RUN}\r\n"]))
    assert loopmend("apply").code == 0
    cells = json.loads((project / "a.ipynb").read_bytes())["cells"]
    assert [cell["source"] for cell in cells] == ["import asyncio\r\n!ls\r\n", ["await work()\r\n"] * 2]


# -- magics -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("x = 1", "x = 1"),
        ("%cd data\nx = 1", "pass  #<cell>:%cd data\nx = 1"),
        ("if x:\n    !ls {y}\n", "if x:\n    pass  #<cell>:!ls {y}\n"),
        ("!pip install a \\\n  b\nx = 1", "pass  #<cell>:!pip install a \\\n#<cell>:  b\nx = 1"),
        ("files = !ls\nx, y = %who_ls\n", "pass  #<cell>:files = !ls\npass  #<cell>:x, y = %who_ls\n"),
        (
            "print?\n?print\nx.y??\nawait f()",
            "pass  #<cell>:print?\npass  #<cell>:?print\npass  #<cell>:x.y??\nawait f()",
        ),
        ("pip install a b\nx = 1", "pass  #<cell>:pip install a b\nx = 1"),
        ("%%time\nx = 1", "pass  #<cell>:%%time\nx = 1"),
        ("from __future__ import annotations\nx = 1", "pass  #<cell>:from __future__ import annotations\nx = 1"),
        ("x = '''\n%s\n!\n'''", "x = '''\n%s\n!\n'''"),
        ("x = (5\n% 3)", "x = (5\n% 3)"),
        ("await f()", "await f()"),
        ("%%bash\nls", None),
        ("%%writefile a.py\nx = 1", None),
        ("x = ", None),
        ("return 1", None),
        ("  x = 1", None),
    ],
)
def test_magics_are_hidden_line_by_line(cell: str, python: str | None) -> None:
    assert hide(cell) == python
    if python is not None:
        assert reveal(python) == cell


def test_the_magic_of_a_cell() -> None:
    assert [cell_magic(text) for text in ("%%time\nx", "\n%%capture out", "%time x", "x")] == [
        "time",
        "capture",
        "",
        "",
    ]


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("x=1 \n\r\t'\"#!%?\\é\U0001f600"), max_size=20)))
def test_cells_come_back_out_of_the_module(texts: list[str]) -> None:
    cells = split(join("a.ipynb", enumerate(texts, 1)))
    assert [(cell.number, cell.text) for cell in cells] == [
        (number, text) for number, text in enumerate(texts, 1) if hide(text) is not None
    ]


# -- changes in place -------------------------------------------------------------------------

TEXT = st.text(st.sampled_from('ab\n\r\t"\\/é\u2028\U0001f600<'), max_size=12)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n  ", " : ")])


@settings(deadline=None)
@given(TEXT, TEXT, st.booleans())
def test_a_string_is_changed_in_place(old: str, new: str, ensure_ascii: bool) -> None:
    text = json.dumps(["é", old, 1], ensure_ascii=ensure_ascii)
    source = Source("a.ipynb", text.encode())
    changed = source.with_edits(change_string(source, parse(text)[1], new)).text
    assert changed == json.dumps(["é", new, 1], ensure_ascii=ensure_ascii)


@settings(deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4), TEXT, SEPARATORS, st.booleans())
def test_a_list_of_lines_is_changed_in_place(
    old: list[str], new: str, separators: tuple[str, str], ensure_ascii: bool
) -> None:
    text = json.dumps({"a": ["é"], "b": old, "c": []}, separators=separators, ensure_ascii=ensure_ascii)
    source = Source("a.ipynb", text.encode())
    changed = source.with_edits(change_list(source, parse(text)["b"], new)).text
    content = json.loads(changed)
    assert "".join(content["b"]) == new
    if len(old) > 1:  # one alone does not show what stands between two
        assert changed == json.dumps(content, separators=separators, ensure_ascii=ensure_ascii)


def test_escapes_that_another_writer_would_choose_stay() -> None:
    text = r'{"cells": [{"cell_type": "code", "source": "\u0078 = \"\/\u00e9\ud83d\ude00\"; f(1)\u000a"}]}'
    book = Notebook.read(Source("a.ipynb", text.encode()))
    edits = book.edits(book.module.with_text(book.module.text.replace("f(1)", "g(2)")))
    assert book.source.with_edits(edits).text == text.replace("f(1)", "g(2)")


def test_cells_that_did_not_change_end_as_they_did() -> None:
    content = notebook("\n", "", "x = 1\n\n", f"import asyncio\n{RUN}\n\n", "\n \n")
    book = Notebook.read(Source("a.ipynb", json.dumps(content).encode()))
    (edit,) = book.edits(book.module.with_text(book.module.text.replace(RUN, "await work()")))
    assert edit.text == "await work("


def test_a_module_that_lost_a_cell_is_refused() -> None:
    book = Notebook.read(Source("a.ipynb", json.dumps(SIMPLE).encode()))
    with pytest.raises(ValueError, match="what tells two cells apart"):
        book.edits(book.module.with_text(book.module.text.replace(f"pass  {MARK} 2\n", "")))
