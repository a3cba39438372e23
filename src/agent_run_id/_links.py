"""Where a child run hangs: one value for all the ways a parent can be known.

A link is the parent's end of the arrow from a child run to the step that made
it. In this process it is made from the current run; in another it is read from

    the environment   AGENT_STEP_LOG_RUN_ID        the run that started the process
                      AGENT_STEP_LOG_PARENT_STEP   its step in flight, from 1
                      AGENT_STEP_LOG_ROOT_RUN_ID   the outermost run above it
                      AGENT_STEP_LOG_SESSION_ID    the session it belongs to
                      TRACEPARENT, TRACESTATE      the trace (OpenTelemetry environment carriers)
    a request         traceparent, tracestate, baggage

Values other than letters, digits, ``-`` and ``_`` are percent-encoded (UTF-8).
Our own variables say which run is the parent; TRACEPARENT alone never does, since
build servers and clusters set it for reasons of their own: it gives the trace.

``traceparent`` is read as W3C Trace Context level 2 tells:

    version "-" trace-id "-" parent-id "-" flags      2, 32, 16 and 2 lowercase hex digits

Version ff, an id of zeros, or version 00 with anything behind the flags is ignored
whole; a higher version is read for these four fields and answered with 00.
"""

from __future__ import annotations

import os

from ._ids import HEX_DIGITS, RunId, is_hex, is_plain, step_span_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ENV_PARENT_STEP",
    "ENV_ROOT_RUN_ID",
    "ENV_RUN_ID",
    "ENV_SESSION_ID",
    "RunLink",
    "parse_traceparent",
    "parse_tracestate",
    "quote",
    "run_from_env",
    "unquote",
]

ENV_RUN_ID = "AGENT_STEP_LOG_RUN_ID"
ENV_ROOT_RUN_ID = "AGENT_STEP_LOG_ROOT_RUN_ID"
ENV_PARENT_STEP = "AGENT_STEP_LOG_PARENT_STEP"
ENV_SESSION_ID = "AGENT_STEP_LOG_SESSION_ID"

SAMPLED = 0x01
RANDOM = 0x02

# Far above any real id, far below what an environment or a header can hold.
MAX_CARRIED_CHARACTERS = 2048


class RunLink:
    """The place a child run hangs on: a run, and the step of it that was in flight.

    Attributes:
        run_id: The parent run. None when only a trace is known, from a ``traceparent`` alone.
        step: Its step in flight, from 1. None when not known.
        root_run_id: The outermost run above; *run_id* itself when no other is known.
        session_id: The session the parent belongs to, or None.
        trace_flags: W3C flags: 1 sampled, 2 random.
        tracestate: The vendors' part of the trace, passed on as it came, or None.
        incoming_trace_id: The trace that somebody else began and this is part of, or None.

    Read-only by convention, so any thread may use it; pickles.
    """

    __slots__ = (
        "_span_id",
        "incoming_trace_id",
        "root_run_id",
        "run_id",
        "session_id",
        "step",
        "trace_flags",
        "tracestate",
    )

    def __init__(
        self,
        run_id: str | None = None,
        *,
        step: int | None = None,
        root_run_id: str | None = None,
        session_id: str | None = None,
        trace_id: str | None = None,
        span_id: str | None = None,
        trace_flags: int = SAMPLED,
        tracestate: str | None = None,
    ) -> None:
        self.run_id = None if run_id is None else RunId(run_id)
        self.step = step
        self.root_run_id = self.run_id if root_run_id is None else RunId(root_run_id)
        self.session_id = session_id
        self.trace_flags = trace_flags
        self.tracestate = tracestate
        self.incoming_trace_id = trace_id
        self._span_id = span_id

    @property
    def trace_id(self) -> str | None:
        """The W3C trace: the one that came in, else the root run's own."""
        if self.incoming_trace_id is None and self.root_run_id is not None:
            return self.root_run_id.trace_id
        return self.incoming_trace_id

    @property
    def span_id(self) -> str | None:
        """The W3C span: the one that came in, else the one of :attr:`step`, else the run's own."""
        if self._span_id is None and self.run_id is not None:
            return step_span_id(self.run_id, self.step)
        return self._span_id

    @property
    def traceparent(self) -> str | None:
        """This place as the value of a ``traceparent`` header."""
        trace_id, span_id = self.trace_id, self.span_id
        if trace_id is None or span_id is None:
            return None
        return f"00-{trace_id}-{span_id}-{self.trace_flags & (SAMPLED | RANDOM):02x}"

    def _key(self) -> tuple[object, ...]:
        return (
            self.run_id,
            self.step,
            self.root_run_id,
            self.session_id,
            self.trace_id,
            self.span_id,
            self.trace_flags,
            self.tracestate,
        )

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, RunLink) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"<RunLink run_id={self.run_id} step={self.step} trace_id={self.trace_id}>"


def parse_traceparent(value: object) -> tuple[str, str, int] | None:
    """Return (trace id, parent id, flags) of a ``traceparent``; None when it must be ignored."""
    if not isinstance(value, str):
        return None
    value = value.strip(" \t")
    if len(value) < 55 or value[2] != "-" or value[35] != "-" or value[52] != "-":
        return None
    version, trace_id, span_id, flags = value[:2], value[3:35], value[36:52], value[53:55]
    if version.strip(HEX_DIGITS) or version == "ff" or flags.strip(HEX_DIGITS):
        return None
    if len(value) > 55 and (version == "00" or value[55] != "-"):
        return None
    if not is_hex(trace_id, 32) or not is_hex(span_id, 16):
        return None
    return trace_id, span_id, int(flags, 16) & (SAMPLED | RANDOM)


def parse_tracestate(value: object) -> str | None:
    """Return *value* if it may be passed on: printable ASCII, at most 32 members and 4096 characters."""
    if not isinstance(value, str) or not 0 < len(value) <= 4096 or value.count(",") > 31:
        return None
    value = value.strip(" \t")
    return value if value and value.isascii() and value.isprintable() else None


def quote(text: str) -> str | None:
    """Return *text* fit for a header or a variable; None if it is empty or too long to carry."""
    if not 0 < len(text) <= MAX_CARRIED_CHARACTERS:
        return None
    if is_plain(text):
        return str(text)
    from urllib.parse import quote as percent_encode

    quoted = percent_encode(text, safe="", errors="surrogatepass")
    return quoted if len(quoted) <= MAX_CARRIED_CHARACTERS else None


def unquote(text: object) -> str | None:
    """Undo :func:`quote`; None for what it cannot have made."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_CARRIED_CHARACTERS:
        return None
    if "%" not in text:
        return text
    from urllib.parse import unquote_to_bytes

    try:
        return unquote_to_bytes(text).decode("utf-8", "surrogatepass") or None
    except ValueError:
        return None


_process_link: RunLink | None = None
_process_was_read = False


def run_from_env(env: Mapping[str, str] | None = None) -> RunLink | None:
    """Return the parent that *env* names, or None.

    Without *env* this process's own environment is read, the first time anybody asks, and that
    answer kept: what the program does to ``os.environ`` later does not move its runs about.
    :meth:`RunContext.start` asks by itself. Never raises; what is malformed counts as absent.
    """
    global _process_link, _process_was_read
    if env is not None:
        return _link_from(env)
    if not _process_was_read:
        _process_link = _link_from(os.environ)
        _process_was_read = True
    return _process_link


def _link_from(env: Mapping[str, str]) -> RunLink | None:
    run_id = unquote(env.get(ENV_RUN_ID))
    trace = parse_traceparent(env.get("TRACEPARENT"))
    if run_id is None and trace is None:
        return None
    trace_id, span_id, flags = trace or (None, None, SAMPLED)
    tracestate = parse_tracestate(env.get("TRACESTATE")) if trace else None
    if run_id is None:
        return RunLink(trace_id=trace_id, span_id=span_id, trace_flags=flags, tracestate=tracestate)
    step = env.get(ENV_PARENT_STEP) or ""
    return RunLink(
        run_id,
        step=int(step) if step.isascii() and step.isdigit() and len(step) <= 16 and int(step) else None,
        root_run_id=unquote(env.get(ENV_ROOT_RUN_ID)),
        session_id=unquote(env.get(ENV_SESSION_ID)),
        trace_id=trace_id,
        span_id=span_id,
        trace_flags=flags,
        tracestate=tracestate,
    )
