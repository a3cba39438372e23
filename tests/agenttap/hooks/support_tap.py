"""A tap that keeps every exchange as the hooks told it."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from agenttap import _active
from agenttap._capture import Capture, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

__all__ = ["KeepingTap", "Kept"]


class Kept:
    """One exchange."""

    def __init__(self, capture: Capture, is_streamed: bool) -> None:
        self.capture, self.is_streamed = capture, is_streamed
        self.headers = {str(name).lower(): value for name, value in capture.headers}
        self.chunks: list[tuple[float, bytes]] = []
        #: The names of what was told, in order.
        self.told: list[str] = []
        self.how: str | None = None
        self.error: BaseException | None = None
        self.request_body: bytes | None = None
        self.t_sent = 0.0

    @property
    def body(self) -> bytes:
        return b"".join(data for _, data in [*self.chunks, *self.capture.chunks])

    @property
    def pieces(self) -> list[bytes]:
        return [data for _, data in [*self.chunks, *self.capture.chunks]]

    @property
    def times(self) -> list[float]:
        return [t for t, _ in [*self.chunks, *self.capture.chunks]]

    @property
    def status(self) -> int | None:
        return self.capture.status


class KeepingTap:
    """On while entered."""

    def __init__(
        self, on_sent: Callable[[], None] = lambda: None, on_begun: Callable[[], None] = lambda: None
    ) -> None:
        self.exchanges: list[Kept] = []
        self.failures: list[BaseException] = []
        self._on_sent, self._on_begun = on_sent, on_begun
        self.wants = True

    def begin(
        self,
        client: str,
        method: str,
        url: str,
        headers: Iterable[tuple[str | bytes, str | bytes]],
        body: bytes | None,
        *,
        is_streamed: bool,
    ) -> Capture | None:
        if not self.wants:
            return None
        texts = [
            tuple(part.decode() if isinstance(part, bytes) else part for part in pair) for pair in headers
        ]
        capture = Capture(self, client, method, url, texts, body)
        capture.state = Kept(capture, is_streamed)
        self.exchanges.append(capture.state)
        return capture

    def begun(self, capture: Capture) -> None:
        self._kept(capture, "begun")
        self._on_begun()

    def sent(self, capture: Capture) -> None:
        kept = self._kept(capture, "sent")
        kept.t_sent = perf_counter()
        kept.request_body = None if capture.body is None else bytes(capture.body)
        self._on_sent()

    def part(self, capture: Capture) -> None:
        kept = self._kept(capture, "part")
        kept.chunks += capture.chunks
        capture.chunks = []

    def ended(self, capture: Capture) -> None:
        kept = self._kept(capture, "ended")
        kept.how, kept.error = capture.how, capture.error
        capture.response_headers = [
            (text_of(name), text_of(value)) for name, value in capture.response_headers
        ]
        kept.chunks += capture.chunks
        capture.chunks = []

    def failed(self, error: BaseException) -> None:
        self.failures.append(error)

    def _kept(self, capture: Capture, what: str) -> Kept:
        kept: Any = capture.state
        kept.told.append(what)
        assert isinstance(kept, Kept)
        return kept

    @property
    def only(self) -> Kept:
        [kept] = self.exchanges
        return kept

    def __enter__(self) -> KeepingTap:
        _active.active.append(self)  # type: ignore[arg-type]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _active.active.remove(self)  # type: ignore[arg-type]
        if kind is None:
            assert self.failures == []
