"""`TapTransport`: capture for one client, for people who want nothing patched."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from agenttap._hooks._httpx import async_send, begin_request, send, tees_of
from agenttap._tap import Tap

if TYPE_CHECKING:
    import os
    from types import TracebackType

__all__ = ["TapTransport"]

Transport = TypeVar("Transport")


def TapTransport(  # noqa: N802  read as a class: httpx2.Client(transport=TapTransport(...))
    inner: Transport, tap: Tap | str | os.PathLike[str] | None = None
) -> Transport:
    """Return a transport for httpx or httpx2 that captures what passes through *inner*.

    ``httpx2.Client(transport=TapTransport(httpx2.HTTPTransport(), tap))``, plain and asynchronous.
    Nothing is patched: only what this client sends is captured. Beside an installed tap a
    request is still captured once, by this one.

    Args:
        inner: The transport that does the work; closed with the one returned.
        tap: A `Tap` that has not been started, or the directory of the tapes. Default: the
            directory a `Tap` takes by default.
    """
    # For a type checker it is what it stands for: the client asks for a transport of its library.
    return cast("Transport", _Tapping(inner, tap))


class _Tapping:
    """See `TapTransport`."""

    def __init__(self, inner: Any, tap: Tap | str | os.PathLike[str] | None) -> None:
        self._inner = inner
        self._tap = tap if isinstance(tap, Tap) else Tap(tap)
        self._is_own = self._tap is not tap

    @property
    def tap(self) -> Tap:
        """The tap that captures."""
        return self._tap

    def handle_request(self, request: Any) -> Any:
        """Send *request* through the inner transport."""
        library = _library_of(request)
        capture = begin_request(request, library, self._tap.begin)
        if capture is None:
            return self._inner.handle_request(request)
        tees = tees_of(sys.modules[library])
        return send(request, capture, tees, self._inner, lambda: self._inner.handle_request(request))

    async def handle_async_request(self, request: Any) -> Any:
        """Send *request* through the inner transport."""
        library = _library_of(request)
        capture = begin_request(request, library, self._tap.begin)
        if capture is None:
            return await self._inner.handle_async_request(request)
        tees = tees_of(sys.modules[library])
        return await async_send(request, capture, tees, lambda: self._inner.handle_async_request(request))

    def close(self) -> None:
        """Close the inner transport, and the tap if it was made here."""
        try:
            self._inner.close()
        finally:
            self._close_tap()

    async def aclose(self) -> None:
        """Close the inner transport, and the tap if it was made here."""
        try:
            await self._inner.aclose()
        finally:
            self._close_tap()

    def _close_tap(self) -> None:
        if self._is_own:
            self._tap.close()

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        try:
            self._inner.__exit__(kind, error, trace)
        finally:
            self._close_tap()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        try:
            await self._inner.__aexit__(kind, error, trace)
        finally:
            self._close_tap()


def _library_of(request: Any) -> str:
    """Return the library *request* is of, by its class: httpx2 may answer to httpx's name as well."""
    return type(request).__module__.partition(".")[0]
