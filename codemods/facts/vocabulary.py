"""Names of functions and methods whose effect on an object handed to them is known."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MANAGERS = _words(
    "aclosing closing enter_async_context enter_context push_async_exit addAsyncCleanup addCleanup "
    "addfinalizer push_async_callback enterAsyncContext add_teardown start_polling run_polling run_app run_webhook "
    "setup_application"
)
"""Calls that see to it that what they get is closed."""

CLOSING = re.compile(
    r"(^|_)(a?close|shutdown|dispose|clean_?up|disconnect|teardown|release|finali[sz]e|terminate|stop|quit|logout)(_|$)",
    re.I,
)
"""A function of such a name, given the object, is taken to close it."""

SERVING = frozenset({"serve_forever", "run_forever", "wait_for_termination", "run_until_disconnected", "wait_closed"})
"""Methods that run until the object is done with; they close it themselves or never return."""

GATHERERS = frozenset({"gather", "wait_for", "wait", "shield", "as_completed", "timeout_at"})
"""Calls of asyncio that run the coroutines given to them; what they return is awaited."""

TASK_MAKERS = frozenset({"create_task", "ensure_future", "start_soon", "run_coroutine_threadsafe", "spawn"})
"""Calls that start a coroutine and do not wait for it."""

REGISTERING = re.compile(r"listener|handler|callback|^on(_|$)")
"""Methods that make an object do something later, without being named again."""

INSPECTORS = _words(
    "print isinstance issubclass len repr str id type hasattr bool callable vars dir format hash any all sum min max "
    "int float setattr delattr"
)
"""Builtins that look at what they get and keep nothing of it."""

LOGGERS = _words("debug info warning warn error exception critical log format")
"""Methods that write down what they get."""

PASSERS = _words("list tuple set frozenset sorted dict enumerate zip iter reversed next filter map aiter anext")
"""Builtins whose result holds what they got."""

COLLECTORS = _words("append appendleft add extend insert put put_nowait setdefault update")
"""Methods that put what they get into their object."""

BORROWERS = frozenset(
    {
        "sqlalchemy.ext.asyncio.async_sessionmaker",
        "sqlalchemy.ext.asyncio.AsyncSession",
        "sqlalchemy.ext.asyncio.async_scoped_session",
        "sqlalchemy.orm.sessionmaker",
        "redis.asyncio.Redis",
        "aiohttp.web.TCPSite",
        "aiohttp.web.UnixSite",
        "aiohttp.web.SockSite",
        "redis.asyncio.lock.Lock",
    }
)
"""Constructors that use the object for as long as they are used themselves, and never close it."""

OWNING_KEYWORDS = frozenset({"connector", "http_client", "http_async_client"})
"""Keyword arguments of other resources that take the object over, to close it with themselves."""

BORROWING_KEYWORDS = OWNING_KEYWORDS | {"connection_pool", "session", "transport"}
"""Keyword arguments of a resource with which it works on, and closes, what somebody else may own."""

LIVE_METHOD = re.compile(
    r"stream|cursor|iter|pipeline|pubsub|subscri|transaction|session|acquire|(^|_)connect|scan_|(^|_)open|(^|_)lock|watch|channel|queue|"
    r"exchange|^new_|^begin|declare|listen|websocket|^ws_|subscribe|consume|nested|context",
    re.I,
)
"""Methods whose result goes on needing the object: a stream, a cursor, a transaction."""

LIVE_ATTRIBUTES = _words("content body stream read readline receive recv fetchone fetchall fetchmany")
"""Attributes of a result, methods among them, that still read from the connection."""

STATE_ATTRIBUTES = _words(
    "closed is_closed is_connected connected is_closing get_extra_info getsockname name at_eof returncode pid"
)
"""What tells about an object, open or closed."""

LOCKS = re.compile(r"lock|mutex|(^|_)sem|condition", re.I)
"""How things are called that are held for a while and let others wait."""
