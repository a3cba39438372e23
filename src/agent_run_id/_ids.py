"""Run ids, and the W3C ids that follow from them.

    run id    := prefix "_" hex32        run_0193e2a51c4b7d3f9a6be1d2c3f40718
    prefix    := 1 to 64 of [A-Za-z0-9_-], first one a letter or digit; default "run"
    hex32     := a UUID version 7 (RFC 9562) as 32 lowercase hexadecimal digits

    bits 127..80   Unix time in milliseconds
    bits  79..76   version, 0b0111
    bits  75..64   the fraction of that millisecond, in 1/4096 (RFC 9562 section 6.2, method 3)
    bits  63..62   variant, 0b10
    bits  61..0    random, from the operating system, fresh for each id

Ids of one prefix sort by time as strings, within one process strictly. The 32
digits are the run's W3C trace id, so that either finds the other by a plain text
search; the last 56 bits are random, which is what the ``random`` flag of
``traceparent`` promises. A run id tells its start time to whoever sees it.

A run id may be any other string too: its trace id is then the first 16 bytes of
SHA-256("run\\0" + id). The span id of a step is the first 8 bytes of
SHA-256("step\\0" + run id + "\\0" + step), with the word "run" in the place of the
step for the run itself. Strings are hashed as UTF-8.
"""

from __future__ import annotations

import os
from _thread import RLock
from time import time_ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

__all__ = ["RunId", "is_hex", "is_plain", "step_span_id"]

HEX_DIGITS = "0123456789abcdef"
ZEROS = "0" * 32

# Settles which of two threads drew first. Re-entrant: a signal handler may make an id while
# the thread it interrupted is making one.
_tick_lock = RLock()
_last_tick = 0


def _forget_lock() -> None:
    # Another thread may have held it at the moment of the fork, and is not here to let go.
    global _tick_lock
    _tick_lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


def _next_tick() -> int:
    """Unix time in 1/4096 ms; always more than the last one, also when the clock steps back."""
    global _last_tick
    milliseconds, rest = divmod(time_ns(), 1_000_000)
    tick = milliseconds << 12 | (rest << 12) // 1_000_000
    with _tick_lock:
        if tick <= _last_tick:
            tick = _last_tick + 1
        _last_tick = tick
    return tick


def _new_uuid7() -> int:
    tick = _next_tick()
    # From the operating system each time: a generator of our own would repeat itself after a fork.
    tail = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
    return (tick >> 12 & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | tail


def is_hex(text: str, length: int) -> bool:
    """Whether *text* is *length* lowercase hexadecimal digits, not all of them zero."""
    return len(text) == length and not text.strip(HEX_DIGITS) and text != ZEROS[:length]


def is_plain(text: str) -> bool:
    """Whether *text* is ASCII letters, digits, ``-`` and ``_`` only, and not empty."""
    return text.isascii() and text.replace("_", "a").replace("-", "a").isalnum()


def _digest(text: str) -> str:
    # Imported here: it costs more than the rest of this package, and generated ids never need it.
    from hashlib import sha256

    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def step_span_id(run_id: str, step: int | None = None) -> str:
    """Return the W3C span id of *step* in *run_id*; of the run itself without *step*.

    16 lowercase hexadecimal digits, the same in every process and at every time.
    """
    span_id = _digest(f"step\0{run_id}\0{'run' if step is None else step}")[:16]
    return span_id if span_id != ZEROS[:16] else "0000000000000001"


class RunId(str):
    """The id of a run: a plain string that knows its W3C trace id and, if made here, its start time.

    ``RunId.generate()`` makes a new one; ``RunId("any string")`` takes yours. Compares, sorts,
    hashes, pickles and prints as the string it is. Immutable, so any thread may use it.
    """

    __slots__ = ()

    @classmethod
    def generate(cls, prefix: str = "run") -> Self:
        """Return a new id, later in string order than every earlier one of this process and *prefix*.

        Safe from any thread, signal handler or forked child.

        Args:
            prefix: Readable start of the id. Default: ``"run"``.

        Raises:
            InvalidPrefixError: *prefix* could not stand at the start of a file name.
        """
        if prefix != "run":
            _check_prefix(prefix)
        return cls(f"{prefix}_{_new_uuid7():032x}")

    @classmethod
    def from_string(cls, value: str) -> Self:
        """Return *value* as a run id. Any string will do; nothing is checked or changed."""
        return cls(value)

    @classmethod
    def from_trace_id(cls, trace_id: str | int, prefix: str = "run") -> Self:
        """Return the run id whose :attr:`trace_id` is *trace_id*.

        The way back from a trace to its run, for ids that :meth:`generate` made with *prefix*.

        Args:
            trace_id: 32 lowercase hexadecimal digits, or the 128-bit integer the OpenTelemetry SDK uses.
            prefix: As given to :meth:`generate`; a trace id does not hold it. Default: ``"run"``.

        Raises:
            InvalidTraceIdError: *trace_id* is no W3C trace id.
            InvalidPrefixError: *prefix* could not stand at the start of a file name.
        """
        text = f"{trace_id:032x}" if isinstance(trace_id, int) and trace_id >= 0 else trace_id
        if not isinstance(text, str) or not is_hex(text, 32):
            from .errors import InvalidTraceIdError

            raise InvalidTraceIdError(trace_id)
        _check_prefix(prefix)
        return cls(f"{prefix}_{text}")

    @property
    def value(self) -> str:
        """The id as a plain ``str``, for encoders that take no subclass of it."""
        return str(self)

    @property
    def prefix(self) -> str | None:
        """What stands before the 32 digits; None for an id of another form."""
        return str(self[:-33]) if self._hex32() else None

    @property
    def trace_id(self) -> str:
        """The W3C trace id: 32 lowercase hexadecimal digits, never all zero."""
        return self._hex32() or _hashed_trace_id(self)

    @property
    def timestamp(self) -> float | None:
        """When it was made, in Unix seconds, to about a microsecond; None for an id of another form."""
        digits = self._hex32()
        if digits is None or digits[12] != "7" or digits[16] not in "89ab":
            return None
        return ((int(digits[:12], 16) << 12) + int(digits[13:16], 16)) / 4_096_000

    @property
    def safe_name(self) -> str:
        """A file name for this run: letters, digits, ``-``, ``_`` and ``.``, at most 100 characters.

        The id itself where that is safe, as it is for every generated one. Otherwise what can be
        kept of it, and 16 digits of its trace id so that different ids have different names.
        """
        if len(self) <= 100 and is_plain(self.replace(".", "a")) and self[0] not in ".-":
            return str(self)
        kept = "".join(c if c.isascii() and c.isalnum() else "_" for c in self[:80]).strip("_")
        return f"{kept or 'run'}-{self.trace_id[:16]}"

    def short(self) -> str:
        """Return the last 8 characters: the random end, enough to tell runs apart on a screen.

        Not the first ones, which are the time and the same for all runs of about a minute.
        """
        return str(self[-8:])

    def _hex32(self) -> str | None:
        if len(self) > 33 and self[-33] == "_" and is_hex(self[-32:], 32) and is_plain(self[:-33]):
            return str(self[-32:])
        return None


def _check_prefix(prefix: str) -> None:
    if not isinstance(prefix, str) or len(prefix) > 64 or not is_plain(prefix) or not prefix[0].isalnum():
        from .errors import InvalidPrefixError

        raise InvalidPrefixError(prefix)


def _hashed_trace_id(run_id: str) -> str:
    trace_id = _digest(f"run\0{run_id}")[:32]
    return trace_id if trace_id != ZEROS else ZEROS[:-1] + "1"
