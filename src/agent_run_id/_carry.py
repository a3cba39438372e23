"""Carrying the current run where context variables do not go.

    a thread, an executor      carry(fn): the whole context, copied for each call
    a process, by value        the same carry(fn), pickled: the place of the run, not the run itself
    a process, by environment  child_env()         read there by run_from_env
    HTTP                       inject_headers()    extract_headers() on the other side
    MCP                        inject_meta()       extract_meta(), for `params._meta` of a request

In another process the work is a child of the run it came from: what arrives there
is the link, and ``RunContext.start()`` hangs the new run on it.

Requests carry the trace in ``traceparent`` and ``tracestate`` (W3C Trace Context) and
the id of the run, nothing else, in the member ``steplog.run_id`` of ``baggage`` (W3C
Baggage). MCP uses the same three names as keys of ``_meta``. Nothing here raises on
what comes in, nor for want of a run; what cannot be carried is left out.
"""

from __future__ import annotations

import os
from contextlib import suppress
from contextvars import copy_context
from functools import partial, update_wrapper

from ._context import _carried_link, _current, current_link, current_step
from ._ids import RunId
from ._links import (
    ENV_PARENT_STEP,
    ENV_ROOT_RUN_ID,
    ENV_RUN_ID,
    ENV_SESSION_ID,
    RunLink,
    parse_traceparent,
    parse_tracestate,
    quote,
    unquote,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
    from contextvars import Context
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")
    Carrier = TypeVar("Carrier", bound=MutableMapping[str, Any])

__all__ = ["carry", "child_env", "extract_headers", "extract_meta", "inject_headers", "inject_meta"]

#: Our member of W3C baggage. It reaches every host a request goes to, so it holds a random id only.
BAGGAGE_KEY = "steplog.run_id"

# W3C Baggage: what every party must be able to carry. Beyond it, others may drop the whole header.
MAX_BAGGAGE_BYTES = 8192
MAX_BAGGAGE_MEMBERS = 64

# A run id from outside ends up in logs and on screens; ours have 36 characters.
MAX_FOREIGN_ID_CHARACTERS = 256
MAX_READ_CHARACTERS = 65536

CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect


class _Carried:
    """*fn*, to be called in copies of *context*; pickled, to be called under *link*."""

    def __init__(self, fn: Callable[..., Any], context: Context, link: RunLink | None) -> None:
        update_wrapper(self, fn)
        self._fn, self._context, self._link = fn, context, link

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        # A copy for each call: one context cannot be entered by two threads at a time.
        return self._context.copy().run(self._fn, *args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrive, (self._fn, self._link)


def _arrive(fn: Callable[..., Any], link: RunLink | None) -> _Carried:
    context = copy_context()
    context.run(_take_place, link)
    return _Carried(fn, context, link)


def _take_place(link: RunLink | None) -> None:
    # A forked worker begins with the run that was current when the pool grew; it is not this work's.
    _current.set(None)
    current_step.set(None)
    _carried_link.set(link)


def carry(fn: Callable[P, R]) -> Callable[P, R]:
    """Return *fn* bound to the run, the step in flight and every other context variable of here and now.

    For threads and executors, which begin without them: ``Thread(target=carry(work))``,
    ``pool.submit(carry(work), item)``. Each call runs in a fresh copy of the context captured by
    ``carry``, so the result may be called many times and from several threads at once, and what a call
    sets stays inside it.

    Sent to another process (``multiprocessing``, ``ProcessPoolExecutor``) it carries the link only: runs
    started there are children of this one.

    *fn* must do its work when called: a generator function runs later, in the context of whoever
    iterates. A coroutine function is fine: its body runs as an asyncio task of that context.
    """
    context, link = copy_context(), current_link()
    if not _is_coroutine_function(fn):
        return _Carried(fn, context, link)

    async def carried(*args: P.args, **kwargs: P.kwargs) -> Any:
        from asyncio import get_running_loop

        coroutine: Any = fn(*args, **kwargs)
        return await get_running_loop().create_task(coroutine, context=context.copy())

    update_wrapper(carried, fn)
    return carried  # type: ignore[return-value]


def _is_coroutine_function(fn: object) -> bool:
    while isinstance(fn, partial):
        fn = fn.func
    code = getattr(getattr(fn, "__func__", fn), "__code__", None)
    return bool(getattr(code, "co_flags", 0) & CO_COROUTINE)


def child_env(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a copy of *env* that makes runs of a child process children of the current run.

    ``subprocess.run(command, env=child_env())``. Written are ``AGENT_STEP_LOG_RUN_ID``,
    ``AGENT_STEP_LOG_ROOT_RUN_ID``, ``AGENT_STEP_LOG_PARENT_STEP`` and ``AGENT_STEP_LOG_SESSION_ID``
    (those of them that are known), and ``TRACEPARENT`` with the span of the step in flight.
    ``TRACESTATE`` is removed when it belongs to another trace, and a run id in ``BAGGAGE`` that names
    another run is replaced. With no run to speak of the copy is plain.

    Args:
        env: What to copy. Default: ``os.environ``, which itself is never changed.
    """
    child = dict(os.environ if env is None else env)
    link = current_link()
    if link is None:
        return child
    for name in (ENV_RUN_ID, ENV_ROOT_RUN_ID, ENV_PARENT_STEP, ENV_SESSION_ID):
        child.pop(name, None)
    run_id = quote(link.run_id or "")
    if run_id is not None:
        known = {
            ENV_RUN_ID: run_id,
            ENV_ROOT_RUN_ID: quote(link.root_run_id or ""),
            ENV_PARENT_STEP: None if link.step is None else str(link.step),
            ENV_SESSION_ID: quote(link.session_id or ""),
        }
        child.update({name: value for name, value in known.items() if value is not None})
    _write_trace(child, link, "TRACEPARENT", "TRACESTATE")
    baggage = child.get("BAGGAGE")
    if baggage is not None and _run_id_in(baggage) is not None:
        _write(child, "BAGGAGE", _merge(baggage, run_id))
    return child


def inject_headers(headers: Carrier | None = None) -> Carrier | dict[str, Any]:
    """Add the current run to the headers of a request about to be sent, and return them.

    ``client.get(url, headers=inject_headers())``. Sets ``traceparent`` (the step in flight as parent),
    ``tracestate`` if the trace came with one, and one member of ``baggage`` beside those already there;
    it is left out where it would break the limits every party must carry (64 members, 8192 bytes).
    With no run to speak of nothing is added.

    Args:
        headers: Changed in place; any mutable mapping, names matched without case. Default: a new dict.

    Never raises. The baggage reaches whoever gets the request, so inject only where the other side
    may know that the run exists, and when it began.
    """
    carrier: Carrier | dict[str, Any] = {} if headers is None else headers
    with suppress(Exception):  # a mapping that refuses to be changed costs the link, not the request
        _inject(carrier)
    return carrier


def inject_meta(meta: Carrier | None = None) -> Carrier | dict[str, Any]:
    """Add the current run to the ``_meta`` of an MCP request's ``params``, and return it.

    The keys are ``traceparent``, ``tracestate`` and ``baggage`` without a prefix, as MCP servers with
    OpenTelemetry read them (SEP-414). Otherwise as :func:`inject_headers`.
    """
    return inject_headers(meta)


def extract_headers(headers: Any) -> RunLink | None:
    """Return the run or trace that the headers of a request name, or None.

    ``with RunContext.start("server", parent=extract_headers(request.headers)):``. Takes a mapping or
    an iterable of pairs, of ``str`` or ``bytes``, with single values or lists of them, and a WSGI
    environ; names are matched without case.

    Never raises. A malformed ``traceparent``, or more than one, is ignored together with its
    ``tracestate``; a run id is ignored if it is longer than 256 characters or holds anything that does
    not print. Whoever can send a request can name any run here: it is a claim, not a proof.
    """
    found: dict[str, list[str]] = {"traceparent": [], "tracestate": [], "baggage": []}
    with suppress(Exception):
        for name, value in _fields(headers):
            if name in found:
                found[name].append(value)
    return _link_of_strings(found)


def extract_meta(meta: Any) -> RunLink | None:
    """Return the run or trace that the ``_meta`` of an MCP request names, or None.

    Takes the mapping, or the object an SDK made of it. Never raises; see :func:`extract_headers`.
    """
    found: dict[str, list[str]] = {}
    for name in ("traceparent", "tracestate", "baggage"):
        value = None
        with suppress(Exception):
            value = meta.get(name) if hasattr(meta, "get") else getattr(meta, name, None)
        found[name] = [value] if isinstance(value, str) else []
    return _link_of_strings(found)


def _link_of_strings(found: Mapping[str, list[str]]) -> RunLink | None:
    # Two of them contradict each other, and neither is to be believed (W3C Trace Context).
    trace = parse_traceparent(found["traceparent"][0]) if len(found["traceparent"]) == 1 else None
    run_id = _run_id_in(",".join(found["baggage"]))
    if trace is None:
        return None if run_id is None else RunLink(run_id)
    trace_id, span_id, flags = trace
    tracestate = parse_tracestate(",".join(found["tracestate"]))
    return RunLink(run_id, trace_id=trace_id, span_id=span_id, trace_flags=flags, tracestate=tracestate)


def _fields(headers: Any) -> Iterator[tuple[str, str]]:
    """Each header as (lowercase name, value); what is not text is skipped."""
    pairs: Iterable[Any] = headers.items() if hasattr(headers, "items") else headers
    for name, value in pairs:
        for one in value if isinstance(value, (list, tuple)) else (value,):
            name_text, one_text = _text(name), _text(one)
            if name_text is not None and one_text is not None:
                yield name_text.lower().removeprefix("http_"), one_text


def _text(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else None


def _inject(carrier: MutableMapping[str, Any]) -> None:
    link = current_link()
    if link is None:
        return
    _write_trace(carrier, link, "traceparent", "tracestate")
    if link.run_id is not None:
        _write(carrier, "baggage", _merge(_read(carrier, "baggage"), quote(link.run_id)))


def _write_trace(carrier: MutableMapping[str, Any], link: RunLink, parent: str, state: str) -> None:
    traceparent = link.traceparent
    if traceparent is None:
        return
    before = parse_traceparent(_read(carrier, parent))
    _write(carrier, parent, traceparent)
    if link.tracestate is not None:
        _write(carrier, state, link.tracestate)
    elif before is None or before[0] != link.trace_id:
        _write(carrier, state, None)


def _names(carrier: Mapping[str, Any], name: str) -> list[str]:
    lower = name.lower()
    return [key for key in list(carrier) if isinstance(key, str) and key.lower() == lower]


def _read(carrier: Mapping[str, Any], name: str) -> str:
    lower = name.lower()
    return ",".join(value for key, value in _fields(carrier) if key == lower)


def _write(carrier: MutableMapping[str, Any], name: str, value: str | None) -> None:
    """Set *name*, in the spelling that is there, or remove it; one of it is left at most."""
    spellings = _names(carrier, name)
    for key in spellings:
        # Not plain assignment: some mappings add a second header of the name. One `del` may take several.
        if key in carrier:
            del carrier[key]
    if value is not None:
        carrier[spellings[0] if spellings else name] = value


def _run_id_in(baggage: str) -> RunId | None:
    """The run id of our member, the last one if there are several."""
    found = None
    if len(baggage) <= MAX_READ_CHARACTERS:
        for member in baggage.split(","):
            key, _, value = member.partition("=")
            if key.strip(" \t") == BAGGAGE_KEY:
                text = unquote(value.partition(";")[0].strip(" \t"))
                if text is not None and _is_presentable(text):
                    found = RunId(text)
    return found


def _is_presentable(run_id: str) -> bool:
    # Not printable are controls, line breaks, lone surrogates and bidirectional overrides.
    return len(run_id) <= MAX_FOREIGN_ID_CHARACTERS and run_id.isprintable() and not run_id.isspace()


def _merge(baggage: str, run_id: str | None) -> str | None:
    """*baggage* with our member set to *run_id*, or without it; None when nothing is left."""
    members = [member for member in baggage.split(",") if member.strip(" \t")]
    others = [member for member in members if member.partition("=")[0].strip(" \t") != BAGGAGE_KEY]
    if run_id is not None:
        merged = ",".join([*others, f"{BAGGAGE_KEY}={run_id}"])
        if len(others) < MAX_BAGGAGE_MEMBERS and len(merged.encode("utf-8", "replace")) <= MAX_BAGGAGE_BYTES:
            return merged
    return ",".join(others) or None
