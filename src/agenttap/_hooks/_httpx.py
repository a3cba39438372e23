"""httpx and httpx2: the transports, where a request leaves for the network.

Every client, its redirects and its authentication end in `HTTPTransport` or
`AsyncHTTPTransport`; a call there is one request on the wire. The hooks sit on
the classes, so they see clients that were built before, and transports derived
from these. A transport of the agent's own is seen through `TapTransport`.

Bodies are teed by streams of the library's own kind (the client insists on it):
each chunk is noted and passed on, nothing is read ahead.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any

from agenttap._active import begin
from agenttap._hooks._waiting import async_begun, async_sent, sent
from agenttap._hooks._wrapping import how_of, is_ours, replace, unbound
from agenttap.errors import HookError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractContextManager
    from types import ModuleType

    from agenttap._capture import Capture

__all__ = ["async_send", "begin_request", "patch", "send", "tees_of"]

#: Set on a request that is being captured, so that a transport inside a transport does not do it again.
MARK = "agenttap"


def patch(module: ModuleType) -> list[Callable[[], None]]:
    """Hook the transports of *module* (httpx or httpx2); return what undoes it."""
    undo = []
    for name, method, make in (
        ("HTTPTransport", "handle_request", _sync_method),
        ("AsyncHTTPTransport", "handle_async_request", _async_method),
    ):
        cls = getattr(module, name, None)
        original = vars(cls).get(method) if isinstance(cls, type) else None
        if original is None:
            raise HookError(module.__name__, f"it has no {name}.{method}")
        # httpx2 can put itself in the place of httpx: the same class under two names.
        if not is_ours(original):
            undo.append(replace(cls, method, make(unbound(original), module)))
    return undo


def _sync_method(original: Any, module: ModuleType) -> Any:
    tees = tees_of(module)

    @wraps(original)
    def handle_request(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        capture = begin_request(request, module.__name__)
        if capture is None:
            return original(self, request, *args, **kwargs)
        return send(request, capture, tees, self, lambda: original(self, request, *args, **kwargs))

    return handle_request


def _async_method(original: Any, module: ModuleType) -> Any:
    tees = tees_of(module)

    @wraps(original)
    async def handle_async_request(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        capture = begin_request(request, module.__name__)
        if capture is None:
            return await original(self, request, *args, **kwargs)
        return await async_send(request, capture, tees, lambda: original(self, request, *args, **kwargs))

    return handle_async_request


def send(request: Any, capture: Capture, tees: Tees, transport: Any, pass_on: Callable[[], Any]) -> Any:
    """Send *request* by *pass_on*, its body and the response's teed to *capture*.

    Args:
        transport: The one that *pass_on* sends it through.
    """
    stream = request.stream
    try:
        is_new = _connects(transport)
        if is_new:
            capture.announce()
        # What a new connection brings first need not be the answer (TLS sends tickets).
        request.stream = tees.request(stream, capture, None if is_new else transport)
        response = pass_on()
    except BaseException as error:
        capture.end(how_of(error), error)
        raise
    finally:
        # A redirect or a second try by authentication sends the same request again.
        request.stream = stream
        request.extensions.pop(MARK, None)
    return tees.answered(response, capture)


async def async_send(
    request: Any, capture: Capture, tees: Tees, pass_on: Callable[[], Awaitable[Any]]
) -> Any:
    """Like `send`, for an asynchronous transport."""
    stream = request.stream
    try:
        async_begun(capture)
        request.stream = tees.async_request(stream, capture)
        response = await pass_on()
    except BaseException as error:
        capture.end(how_of(error), error)
        raise
    finally:
        request.stream = stream
        request.extensions.pop(MARK, None)
    return tees.async_answered(response, capture)


def begin_request(request: Any, client: str, start: Callable[..., Capture | None] = begin) -> Capture | None:
    """Begin the capture of one httpx request; None: leave it alone. Never raises."""
    try:
        if MARK in request.extensions:
            return None
        try:
            body = request.content
        except Exception:  # noqa: BLE001  httpx's RequestNotRead: the caller streams it
            body = None
        capture = start(
            client,
            request.method,
            str(request.url),
            request.headers.raw,
            body,
            is_streamed=body is None,
        )
        if capture is not None:
            request.extensions = {**request.extensions, MARK: True}
    except Exception:  # noqa: BLE001  a request of another shape is not ours
        return None
    return capture


def _connects(transport: Any) -> bool:
    """Whether a request through *transport* must make a connection first, or that is not known."""
    try:
        # A loop, for the request waits; a generator would be one thing more to wake.
        for connection in transport._pool.connections:
            if connection.is_available():
                return False
    except Exception:  # noqa: BLE001  a transport of the agent's own
        return True
    return True


def _await_answer(capture: Capture, transport: Any, stream: Any) -> None:
    """Have the request written down while the answer is waited for.

    Args:
        capture: Of a request that has left, as good as.
        transport: That it was given to; None: another is in between.
        stream: Its body.
    """
    network: Any = None if transport is None else _network_of(transport, stream)
    try:
        attributes, read, sock = vars(network), network.read, network.get_extra_info("socket")
        if "read" in attributes:
            raise TypeError(network)

        def first_read(*args: Any, **kwargs: Any) -> Any:
            # Not before: what the client makes ready while the server is at work costs nothing.
            attributes.pop("read", None)
            sent(capture, sock)
            return read(*args, **kwargs)

        attributes["read"] = first_read
    except Exception:  # noqa: BLE001  a network of another kind
        sent(capture, None)


def _network_of(transport: Any, stream: Any) -> Any:
    """Return what *stream*, the body of a request, goes through; None: not known.

    HTTP/1.1 only: in HTTP/2 the end of a body, and much besides, is sent and answered on its own.
    """
    try:
        for one in transport._pool._requests:
            if one.request.stream is stream:
                connection = one.connection._connection
                if type(connection).__name__ == "HTTP11Connection":
                    return connection._network_stream
    except Exception:  # noqa: BLE001  a transport of another kind
        return None
    return None


class Tees:
    """The teeing streams of one library: subclasses of what its client insists on."""

    def __init__(self, module: ModuleType) -> None:
        sync_base, async_base = module.SyncByteStream, module.AsyncByteStream
        core_of = _core_of(module)

        class RequestTee(sync_base):  # type: ignore[misc, valid-type]
            def __init__(self, stream: Any, capture: Capture, transport: Any) -> None:
                self._stream, self._capture, self._transport = stream, capture, transport

            def __iter__(self) -> Iterator[bytes]:
                capture = self._capture
                is_streamed = type(capture.body) is not bytes
                for data in self._stream:
                    if is_streamed:
                        capture.request_chunk(data)
                    yield data
                # Asked for more: what there was is on its way. The end of a streamed body is
                # announced only after this, so there it waits for the response.
                if not is_streamed:
                    _await_answer(capture, self._transport, self)

            def close(self) -> None:
                self._stream.close()

        class AsyncRequestTee(async_base):  # type: ignore[misc, valid-type]
            def __init__(self, stream: Any, capture: Capture) -> None:
                self._stream, self._capture = stream, capture

            async def __aiter__(self) -> AsyncIterator[bytes]:
                capture = self._capture
                is_streamed = type(capture.body) is not bytes
                async for data in self._stream:
                    if is_streamed:
                        capture.request_chunk(data)
                    yield data
                if not is_streamed:
                    async_sent(capture)

            async def aclose(self) -> None:
                await self._stream.aclose()

        class ResponseTee(sync_base):  # type: ignore[misc, valid-type]
            def __init__(self, stream: Any, capture: Capture) -> None:
                self._stream, self._capture = stream, capture

            def __iter__(self) -> Iterator[bytes]:
                capture = self._capture
                take, is_first = capture.chunk, True
                try:
                    for data in self._stream:
                        take(data)
                        yield data
                        if is_first:
                            # Before more is read, and waited for.
                            is_first = False
                            capture.request_sent()
                except BaseException as error:
                    capture.end(how_of(error), error)
                    raise
                capture.end("eof")

            def close(self) -> None:
                try:
                    self._stream.close()
                finally:
                    self._capture.end("closed")

            def __del__(self) -> None:  # dropped without being read or closed
                self._capture.end("closed")

        class AsyncResponseTee(async_base):  # type: ignore[misc, valid-type]
            def __init__(self, stream: Any, capture: Capture) -> None:
                self._stream, self._capture = stream, capture

            async def __aiter__(self) -> AsyncIterator[bytes]:
                capture = self._capture
                take, is_first = capture.chunk, True
                try:
                    source, translating = core_of(self._stream)
                    with translating:
                        async for data in source:
                            take(data)
                            yield data
                            if is_first:
                                # Before more is read, and waited for.
                                is_first = False
                                capture.request_sent()
                except BaseException as error:
                    capture.end(how_of(error), error)
                    raise
                capture.end("eof")

            async def aclose(self) -> None:
                try:
                    await self._stream.aclose()
                finally:
                    self._capture.end("closed")

            def __del__(self) -> None:
                self._capture.end("closed")

        self.request, self.async_request = RequestTee, AsyncRequestTee
        self._response, self._async_response = ResponseTee, AsyncResponseTee

    def answered(self, response: Any, capture: Capture) -> Any:
        """Take status and headers of *response*, and tee its body."""
        _take_head(response, capture)
        response.stream = self._response(response.stream, capture)
        return response

    def async_answered(self, response: Any, capture: Capture) -> Any:
        """Like `answered`, for an asynchronous one."""
        _take_head(response, capture)
        response.stream = self._async_response(response.stream, capture)
        return response


def _core_of(module: ModuleType) -> Callable[[Any], tuple[Any, AbstractContextManager[None]]]:
    """Return what tells of an asynchronous body of *module* where its bytes come from.

    The library's own body is a generator around another, in a context that translates what that one raises.
    Each of them costs as much a chunk as the rest of a tee: there the tee takes the place of the outer one.
    """
    own: Any = None
    try:
        default = sys.modules[f"{module.__name__}._transports.default"]
        body, translate = default.AsyncResponseStream, default.map_httpcore_exceptions
        read = body.__aiter__
        # As it is in 0.28 and in 2. Anybody else's way of reading it stays as it is.
        if read.__code__.co_names == ("map_httpcore_exceptions", "_httpcore_stream"):
            own = body
    except (KeyError, AttributeError):
        pass

    def core_of(stream: Any) -> tuple[Any, AbstractContextManager[None]]:
        if type(stream) is own and own.__aiter__ is read:
            return stream._httpcore_stream, translate()
        return stream, nullcontext()

    return core_of


def _take_head(response: Any, capture: Capture) -> None:
    capture.response(
        response.status_code, response.headers.raw, http_version=response.extensions.get("http_version")
    )


_tees: dict[type, Tees] = {}


def tees_of(module: ModuleType) -> Tees:
    """Return the teeing streams of *module*, made once."""
    base = module.SyncByteStream
    if base not in _tees:
        _tees[base] = Tees(module)
    return _tees[base]
