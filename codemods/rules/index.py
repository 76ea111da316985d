"""What is known of each rule before its module is imported: its code, its name, its needles.

A run over files that hold none of the needles imports no rule at all, which keeps the start short.
The code and the name of a rule are those of its file, ``lm101_multiple_runs.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pkgutil import iter_modules
from typing import TYPE_CHECKING, NamedTuple

from codemods.catalog.resources import constructor_names
from codemods.catalog.resources import needles as resource_needles
from codemods.needles import Imported, Pattern
from codemods.rules import __name__ as package_name
from codemods.rules import __path__ as package_path

if TYPE_CHECKING:
    from codemods.catalog.resources import Resource
    from codemods.rules.base import AnyRule

Needles = tuple[tuple[bytes, ...], ...]
"""A file is worth parsing when all byte strings of one group occur in it."""

# One look for "asyncio" settles all groups that share it, in most files.
_RUNS = tuple(
    (b"asyncio", *group) for group in ((b"asyncio.run(",), (b"asyncio as", b".run("), (b"asyncio import", b"run"))
)
_TASKS = tuple(
    (b"asyncio", *group)
    for group in (
        (b"asyncio.create_task(",),
        (b"asyncio as", b".create_task("),
        (b"from asyncio import", b"create_task"),
        (b"ensure_future(",),
        (b".create_task(", b"get_running_loop("),
        (b".create_task(", b"get_event_loop("),
        (b".create_task(", b"new_event_loop("),
    )
)
# The same for "pytest".
_LOOP_SCOPES = ((b"pytest", b"fixture", b"async def"), (b"pytest", b"mark.asyncio", b"scope"))
_FRESH_LOOPS = (
    *_RUNS,
    (b"asyncio", b"new_event_loop(", b".run_until_complete("),
    (Imported(b"asgiref"), b"async_to_sync"),
    (Imported(b"asyncer"), b"runnify"),
    (Imported(b"uvloop"), b"run("),
)

_OCCASIONS = (
    *((Imported(package),) for package in (b"celery", b"dramatiq", b"huey", b"rq", b"django_rq")),
    (Imported(b"flask"), b"route("),
    (b"celery", b".task"),
    *((needle,) for needle in (b"async_task", b"_task\nasync def ")),
)
"""What calls a function again and again in one process, as its file shows."""

_LOOP_ARGUMENT = (
    rb"(?:gather|sleep|wait|wait_for|shield|as_completed|open_\w*connection|start_\w*server|create_subprocess_\w+"
    rb"|Queue|Lock|Event|Condition|Semaphore|ClientSession|Connector)"
    rb"\([^()]*(?:\((?:[^()]|\([^()]*\))*\)[^()]*)*\bloop\s*="
)
"""A call of one of these, with ``loop=`` in its brackets."""

_ASYNC_LIBRARIES = (
    *(b"aiohttp", b"httpx", b"websockets", b"aiofiles", b"asyncpg", b"aiosqlite", b"playwright", b"discord"),
    *(b"telethon", b"telegram", b"aiogram", b"redis", b"openai", b"motor", b"sqlalchemy"),
)
"""Who imports one of these may have forgotten to import asyncio."""

NEEDLES: dict[str, Needles] = {
    "LM000": (),
    "LM001": (),
    "LM101": _RUNS,
    "LM102": (*_RUNS, (b".run_until_complete(",)),
    "LM103": ((b".run_until_complete(",), (b"asyncio", b".run_forever(")),
    "LM104": ((b"asyncio", b"loop.close("),),
    "LM105": ((b"asyncio", b"get_event_loop("),),
    "LM106": tuple(
        (b"asyncio", needle) for needle in (b"loop.close(", b"loop.stop(", b"loop().close(", b"loop().stop(")
    ),
    "LM107": ((b"asyncio", b"loop=", Pattern(_LOOP_ARGUMENT)),),
    "LM108": (
        (b"asyncio", b"__main__", b"async def "),
        (b"asyncio", Pattern(rb"\n\w+\(")),
        *((Imported(name), b"__main__", b"async def ") for name in _ASYNC_LIBRARIES),
    ),
    "LM109": (
        *((b"asyncio", needle) for needle in (b"set_event_loop_policy(", b"EventLoopPolicy")),
        *((Imported(package), b"install") for package in (b"uvloop", b"winloop")),
    ),
    "LM110": _FRESH_LOOPS,
    "LM201": resource_needles(constructor_names()),
    "LM202": resource_needles(constructor_names()),
    "LM203": (*resource_needles(constructor_names()), (Imported(b"sqlalchemy"), b"sessionmaker(")),
    "LM204": resource_needles(constructor_names()),
    "LM205": (
        (b"asyncio", b"def __del__("),
        (Imported(b"atexit"), b"register", b"asyncio"),
        (Imported(b"weakref"), b"finalize", b"asyncio"),
    ),
    "LM301": _TASKS,
    "LM302": tuple((*group, b".cancel(") for group in _TASKS),
    "LM303": _TASKS,
    "LM304": tuple((*group, b"gather(", b"asyncio") for group in resource_needles(constructor_names())),
    "LM401": _LOOP_SCOPES,
    "LM402": _LOOP_SCOPES,
    "LM403": ((b"pytest", b"event_loop", b"fixture"),),
    "LM404": tuple(
        (b"pytest", *group) for group in ((b"mark.asyncio(", b"scope"), (b"mark.asyncio('",), (b'mark.asyncio("',))
    ),
    "LM405": ((b"pytest", b"fixture", b"async def"), (b"pytest", b"mark.asyncio")),
    "LM406": ((b"async def test",), *resource_needles(constructor_names())),
    "LM501": (*_RUNS, (b".run_until_complete(",), (b"nest_asyncio",)),
    "LM601": tuple((b"asyncio", one) for one in (b"add_signal_handler(", b"signal.signal(", b"from signal import")),
    "LM602": tuple(
        (b"asyncio", b"loop", thread, use)
        for thread in (
            *(b"threading.Thread(", b"threading.Thread)", b"import Thread", b"threading.Timer("),
            *(b"to_thread(", b"run_in_executor("),
        )
        for use in (b"loop.call_soon(", b"loop.call_later(", b".create_task(", b"ensure_future(", b"loop.stop(")
    ),
    "LM603": tuple((*group, b"signal") for group in _TASKS),
}
"""The rarer a needle, the faster: ``asyncio.create_task(`` leaves 1 % of files, ``create_task`` 6 %."""

_NEED_RESOURCES = ("LM201", "LM202", "LM203", "LM204", "LM304", "LM406")

CONTEXT: dict[str, Needles] = {
    "LM110": (*_FRESH_LOOPS, *_OCCASIONS),
    "LM401": ((b"pytest",), (b"async def test",)),
    "LM402": ((b"pytest",), (b"async def test",)),
    "LM403": ((b"pytest",), (b"async def test",), (b"event_loop",)),
    "LM404": ((b"pytest", b"mark.asyncio("),),
    "LM405": ((b"pytest",), (b"async def test",)),
    "LM406": ((b"pytest",), (b"async def test",), *resource_needles(constructor_names())),
}
"""For a rule that sees the whole project: the files that it has to see once it has anything to do."""

IN_MODULES_TOO = frozenset({"LM110"})
"""The rules that look at each module by itself, and then at what crosses from one to the next."""

NOTEBOOKS = frozenset({"LM501"})
"""The rules that look at notebooks, and at nothing else. Quotes and line ends are escaped there: no needle has any."""

_MODULE = re.compile(r"(lm\d{3})_(\w+)")


class Entry(NamedTuple):
    """A rule that need not be imported yet."""

    code: str
    name: str
    module: str
    needles: Needles
    context: Needles

    @property
    def sees_project(self) -> bool:
        """Whether it is a rule about a project."""
        return bool(self.context)

    @property
    def sees_module(self) -> bool:
        """Whether it is a rule about one module at a time; a few are about a project as well."""
        return not self.of_notebooks and (not self.context or self.code in IN_MODULES_TOO)

    @property
    def of_notebooks(self) -> bool:
        """Whether it is a rule about notebooks and not about other modules."""
        return self.code in NOTEBOOKS

    def load(self) -> AnyRule:
        """The rule. Raises RegistryError for one that breaks the conventions."""
        from codemods.rules.registry import load

        return load(self)


@cache
def entries() -> tuple[Entry, ...]:
    """Every rule, in the order of the codes."""
    found: list[Entry] = []
    for name in sorted(info.name for info in iter_modules(package_path)):
        match = _MODULE.fullmatch(name)
        if match:
            code = match[1].upper()
            module = f"{package_name}.{name}"
            needles, context = NEEDLES.get(code, ()), CONTEXT.get(code, ())
            found.append(Entry(code, match[2].replace("_", "-"), module, needles, context))
    return tuple(found)


def with_needles(rules: Iterable[Entry], resources: Iterable[Resource]) -> tuple[Entry, ...]:
    """The rules, with needles for resources of the user's own."""
    extra = resource_needles({name for resource in resources for name in resource.constructors})
    return tuple(
        rule._replace(needles=(*rule.needles, *extra), context=(*rule.context, *(extra if rule.context else ())))
        if rule.code in _NEED_RESOURCES
        else rule
        for rule in rules
    )
