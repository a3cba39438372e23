"""urllib3 1.26 and 2, and so requests and botocore: one exchange for each attempt on the wire.

`HTTPConnectionPool._make_request` is one attempt: `urlopen` calls it again for its
own retries and redirects. While it runs, the connection's `getresponse` is ours: by
then the request has left. The response that `http.client` makes there, which both
versions of urllib3 read from in the end, gets the class of a subclass that notes what
is read: content-encoding as sent, chunked framing undone.

Where urllib3 undoes that framing itself, in `read_chunked`, it takes the pieces through
`_safe_read`, and the line ends too: the first after a chunk's length has been looked at,
in `_update_chunk_length` of its own response, is a piece.
"""

from __future__ import annotations

import sys
from enum import Enum
from functools import wraps
from http.client import IncompleteRead
from inspect import signature
from io import TextIOBase
from typing import TYPE_CHECKING, Any

from agenttap._active import begin
from agenttap._hooks._waiting import sent
from agenttap._hooks._wrapping import how_of, is_ours, replace, unbound
from agenttap.errors import HookError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from agenttap._capture import Capture, How

__all__ = ["patch"]

#: The attribute of an `http.client` response that leads to its `_Read`; None: it has ended.
MARK = "_agenttap"


def patch(module: ModuleType) -> list[Callable[[], None]]:
    """Hook *module*, the imported urllib3; return what undoes it.

    Raises:
        HookError: It is not as 1.26 and 2 are. Nothing is hooked then.
    """
    try:
        pool = module.HTTPConnectionPool
        response = sys.modules["urllib3.response"].HTTPResponse
        incomplete = sys.modules["urllib3.exceptions"].IncompleteRead
    except (KeyError, AttributeError) as error:
        raise HookError("urllib3", f"it is not as expected ({error})") from None
    is_first = str(getattr(module, "__version__", "")).startswith("1.")
    targets: list[tuple[Any, str, Callable[[Any], Any]]] = [
        (pool, "_make_request", lambda original: _make_request(original, incomplete, is_first)),
        (response, "_update_chunk_length", _update_chunk_length),
    ]
    for owner, name, _ in targets:
        if name not in vars(owner):
            raise HookError("urllib3", f"it has no {owner.__name__}.{name}")
    undo = []
    for owner, name, make in targets:
        original = vars(owner)[name]
        if not is_ours(original):
            undo.append(replace(owner, name, make(unbound(original))))
    return undo


# The request.


def _make_request(original: Any, incomplete: type, is_first: bool) -> Any:
    # Behind pool, conn, method and url.
    names = list(signature(original).parameters)[4:]

    @wraps(original)
    def _make_request(pool: Any, conn: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        capture = None
        kwargs.update(zip(names, args, strict=False))
        try:
            body = kwargs.get("body")
            whole = _whole_body(body)
            headers = kwargs.get("headers") or {}
            capture = begin(
                "urllib3",
                method,
                _absolute(pool, url),
                [(name, _value(value)) for name, value in headers.items()],
                whole,
                is_streamed=body is not None and whole is None,
            )
            if capture is not None and body is not None and whole is None:
                encoding = "utf-8" if not is_first or kwargs.get("chunked") else "iso-8859-1"
                kwargs["body"] = _tee_body(body, capture, encoding)
        except Exception as error:  # noqa: BLE001  ours; the request itself will tell what is wrong with it
            if capture is not None:
                capture.recorder.failed(error)
        if capture is None:
            return original(pool, conn, method, url, **kwargs)
        # None: a connection is made first. What that brings first need not be the answer (TLS sends tickets),
        # and in HTTP/2 other things come as well.
        sock = getattr(conn, "sock", None) if getattr(conn, "_h2_conn", None) is None else None
        if sock is None:
            capture.announce()
        take_back = _await_response(conn, capture, incomplete, sock)
        try:
            response = original(pool, conn, method, url, **kwargs)
        except BaseException as error:
            capture.end(how_of(error), error)
            raise
        finally:
            take_back()
        _take_untold(response, capture)
        return response

    return _make_request


def _absolute(pool: Any, url: str) -> str:
    if not url.startswith("/"):
        return url  # to a proxy
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    is_usual = pool.port in (None, {"http": 80, "https": 443}.get(pool.scheme))
    return f"{pool.scheme}://{host}{url}" if is_usual else f"{pool.scheme}://{host}:{pool.port}{url}"


def _value(value: Any) -> str | bytes:
    return value if isinstance(value, (str, bytes)) else str(value)


def _whole_body(body: Any) -> bytes | None:
    """Return *body* where it is whole in memory; None where there is none or it comes piece by piece."""
    if body is None or type(body) is bytes:
        return body
    if isinstance(body, str):
        return body.encode()
    if hasattr(body, "read"):
        return None
    try:
        return memoryview(body).tobytes()
    except TypeError:
        return None


def _tee_body(body: Any, capture: Capture, encoding: str) -> Any:
    """Return what urllib3 treats as *body*, and notes what is taken from it."""
    if isinstance(body, TextIOBase):
        return _TextFileTee(body, capture, encoding)
    if hasattr(body, "read"):
        return _FileTee(body, capture, encoding)
    return _tee_pieces(body, capture, encoding)


def _tee_pieces(pieces: Any, capture: Capture, encoding: str) -> Iterator[Any]:
    for piece in pieces:
        capture.request_chunk(piece.encode(encoding) if isinstance(piece, str) else bytes(piece))
        yield piece


class _FileTee:
    """A file being sent."""

    def __init__(self, file: Any, capture: Capture, encoding: str) -> None:
        self._file, self._capture, self._encoding = file, capture, encoding

    def read(self, *args: Any, **kwargs: Any) -> Any:
        data = self._file.read(*args, **kwargs)
        if data:
            self._capture.request_chunk(data.encode(self._encoding) if isinstance(data, str) else bytes(data))
        return data

    def __iter__(self) -> Iterator[Any]:
        return _tee_pieces(self._file, self._capture, self._encoding)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _TextFileTee(_FileTee, TextIOBase):
    """A text file being sent: urllib3 and http.client look at the class to know that they must encode."""


# The response.


def _await_response(conn: Any, capture: Capture, incomplete: type, sock: Any) -> Callable[[], None]:
    """Tee the next response of *conn*, until the result is called; never raises.

    Args:
        sock: What the response will come through; see `sent`.
    """
    is_waiting = True

    def getresponse(*args: Any, **kwargs: Any) -> Any:
        # The last byte of the request has left, and the server is at work.
        made = getattr(conn, "response_class", None)
        if made is None:
            sent(capture, sock)
            return original(*args, **kwargs)

        def make(*args: Any, **kwargs: Any) -> Any:
            response = made(*args, **kwargs)
            if is_waiting:
                try:
                    _Read(capture, incomplete).attach(response)
                except Exception as error:  # noqa: BLE001
                    capture.recorder.failed(error)
                # Not before: what the client makes ready while the server is at work costs nothing.
                sent(capture, sock)
            return response

        conn.response_class = make
        try:
            return original(*args, **kwargs)
        finally:
            # botocore's connection puts one of its own there when it closes.
            if conn.response_class is make:
                conn.response_class = made

    def take_back() -> None:
        nonlocal is_waiting
        is_waiting = False
        if attributes is not None and attributes.get("getresponse") is getresponse:
            del attributes["getresponse"]

    attributes = None
    try:
        # Past any __setattr__: a stand-in for a connection may hand that on to another.
        attributes = vars(conn)
        original = conn.getresponse
        attributes["getresponse"] = getresponse
    except Exception as error:  # noqa: BLE001
        capture.recorder.failed(error)
    return take_back


def _take_untold(response: Any, capture: Capture) -> None:
    """Take a response that did not come through `http.client`, as HTTP/2's and a cassette's do not."""
    if capture.status is not None:
        return
    try:
        capture.response(response.status, response.headers.items())
        data = getattr(response, "_data", None)
        if isinstance(data, bytes):
            capture.chunk(data)
            capture.end("eof")
        else:
            capture.end("closed")
    except Exception as error:  # noqa: BLE001
        capture.recorder.failed(error)
        capture.end("error", error)


class _Stage(Enum):
    """Where urllib3 is in the framing that it undoes itself."""

    #: The next `_safe_read` is no piece of the body.
    ELSEWHERE = 0
    #: It reads a chunk's length, and closes before it says what is wrong with one.
    LENGTH = 1
    #: The next `_safe_read` is a piece of the body.
    PIECE = 2
    #: The last chunk has been seen.
    WHOLE = 3


# An Enum's members are looked up in a slow way, and these for every chunk.
_ELSEWHERE, _LENGTH, _PIECE, _WHOLE = _Stage


class _Read:
    """The reading of one response."""

    __slots__ = ("capture", "chunk", "failure", "incomplete", "stage")

    def __init__(self, capture: Capture, incomplete: type) -> None:
        self.capture, self.incomplete = capture, incomplete
        self.chunk = capture.chunk
        self.stage = _ELSEWHERE
        #: What a read raised. urllib3 closes the response with its own word for it.
        self.failure: BaseException | None = None

    def attach(self, response: Any) -> None:
        """Have *response* tell what is read from it."""
        setattr(response, MARK, self)
        response.__class__ = _reading(type(response))

    def detach(self, response: Any) -> None:
        """Leave *response* as it was made."""
        setattr(response, MARK, None)
        response.__class__ = type(response).__mro__[1]

    def fail(self, error: BaseException) -> None:
        """Note what a read raised, and take what it got before that."""
        self._take_partial(error)
        # `http.client` joins the chunks before the one that was cut; the two bytes of a line end are no body.
        cut = error.__cause__
        if isinstance(cut, IncompleteRead) and len(cut.partial) + (cut.expected or 0) != 2:
            self._take_partial(cut)
        self.failure = error

    def _take_partial(self, error: BaseException) -> None:
        if type(error) is IncompleteRead and error.partial:
            self.chunk(error.partial)

    def look(self, response: Any, is_dry: bool) -> None:
        """End the exchange if *response* has been read to its end; *is_dry*: a read gave nothing."""
        if response.fp is None:
            missing = 0 if response.chunked else response.length or 0
        elif response.length == 0:
            missing = 0
        elif is_dry:
            missing = response.length or 0
        else:
            return
        if missing:
            self.end(response, "error", self.incomplete(self.capture.received, missing))
        else:
            self.end(response, "eof")

    def closed(self, response: Any) -> None:
        """End the exchange: *response* has been closed."""
        if self.stage is _LENGTH:
            return
        failure = self.failure
        if failure is not None:
            told = sys.exc_info()[1]
            if told is not None and failure in (told.__cause__, told.__context__):
                failure = told
            self.end(response, how_of(failure), failure)
        elif self.stage is _WHOLE or response.length == 0:
            self.end(response, "eof")
        else:
            error = sys.exc_info()[1]
            if error is not None and how_of(error) == "cancelled":
                self.end(response, "cancelled", error)
            else:
                self.end(response, "closed")

    def end(self, response: Any, how: How, error: BaseException | None = None) -> None:
        """End the exchange; no more will be read from *response*."""
        self.detach(response)
        self.failure = None
        self.capture.end(how, error)


_subclasses: dict[type, type] = {}


def _reading(base: Any) -> type:
    """Return the subclass of *base*, an `http.client.HTTPResponse`, that tells what is read from it."""
    made = _subclasses.get(base)
    if made is not None:
        return made

    safe_read = base._safe_read

    class Reading(base):  # type: ignore[misc]
        __slots__ = ()

        def begin(self) -> None:
            read: _Read = self._agenttap
            try:
                base.begin(self)
            except BaseException:
                # No answer: `_make_request` fails, and ends the exchange with urllib3's word for it.
                read.detach(self)
                raise
            version = {10: "HTTP/1.0", 11: "HTTP/1.1"}.get(self.version)
            # As they came: `items` looks at each for what `http.client` never puts there.
            read.capture.response(self.status, self.headers.raw_items(), http_version=version)
            if self.length == 0:
                read.end(self, "eof")

        def read(self, amt: int | None = None) -> Any:
            return self._agenttap_read(base.read, amt)

        def read1(self, n: int = -1) -> Any:
            return self._agenttap_read(base.read1, n)

        def _agenttap_read(self, method: Any, amount: int | None) -> Any:
            read: _Read = self._agenttap
            if read.capture.t_first_byte is not None:
                # Before more is read, and waited for.
                read.capture.request_sent()
            try:
                data = method(self, amount)
            except BaseException as error:
                read.fail(error)
                raise
            if data:
                read.chunk(data)
            read.look(self, not data and amount != 0)
            return data

        def _safe_read(self, amt: int) -> Any:
            read: _Read = self._agenttap
            if read.stage is not _PIECE:
                try:
                    return safe_read(self, amt)
                except BaseException as error:
                    read.failure = error
                    raise
            read.stage = _ELSEWHERE
            try:
                data = safe_read(self, amt)
            except BaseException as error:
                read.fail(error)
                raise
            if data:
                read.chunk(data)
            return data

        def close(self) -> None:
            try:
                base.close(self)
            finally:
                read: _Read | None = self._agenttap
                if read is not None:
                    read.closed(self)

    Reading.__name__, Reading.__qualname__ = base.__name__, base.__qualname__
    Reading.__module__ = base.__module__
    _subclasses[base] = Reading
    return Reading


def _update_chunk_length(original: Any) -> Any:
    @wraps(original)
    def _update_chunk_length(response: Any) -> None:
        read: _Read | None = getattr(response._fp, MARK, None)
        if read is None:
            original(response)
            return
        if read.capture.t_first_byte is not None:
            # As in `read`: the piece before is in the caller's hands.
            read.capture.request_sent()
        stage, read.stage = read.stage, _LENGTH
        try:
            original(response)
        except BaseException as error:
            read.stage = stage
            read.fail(error)
            raise
        read.stage = _PIECE if response.chunk_left else _WHOLE

    return _update_chunk_length
