"""Small suites, one for each way in which a fixture reaches a test; every coroutine says ``here()``."""

from __future__ import annotations

AUTO = {"pytest.ini": "[pytest]\nasyncio_mode = auto\n"}
STRICT = {"pytest.ini": "[pytest]\n"}
HEAD = "import pytest\nimport pytest_asyncio\n\n"
DB = '@pytest_asyncio.fixture(scope="session")\nasync def db():\n    here()\n    yield 1\n'
PLAIN = "@pytest_asyncio.fixture\nasync def {name}({asks}):\n    here()\n    yield 1\n"
TEST = "@pytest.mark.asyncio\nasync def test_{name}({asks}):\n    here()\n"
BARE = "async def test_{name}({asks}):\n    here()\n"


def fixture(name: str, asks: str = "") -> str:
    return PLAIN.format(name=name, asks=asks)


def marked(name: str, asks: str = "") -> str:
    return TEST.format(name=name, asks=asks)


def bare(name: str, asks: str = "") -> str:
    return BARE.format(name=name, asks=asks)


def indented(code: str) -> str:
    return "".join(f"    {line}" if line.strip() else line for line in code.splitlines(keepends=True))


SUITES: dict[str, dict[str, str]] = {
    "a session fixture and a bare mark": {**STRICT, "conftest.py": HEAD + DB, "test_a.py": HEAD + marked("a", "db")},
    "a chain of fixtures": {
        **STRICT,
        "conftest.py": HEAD + DB + fixture("user", "db") + "@pytest.fixture\ndef name(user):\n    return 1\n",
        "test_a.py": HEAD + marked("a", "name") + marked("b") + marked("c", "user, tmp_path"),
    },
    "an override in every conftest": {
        **STRICT,
        "conftest.py": HEAD + DB,
        "a/conftest.py": HEAD + fixture("db", "db"),
        "a/b/conftest.py": HEAD + fixture("db", "db, tmp_path"),
        "a/b/test_a.py": HEAD + fixture("db", "db") + marked("a", "db"),
        "a/test_b.py": HEAD + marked("b", "db"),
        "test_c.py": HEAD + marked("c", "db"),
    },
    "an override that does not ask for what it hides": {
        **STRICT,
        "conftest.py": HEAD + DB + fixture("user", "db"),
        "a/conftest.py": HEAD + fixture("db"),
        "a/test_a.py": HEAD + marked("a", "user"),
        "test_b.py": HEAD + marked("b", "user"),
    },
    "fixtures of classes": {
        **STRICT,
        "test_a.py": HEAD
        + fixture("db")
        + "class TestA:\n"
        + indented(fixture("db", "self") + marked("a", "self, db"))
        + "    class TestInner:\n"
        + indented(indented(fixture("user", "self, db") + marked("b", "self, user")))
        + marked("c", "db"),
    },
    "tests and fixtures of a base class": {
        **STRICT,
        "test_a.py": HEAD
        + "class Base:\n"
        + indented(fixture("db", "self") + marked("a", "self, db") + marked("b", "self, db"))
        + "class TestOne(Base):\n"
        + indented(marked("b", "self"))
        + "class TestTwo(Base):\n"
        + indented(fixture("db", "self, tmp_path")),
    },
    "a base class of another module": {
        **STRICT,
        "base.py": HEAD + "class Base:\n" + indented(fixture("db", "self") + marked("a", "self, db")),
        "conftest.py": "",
        "test_a.py": HEAD + "from base import Base\n\nclass TestOne(Base):\n" + indented(marked("b", "self, db")),
    },
    "a base class that is called TestCase and is none": {
        **STRICT,
        "base.py": HEAD + "class BaseTestCase:\n" + indented(marked("a", "self")),
        "test_a.py": "import pytest\nfrom base import BaseTestCase\n\nclass TestOne(BaseTestCase):\n    pass\n",
    },
    "plain fixtures of auto mode": {
        **AUTO,
        "conftest.py": HEAD + DB.replace("_asyncio", ""),
        "test_a.py": bare("a", "db") + bare("b", "db"),
    },
    "aliases": {
        **STRICT,
        "conftest.py": "import pytest as pt\nimport pytest_asyncio as pa\nfrom pytest_asyncio import fixture as fx\n"
        "from pytest import fixture\n"
        '@fx(scope="session")\nasync def db():\n    here()\n    return 1\n'
        "@pa.fixture()\nasync def user(db):\n    here()\n    return 1\n"
        "@fixture\ndef name(user):\n    return 1\n",
        "test_a.py": "from pytest import mark\nimport pytest as pt\n"
        "@mark.asyncio\nasync def test_a(name):\n    here()\n"
        "@pt.mark.asyncio()\nasync def test_b(db):\n    here()\n",
    },
    "aliases by assignment": {
        **STRICT,
        "conftest.py": HEAD + "make = pytest_asyncio.fixture\non = pytest.mark.asyncio\n"
        '@make(scope="session")\nasync def db():\n    here()\n    return 1\n',
        "test_a.py": HEAD + "own = pytest.mark.asyncio(loop_scope='session')\n@own\nasync def test_a(db):\n    here()\n"
        "each = pytest.mark.asyncio\n@each\nasync def test_b(db):\n    here()\n",
    },
    "marks and decorators of another module": {
        **STRICT,
        "conftest.py": HEAD + "import helpers\n" + DB.replace("pytest_asyncio.fixture", "helpers.shared"),
        "helpers.py": HEAD
        + "on = pytest.mark.asyncio\nsame = pytest.mark.asyncio(loop_scope='session')\n"
        + "make = shared = pytest_asyncio.fixture\n",
        # 0.24.0 gives the session another loop after a test on a loop of its own: that one comes last.
        "test_a.py": "import helpers\nfrom helpers import on, same as own\n"
        + ("@own\n" + bare("b", "db"))
        + ("@helpers.on(loop_scope='module')\n" + bare("c", "db"))
        + ("@on\n" + bare("a", "db")),
    },
    "names by argument": {
        **STRICT,
        "conftest.py": HEAD + '@pytest_asyncio.fixture(name="db", scope="session")\nasync def _db():\n    here()\n',
        "test_a.py": HEAD + marked("a", "db"),
    },
    "usefixtures": {
        **STRICT,
        "conftest.py": HEAD + DB + fixture("user") + fixture("item") + fixture("name"),
        "test_a.py": HEAD
        + 'pytestmark = [pytest.mark.usefixtures("db")]\n'
        + '@pytest.mark.usefixtures("user", "item")\n'
        + marked("a")
        + '@pytest.mark.usefixtures("name")\nclass TestA:\n'
        + indented(marked("b", "self")),
    },
    "usefixtures of the configuration": {
        "pytest.ini": "[pytest]\nusefixtures = db\n",
        "conftest.py": HEAD + DB,
        "test_a.py": HEAD + marked("a"),
    },
    "autouse": {
        **STRICT,
        "conftest.py": HEAD + DB + "@pytest.fixture(autouse=True)\ndef always(db):\n    pass\n",
        "a/conftest.py": HEAD + "@pytest_asyncio.fixture(autouse=True)\nasync def here_too():\n    here()\n",
        "a/test_a.py": HEAD + marked("a"),
        "test_b.py": HEAD
        + marked("b")
        + "class TestB:\n    @pytest_asyncio.fixture(autouse=True)\n    async def own(self):\n        here()\n"
        + indented(marked("c", "self")),
    },
    "an autouse fixture that an override replaces": {
        **STRICT,
        "conftest.py": HEAD + "@pytest_asyncio.fixture(autouse=True)\nasync def always():\n    here()\n",
        "test_a.py": HEAD + "@pytest.fixture\ndef always():\n    pass\n" + marked("a"),
    },
    "the closest mark": {
        **STRICT,
        "conftest.py": HEAD + DB,
        "test_a.py": HEAD
        + 'pytestmark = pytest.mark.asyncio(loop_scope="session")\n'
        + bare("a", "db")
        + marked("b", "db")
        + '@pytest.mark.asyncio(loop_scope="module")\nclass TestA:\n'
        + indented(bare("c", "self, db") + marked("d", "self, db")),
    },
    "marks in a list, of a class, of its base": {
        **STRICT,
        "conftest.py": HEAD + DB,
        "test_a.py": HEAD
        + 'pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.asyncio(loop_scope="session")]\n'
        + bare("a", "db")
        + "class Base:\n    pytestmark = pytest.mark.asyncio\n"
        + "class TestA(Base):\n"
        + indented(bare("b", "self, db"))
        + 'class TestB(Base):\n    pytestmark = [pytest.mark.asyncio(loop_scope="session")]\n'
        + indented(bare("c", "self, db")),
    },
    "two marks on one test": {
        **STRICT,
        "conftest.py": HEAD + DB,
        "test_a.py": HEAD + '@pytest.mark.asyncio(loop_scope="session")\n' + marked("a", "db"),
    },
    "parametrised": {
        **STRICT,
        "conftest.py": HEAD + DB + fixture("x", "db") + fixture("y"),
        "test_a.py": HEAD
        + '@pytest.mark.parametrize("x", [1, 2])\n'
        + marked("a", "x")
        + '@pytest.mark.parametrize("x, y", [(1, 2)])\n'
        + marked("b", "x, y")
        + '@pytest.mark.parametrize(["x", "z"], [(1, 2)], indirect=["x"])\n'
        + marked("c", "x, z")
        + '@pytest.mark.parametrize("x", [1], indirect=True)\n'
        + marked("d", "x")
        + '@pytest.mark.parametrize(argnames=("x",), argvalues=[(1,)])\n'
        + marked("e", "x"),
    },
    "parametrised by a mark": {
        **STRICT,
        "conftest.py": HEAD + DB,
        "test_a.py": HEAD
        + '@pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.slow)])\n'
        + marked("a", "n, db"),
    },
    "parametrised fixtures": {
        **STRICT,
        "conftest.py": HEAD
        + '@pytest_asyncio.fixture(params=[1, 2], scope="module")\nasync def db(request):\n    here()\n',
        "test_a.py": HEAD + marked("a", "db"),
    },
    "asked for by name": {
        **STRICT,
        "conftest.py": HEAD + DB + '@pytest.fixture\ndef user(request):\n    return request.getfixturevalue("db")\n',
        "test_a.py": HEAD
        + marked("a", "user")
        + 'def test_b(request):\n    assert request.getfixturevalue("tmp_path")\n',
    },
    "a plugin module": {
        **STRICT,
        "conftest.py": 'pytest_plugins = ["fixtures_of_all"]\n',
        "fixtures_of_all.py": HEAD + DB,
        "test_a.py": HEAD + marked("a", "db"),
    },
    "imported fixtures": {
        **STRICT,
        "conftest.py": "from shared import *\n",
        "shared.py": HEAD + DB + fixture("user", "db"),
        "test_a.py": HEAD + "from other import item\n" + marked("a", "user, item"),
        "other.py": HEAD + fixture("item"),
    },
    "the option for fixtures": {
        "pytest.ini": "[pytest]\nasyncio_default_fixture_loop_scope = session\n",
        "conftest.py": HEAD
        + fixture("user")
        + '@pytest_asyncio.fixture(loop_scope="function")\nasync def own():\n    here()\n',
        "test_a.py": HEAD + marked("a", "user, own"),
    },
    "classes, sync tests and what is collected": {
        "pytest.ini": "[pytest]\nasyncio_mode = auto\n"
        "python_files = check_*.py\npython_classes = *Suite\npython_functions = check_*\n",
        "conftest.py": HEAD + DB,
        "check_a.py": "async def check_a(db):\n    here()\n"
        "def check_b(tmp_path):\n    pass\nasync def test_c(db):\n    here()\n"
        "class ASuite:\n    async def check_d(self, db):\n        here()\n"
        "class TestE:\n    def check_e(self):\n        pass\n"
        "class FSuite:\n    def __init__(self):\n        pass\n    def check_f(self):\n        pass\n",
        "test_b.py": "async def check_a(db):\n    here()\n",
    },
    "static methods, keyword-only and defaults": {
        **AUTO,
        "conftest.py": HEAD + DB + fixture("user") + fixture("item"),
        "test_a.py": "async def test_a(db, item=1, *, user):\n    here()\n"
        "class TestA:\n    @staticmethod\n    async def test_b(db):\n        here()\n"
        "    @classmethod\n    async def test_c(cls, user):\n        here()\n",
    },
    "under a condition": {
        **AUTO,
        "conftest.py": HEAD
        + ("if True:\n" + indented(DB))
        + ("try:\n    import pytest\nfinally:\n" + indented(fixture("user"))),
        "test_a.py": "if True:\n" + indented(bare("a", "db, user")),
    },
    "unittest and the rest": {
        **AUTO,
        "conftest.py": HEAD + DB,
        "test_a.py": "import unittest\n"
        "class TestA(unittest.IsolatedAsyncioTestCase):\n    async def test_a(self):\n        pass\n" + bare("b", "db"),
    },
}  # fmt: skip
"""Suites that pass, with ``here()`` in every async function that pytest-asyncio runs."""
