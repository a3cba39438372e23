"""One exchange as it passes: what the hooks tell, and when.

A hook calls, in this order and each from whatever thread the client uses:

    begin (in `_active`)   the request is about to be sent; None: not of interest, leave it alone
    request_chunk          a piece of a request body that the caller streams
    announce               the caller waits, for a connection or the answer: the time to note that it began
    request_sent           the request has left and the caller waits: the time to write it down
    response               status and headers have come
    chunk                  bytes of the body, as the client got them
    end                    no more will come; the first call counts

The work is done in time that the caller spends waiting: not before the request has left, and not
between an answer that has come and its first chunk in the caller's hands. A request that is not written
down by then is when more is asked for, or comes, or at the end. The recorder is called in the context the
request was made in, and by one thread at a time; who comes meanwhile leaves its part to that one.

Nothing here raises into a hook, waits, or changes a byte. Bytes are kept until
the recorder takes them, at most `FLUSH_BYTES` or `FLUSH_S` seconds' worth.
"""

from __future__ import annotations

from contextvars import Context, copy_context
from hashlib import sha256
from threading import Lock
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "FLUSH_BYTES",
    "FLUSH_S",
    "MAX_STREAMED_REQUEST",
    "Capture",
    "Headers",
    "How",
    "Recorder",
    "text_of",
]

#: Bytes of a body held in memory before they go to the tape.
FLUSH_BYTES = 256 * 1024
#: Seconds after which what has arrived goes to the tape, so that a kill does not take it.
FLUSH_S = 1.0

#: Bytes kept of a request body that the caller streams; what comes after is counted and hashed.
MAX_STREAMED_REQUEST = 8 * 1024 * 1024

#: How a body ended, as the hook saw it: read to its end; closed by the caller before that;
#: the caller's task cancelled; or an exception, the connection's or the caller's.
How = Literal["eof", "closed", "cancelled", "error"]

Headers: TypeAlias = "list[tuple[str, str]]"

_NO_CONTEXT = Context()


class Recorder(Protocol):
    """What takes captures down; its methods never raise."""

    def begun(self, capture: Capture) -> None:
        """An exchange has begun."""

    def sent(self, capture: Capture) -> None:
        """The request is whole, and the caller waits."""

    def part(self, capture: Capture) -> None:
        """Take `chunks`; more will come."""

    def ended(self, capture: Capture) -> None:
        """Take the rest."""

    def failed(self, error: BaseException) -> None:
        """Something in the tap went wrong."""


class Capture:
    """See the module.

    Attributes:
        headers: Of the request, as they were given; the recorder makes text of them.
        api: The name of its API, "unknown", or None for what is no model's traffic.
        ts: Unix seconds when the request began.
        t_request, t_headers, t_first_byte, t_end: `perf_counter` seconds; None: has not happened.
        chunks: What arrived and was not taken yet: ``(perf_counter seconds, bytes)``.
        is_decoded: The client hands on bytes with their content-encoding undone (aiohttp).
        has_left: The request has been sent; told by `request_sent`, or to be told by `waited`.
        is_on_time: An event loop has been asked to call `waited`, and has not yet.
    """

    __slots__ = (
        "__weakref__",
        "_busy",
        "_context",
        "_done",
        "_due",
        "_flush_at",
        "_hash",
        "_held",
        "_is_ended",
        "_taken",
        "api",
        "body",
        "chunks",
        "client",
        "error",
        "has_left",
        "headers",
        "how",
        "http_version",
        "is_attributed",
        "is_decoded",
        "is_on_time",
        "method",
        "n",
        "place",
        "recorder",
        "request_size",
        "response_headers",
        "state",
        "status",
        "t_end",
        "t_first_byte",
        "t_headers",
        "t_request",
        "ts",
        "url",
    )

    def __init__(
        self,
        recorder: Recorder,
        client: str,
        method: str,
        url: str,
        headers: list[Any],
        body: bytes | bytearray | None,
        api: str | None = None,
    ) -> None:
        self.recorder = recorder
        self.client, self.method, self.url, self.headers = client, method, url, headers
        self.api = api
        #: The request's body so far. A bytearray while the caller streams it.
        self.body = body
        #: Bytes of it that were sent.
        self.request_size = len(body or b"")
        self._hash: Any = None
        self.ts = time()
        self.t_request = perf_counter()
        self.t_headers: float | None = None
        self.t_first_byte: float | None = None
        self.t_end: float | None = None
        self.status: int | None = None
        #: As they came; the recorder makes text of them.
        self.response_headers: list[Any] = []
        self.http_version: str | bytes | None = None
        self.is_decoded = self.is_on_time = self.has_left = False
        self.chunks: list[tuple[float, bytes]] = []
        self.how: How | None = None
        self.error: BaseException | None = None
        #: The recorder's own, as are the three below.
        self.state: Any = None
        self.n = 0
        self.is_attributed = True
        self.place: tuple[int, int] | None = None
        self._held = self._taken = 0
        self._flush_at = self.t_request + FLUSH_S
        self._is_ended = False
        # What the recorder is to be told and has been told: 1 begun, 2 sent, 3 ended.
        self._due = self._done = 0
        # Held by who tells it. Never waited for: a finaliser may come while this very thread holds it.
        self._busy = Lock()
        self._context = copy_context()

    def request_chunk(self, data: bytes) -> None:
        """Take a piece of a request body that the caller streams."""
        try:
            if type(self.body) is not bytearray:
                self.body, self._hash = bytearray(), sha256()
            self._hash.update(data)
            self.request_size += len(data)
            if len(self.body) < MAX_STREAMED_REQUEST:
                self.body += data[: MAX_STREAMED_REQUEST - len(self.body)]
        except Exception as error:  # noqa: BLE001  the agent is sending; nothing of ours may stop it
            self.recorder.failed(error)

    def request_headers(self) -> dict[str, str]:
        """Return the request's headers, their names in lower case."""
        return {text_of(name).lower(): text_of(value) for name, value in self.headers}

    def request_sha256(self) -> bytes:
        """Return the digest of the request's body so far."""
        digest: bytes = (self._hash or sha256(self.body or b"")).digest()
        return digest

    def announce(self) -> None:
        """Note that the exchange has begun; the first call counts."""
        if self._due == 0:
            self._due = 1
            self._settle()

    def request_sent(self) -> None:
        """The last byte of the request has been handed to the connection; the first call counts."""
        if self._due < 2:
            self._due = 2
            self._settle()

    def waited(self) -> None:
        """The caller has been waiting for a while."""
        self.is_on_time = False
        if self.has_left:
            self.request_sent()
        else:
            self.announce()

    def _settle(self) -> None:
        """Tell the recorder what is due."""
        busy = self._busy
        # Asked again after letting go: who came in between has left its part to us.
        while self._done < (3 if self._is_ended else self._due) and busy.acquire(blocking=False):
            try:
                while self._done < (3 if self._is_ended else self._due):
                    self._done += 1
                    recorder = self.recorder
                    tell = (recorder.begun, recorder.sent, recorder.ended)[self._done - 1]
                    self._context.run(tell, self)
                if self._done == 3:
                    # An agent may keep its responses, and a response keeps this. (A traceback holds frames.)
                    self.error, self._context = None, _NO_CONTEXT
            finally:
                busy.release()

    def response(
        self,
        status: int,
        headers: Iterable[tuple[str | bytes, str | bytes]],
        *,
        http_version: str | bytes | None = None,
        is_decoded: bool = False,
    ) -> None:
        """Take the response's status and headers."""
        try:
            self.t_headers = perf_counter()
            self.status, self.http_version, self.is_decoded = status, http_version, is_decoded
            self.response_headers = list(headers)
            if self._due < 2:
                # The answer was faster. Its first chunk goes before our work.
                self._flush_at = 0.0
        except Exception as error:  # noqa: BLE001
            self.recorder.failed(error)

    def chunk(self, data: bytes) -> None:
        """Take bytes of the response's body as they pass."""
        now = perf_counter()
        self.chunks.append((now, data))
        held = self._held = self._held + len(data)
        if held > FLUSH_BYTES or now > self._flush_at:
            self._flush(now)

    @property
    def received(self) -> int:
        """Bytes of the response's body that have come."""
        return self._taken + self._held

    def _flush(self, now: float) -> None:
        if self.t_first_byte is None and self.chunks:
            self.t_first_byte = self.chunks[0][0]
            if self._due < 2:
                return
        self.request_sent()
        if self._flush_at == 0.0 and self._held <= FLUSH_BYTES:
            self._flush_at = now + FLUSH_S
            return
        self._taken += self._held
        self._held = 0
        self._flush_at = now + FLUSH_S
        self.recorder.part(self)

    def end(self, how: How, error: BaseException | None = None) -> None:
        """No more will come. Of several calls the first counts."""
        if self._is_ended:
            return
        self.t_end = perf_counter()
        self.how, self.error = how, error
        if self.t_first_byte is None and self.chunks:
            self.t_first_byte = self.chunks[0][0]
        self._is_ended = True
        self._settle()


def text_of(value: str | bytes) -> str:
    """Return a header's name or value as text."""
    # aiohttp's names are of a subclass, which no encoder knows.
    return str(value) if isinstance(value, str) else value.decode("latin-1")
