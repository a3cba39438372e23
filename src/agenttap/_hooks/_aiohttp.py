"""aiohttp, from 3.9 on: one exchange for each request that goes to a connection.

    BaseConnector.connect       the exchange begins (a connection may be refused before anything is sent)
    ClientRequest.send          the head is written; with `write_bytes`, the body
    ClientResponse.start        status and headers have come; from here on the body's reader is watched
    ResponseHandler.set_response_params   whether the connection undoes the content-encoding

Redirects and aiohttp's own second tries go this way again: an exchange each. A
request that asks for a websocket is left alone (see `_unseen`), and so is the
CONNECT that a proxy gets.

The body is watched where the connection hands it in: the reader gets the class of
a subclass that adds no attribute, for as long as the body lasts. aiohttp has undone
the content-encoding by then. What belongs to a reader stands in a table beside it,
for since 3.11 a reader takes no attributes.
"""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import ref

from agenttap._active import begin
from agenttap._hooks._waiting import async_begun, async_sent
from agenttap._hooks._wrapping import how_of, is_ours, replace, unbound
from agenttap.errors import HookError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from agenttap._capture import Capture, How

__all__ = ["patch"]

#: The attribute on a request and a response that leads to its exchange; False: nobody wants it.
MARK = "_agenttap"

#: Attribute of a connection's protocol: does it undo the content-encoding?
DECODES = "_agenttap_decodes"


def patch(module: ModuleType) -> list[Callable[[], None]]:
    """Hook *module*, the imported aiohttp; return what undoes it.

    Raises:
        HookError: It is not as 3.9 to 3.14 are. Nothing is hooked then.
    """
    library = _Library(module)
    targets = [
        (module.BaseConnector, "connect", library.connect),
        (module.ClientRequest, "send", library.send),
        (module.ClientRequest, "write_bytes", library.write_bytes),
        (module.ClientResponse, "start", library.start),
        (library.protocol, "set_response_params", _set_response_params),
    ]
    for owner, name, _ in targets:
        if name not in vars(owner):
            raise HookError("aiohttp", f"it has no {owner.__name__}.{name}")
    undo = []
    for owner, name, make in targets:
        original = vars(owner)[name]
        if not is_ours(original):
            undo.append(replace(owner, name, make(unbound(original))))
    return undo


class _Library:
    """The wrappers, and what they must know of the aiohttp they are made for."""

    def __init__(self, module: ModuleType) -> None:
        try:
            self.bytes_payload: type = sys.modules["aiohttp.payload"].BytesPayload
            self.protocol: type = sys.modules["aiohttp.client_proto"].ResponseHandler
            self.connection_error: type = module.ClientConnectionError
            self.reader: type = module.StreamReader
            for name in ("feed_data", "feed_eof", "set_exception", "_wait"):
                getattr(self.reader, name)
            _ = module.BaseConnector, module.ClientRequest, module.ClientResponse
        except (KeyError, AttributeError) as error:
            raise HookError("aiohttp", f"it is not as expected ({error})") from None
        self.encodings = {"gzip", "deflate", "br"}
        if hasattr(sys.modules.get("aiohttp.compression_utils"), "HAS_ZSTD"):
            self.encodings.add("zstd")

    def connect(self, original: Any) -> Any:
        @wraps(original)
        async def connect(connector: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
            capture = self._begin(req)
            if capture is None:
                return await original(connector, req, *args, **kwargs)
            if not _is_connected(connector, req):
                async_begun(capture)
            try:
                return await original(connector, req, *args, **kwargs)
            except BaseException as error:
                _end_failed(capture, req, error)
                raise

        return connect

    def send(self, original: Any) -> Any:
        @wraps(original)
        async def send(req: Any, *args: Any, **kwargs: Any) -> Any:
            capture = _mark_of(req)
            if capture is None and req.method != "CONNECT":
                # A connector of another kind has not been through `connect`.
                capture = self._begin(req)
            if not capture:
                return await original(req, *args, **kwargs)
            try:
                response = await original(req, *args, **kwargs)
            except BaseException as error:
                _end_failed(capture, req, error)
                raise
            try:
                setattr(response, MARK, capture)
                if not _body_of(req):
                    async_sent(capture)
            except Exception as error:  # noqa: BLE001  ours; the agent's request is fine
                capture.recorder.failed(error)
            return response

        return send

    def write_bytes(self, original: Any) -> Any:
        @wraps(original)
        async def write_bytes(req: Any, writer: Any, *args: Any, **kwargs: Any) -> Any:
            capture = _mark_of(req)
            if not capture:
                return await original(req, writer, *args, **kwargs)
            untee = None if type(capture.body) is bytes else _tee_writer(writer, capture)
            try:
                result = await original(req, writer, *args, **kwargs)
            finally:
                if untee is not None:
                    untee()
            async_sent(capture)
            return result

        return write_bytes

    def start(self, original: Any) -> Any:
        @wraps(original)
        async def start(response: Any, connection: Any, *args: Any, **kwargs: Any) -> Any:
            capture = _mark_of(response)
            if not capture:
                return await original(response, connection, *args, **kwargs)
            delattr(response, MARK)
            # Asked now: an answer that is here at once has given the connection up when `start` returns.
            decodes = getattr(getattr(connection, "protocol", None), DECODES, True)
            try:
                result = await original(response, connection, *args, **kwargs)
            except BaseException as error:
                _end_failed(capture, response, error)
                raise
            try:
                self._answered(response, bool(decodes), capture)
            except Exception as error:  # noqa: BLE001
                capture.recorder.failed(error)
                capture.end("error", error)
            return result

        return start

    def _begin(self, req: Any) -> Capture | None:
        try:
            headers = req.headers
            upgrade = headers.get("Upgrade")
            if upgrade and upgrade.lower() == "websocket":
                setattr(req, MARK, False)
                return None
            body = self._whole_body(req)
            capture = begin(
                "aiohttp",
                req.method,
                str(req.url),
                headers.items(),
                body or None,
                is_streamed=body is None,
            )
            setattr(req, MARK, capture or False)
        except Exception:  # noqa: BLE001  a request of another shape is not ours
            return None
        return capture

    def _whole_body(self, req: Any) -> bytes | None:
        """Return the body of *req*, b"" where it has none; None: it comes piece by piece."""
        body = _body_of(req)
        if isinstance(body, self.bytes_payload):
            body = body._value  # type: ignore[attr-defined]
        if not body:
            return b""
        if type(body) is bytes:
            return body
        return bytes(body) if isinstance(body, (bytearray, memoryview)) else None

    def _answered(self, response: Any, decodes: bool, capture: Capture) -> None:
        encoding = response.headers.get("Content-Encoding")
        version = response.version
        capture.response(
            response.status,
            response.raw_headers,
            http_version=f"HTTP/{version[0]}.{version[1]}" if version else None,
            is_decoded=decodes and bool(encoding) and encoding.lower() in self.encodings,
        )
        reader = response.content
        # What came in one piece with the headers is there already.
        for data in getattr(reader, "_buffer", ()):
            capture.chunk(data)
        failure = reader.exception()
        if failure is not None:
            capture.end("error", failure)
        elif reader.is_eof():
            capture.end("eof")
        elif isinstance(reader, self.reader):
            _Watched(response, reader, capture, self.connection_error)
        else:
            raise HookError("aiohttp", f"a body is read by {type(reader).__qualname__}")


class _Watched:
    """A body that is still coming: its exchange, and how the last read of it went."""

    __slots__ = ("capture", "chunk", "closing", "failed", "response")

    def __init__(self, response: Any, reader: Any, capture: Capture, closing: type) -> None:
        key = id(reader)
        self.capture, self.closing = capture, closing
        self.chunk = capture.chunk
        #: The last read was cancelled, or timed out. Only an end if none follows it.
        self.failed: tuple[How, BaseException] | None = None

        # Dropped without being closed. The connection holds it, so that is when the session has gone too.
        def dropped(_: object) -> None:
            watched = _watched.pop(key, None)
            if watched is not None:
                watched.end_closed()

        self.response = ref(response, dropped)
        _watched[key] = self
        reader.__class__ = _watching(type(reader))

    def end_closed(self) -> None:
        error = sys.exc_info()[1]
        if self.failed is not None:
            self.capture.end(*self.failed)
        elif error is not None and how_of(error) == "cancelled":
            self.capture.end("cancelled", error)
        else:
            self.capture.end("closed")
        self.failed = None


#: `id` of a reader -> what belongs to it; for as long as its body lasts and its response lives.
_watched: dict[int, _Watched] = {}

_subclasses: dict[type, type] = {}


def _watching(base: Any) -> type:
    """Return the subclass of *base*, a reader's class, that tells what it is fed."""
    made = _subclasses.get(base)
    if made is not None:
        return made
    feed_data = base.feed_data

    class Watching(base):  # type: ignore[misc]
        __slots__ = ()

        def feed_data(self, data: Any, *args: Any) -> Any:
            result = feed_data(self, data, *args)
            watched = _watched.get(id(self))
            if watched is not None and data:
                watched.chunk(data if type(data) is bytes else bytes(data))
            return result

        def feed_eof(self) -> None:
            base.feed_eof(self)
            watched = self._agenttap_release()
            if watched is not None:
                watched.capture.end("eof")

        def set_exception(self, exc: BaseException, *args: Any, **kwargs: Any) -> None:
            base.set_exception(self, exc, *args, **kwargs)
            watched = self._agenttap_release()
            if watched is None:
                return
            # The one that a response's close() and release() leave for later readers.
            if type(exc) is watched.closing and exc.args == ("Connection closed",):
                watched.end_closed()
            else:
                watched.capture.end("error", exc)

        async def _wait(self, *args: Any, **kwargs: Any) -> Any:
            watched = _watched.get(id(self))
            if watched is None:
                return await base._wait(self, *args, **kwargs)
            watched.failed = None
            try:
                return await base._wait(self, *args, **kwargs)
            except BaseException as error:
                watched.failed = how_of(error), _bare(error)
                raise

        def _agenttap_release(self) -> _Watched | None:
            self.__class__ = base
            return _watched.pop(id(self), None)

    Watching.__name__, Watching.__qualname__ = base.__name__, base.__qualname__
    Watching.__module__ = base.__module__
    _subclasses[base] = Watching
    return Watching


def _bare(error: BaseException) -> BaseException:
    # Without its traceback, whose frames hold the response that is watched for being dropped.
    try:
        return type(error)(*error.args)
    except Exception:  # noqa: BLE001  a class of another signature
        return RuntimeError(f"{type(error).__qualname__}: {error}")


def _set_response_params(original: Any) -> Any:
    @wraps(original)
    def set_response_params(protocol: Any, *args: Any, **kwargs: Any) -> Any:
        setattr(protocol, DECODES, kwargs.get("auto_decompress", True))
        return original(protocol, *args, **kwargs)

    return set_response_params


def _tee_writer(writer: Any, capture: Capture) -> Callable[[], None]:
    """Have each piece that is written through *writer* noted, until the result is called."""
    write = writer.write

    def noting(chunk: Any, *args: Any, **kwargs: Any) -> Any:
        capture.request_chunk(chunk if type(chunk) is bytes else bytes(chunk))
        return write(chunk, *args, **kwargs)

    writer.write = noting

    def undo() -> None:
        vars(writer).pop("write", None)

    return undo


def _mark_of(holder: Any) -> Any:
    return vars(holder).get(MARK)


def _body_of(req: Any) -> Any:
    # `_body` since 3.12, where reading `body` may warn; `body` before.
    attributes = vars(req)
    return attributes["_body"] if "_body" in attributes else attributes.get("body")


def _is_connected(connector: Any, req: Any) -> bool:
    """Whether a connection is kept that *req* may have at once; False as well where that is not known."""
    try:
        return bool(connector._conns.get(req.connection_key))
    except Exception:  # noqa: BLE001  a connector of the agent's own
        return False


def _end_failed(capture: Capture, holder: Any, error: BaseException) -> None:
    how = how_of(error)
    # A timeout of the whole request cancels the task, and is turned into a TimeoutError further out.
    if how == "cancelled" and getattr(getattr(holder, "_timer", None), "_cancelled", False):
        how, error = "error", TimeoutError()
    capture.end(how, error)
