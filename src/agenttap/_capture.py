"""One exchange as it passes: what the hooks tell, and when.

A hook calls, in this order and each from whatever thread the client uses:

    begin (in `_active`)   the request is about to be sent; None: not of interest, leave it alone
    request_chunk          a piece of a request body that the caller streams
    request_sent           the whole request is on its way: the time to write it down
    response               status and headers have come
    chunk                  bytes of the body, as the client got them
    end                    no more will come; the first call counts

Nothing here raises into a hook, waits, or changes a byte. Bytes are kept until
the recorder takes them, at most `FLUSH_BYTES` or `FLUSH_S` seconds' worth.
"""

from __future__ import annotations

from hashlib import sha256
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


class Recorder(Protocol):
    """What takes captures down; its methods never raise."""

    def sent(self, capture: Capture) -> None:
        """The request is whole."""

    def part(self, capture: Capture) -> None:
        """Take `chunks`; more will come."""

    def ended(self, capture: Capture) -> None:
        """Take the rest."""

    def failed(self, error: BaseException) -> None:
        """Something in the tap went wrong."""


class Capture:
    """See the module.

    Attributes:
        ts: Unix seconds when the request began.
        t_request, t_headers, t_first_byte, t_end: `perf_counter` seconds; None: has not happened.
        chunks: What arrived and was not taken yet: ``(perf_counter seconds, bytes)``.
        is_decoded: The client hands on bytes with their content-encoding undone (aiohttp).
    """

    __slots__ = (
        "__weakref__",
        "_flush_at",
        "_hash",
        "_held",
        "_is_ended",
        "_is_sent",
        "body",
        "chunks",
        "client",
        "error",
        "headers",
        "how",
        "http_version",
        "is_decoded",
        "method",
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
        headers: Headers,
        body: bytes | bytearray | None,
    ) -> None:
        self.recorder = recorder
        self.client, self.method, self.url, self.headers = client, method, url, headers
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
        self.response_headers: Headers = []
        self.http_version: str | None = None
        self.is_decoded = False
        self.chunks: list[tuple[float, bytes]] = []
        self.how: How | None = None
        self.error: BaseException | None = None
        #: The recorder's own.
        self.state: object = None
        self._held = 0
        self._flush_at = self.t_request + FLUSH_S
        self._is_sent = False
        self._is_ended = False

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

    def request_sha256(self) -> bytes:
        """Return the digest of the request's body so far."""
        digest: bytes = (self._hash or sha256(self.body or b"")).digest()
        return digest

    def request_sent(self) -> None:
        """The last byte of the request has been handed to the connection; the first call counts."""
        if self._is_sent:
            return
        self._is_sent = True
        self.recorder.sent(self)

    def response(
        self,
        status: int,
        headers: Iterable[tuple[str | bytes, str | bytes]],
        *,
        http_version: str | None = None,
        is_decoded: bool = False,
    ) -> None:
        """Take the response's status and headers."""
        try:
            self.t_headers = perf_counter()
            self.status, self.http_version, self.is_decoded = status, http_version, is_decoded
            self.response_headers = [(text_of(name), text_of(value)) for name, value in headers]
            self.request_sent()
        except Exception as error:  # noqa: BLE001
            self.recorder.failed(error)

    def chunk(self, data: bytes) -> None:
        """Take bytes of the response's body as they pass."""
        now = perf_counter()
        self.chunks.append((now, data))
        self._held += len(data)
        if self._held > FLUSH_BYTES or now > self._flush_at:
            self._flush(now)

    def _flush(self, now: float) -> None:
        if self.t_first_byte is None and self.chunks:
            self.t_first_byte = self.chunks[0][0]
        self._held = 0
        self._flush_at = now + FLUSH_S
        self.recorder.part(self)

    def end(self, how: How, error: BaseException | None = None) -> None:
        """No more will come. Of several calls the first counts."""
        if self._is_ended:
            return
        self._is_ended = True
        self.t_end = perf_counter()
        self.how, self.error = how, error
        if self.t_first_byte is None and self.chunks:
            self.t_first_byte = self.chunks[0][0]
        self.request_sent()
        self.recorder.ended(self)
        # A traceback holds the frames of the agent, and this may live as long as its connection.
        self.error = None


def text_of(value: str | bytes) -> str:
    """Return a header's name or value as text."""
    # aiohttp's names are of a subclass, which no encoder knows.
    return str(value) if isinstance(value, str) else value.decode("latin-1")
