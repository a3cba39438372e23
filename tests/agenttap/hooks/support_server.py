"""A loopback server that answers byte by byte as a test says, on a thread of its own."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    Answer = Callable[["Peer", "Asked"], None]

__all__ = ["PATIENCES_S", "Asked", "Peer", "RawServer", "chunked", "free_port", "plain", "stalled"]

#: What a client that gives up is told to wait, one after the other until what should come first has come:
#: in no fixed time is a loaded machine sure to have answered.
PATIENCES_S = (0.05, 0.5, 5.0, 50.0)


class Asked(NamedTuple):
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Peer:
    """The server's end of one connection."""

    def __init__(self, connection: socket.socket, server: RawServer) -> None:
        self._connection, self._server = connection, server

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def send_head(self, status: int = 200, *headers: str) -> None:
        lines = "".join(f"{header}\r\n" for header in headers)
        self.send(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode())

    def send_chunk(self, data: bytes) -> None:
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    def wait(self) -> None:
        """Go on when the test calls `RawServer.go`."""
        # The client may have gone without taking every step: then nobody calls, and the test is over.
        if not self._server.steps.acquire(timeout=120) or self._server.is_closed:
            raise ConnectionAbortedError

    def is_gone(self) -> bool:
        """Whether the client closes the connection (waits for it)."""
        try:
            return self._connection.recv(1) == b""
        except OSError:
            return True

    def cut(self) -> None:
        """Close in the middle."""
        self._connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    def reset(self) -> None:
        """Close as a crash does."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError


class RawServer:
    """Serves *answers* by path; `asked` is what came, in order."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        #: Released once for each request that has come whole.
        self.came = threading.Semaphore(0)
        self.steps = threading.Semaphore(0)
        self.is_closed = False
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def on(self, path: str, answer: Answer) -> str:
        self.answers[path] = answer
        return self.url + path

    def go(self) -> None:
        self.steps.release()

    def close(self) -> None:
        self.is_closed = True
        self._socket.close()
        self.steps.release(len(self._connections) + 1)
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        peer = Peer(connection, self)
        try:
            with connection, connection.makefile("rb") as stream:
                while True:
                    line = stream.readline().decode()
                    if not line:
                        return
                    method, path, _ = line.split(" ")
                    asked = Asked(method, path, *_read_rest(stream))
                    self.asked.append(asked)
                    self.came.release()
                    self.answers[path](peer, asked)
        except (OSError, ValueError):  # gone, or gone in the middle of its request
            return


def _read_rest(stream: object) -> tuple[dict[str, str], bytes]:
    headers: dict[str, str] = {}
    while line := stream.readline().decode().strip():  # type: ignore[attr-defined]
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") != "chunked":
        return headers, stream.read(int(headers.get("content-length", 0)))  # type: ignore[attr-defined]
    body = b""
    while size := int(stream.readline(), 16):  # type: ignore[attr-defined]
        body += stream.read(size)  # type: ignore[attr-defined]
        stream.readline()  # type: ignore[attr-defined]
    stream.readline()  # type: ignore[attr-defined]
    return headers, body


def plain(body: bytes, *headers: str, status: int = 200) -> Answer:
    """Answer with *body* at once."""

    def answer(peer: Peer, asked: Asked) -> None:
        # In one piece: who gets a redirect may close without waiting for its body.
        head = "".join(f"{header}\r\n" for header in (f"Content-Length: {len(body)}", *headers))
        peer.send(
            f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + (body if asked.method != "HEAD" else b"")
        )

    return answer


def chunked(*pieces: bytes, headers: tuple[str, ...] = (), is_stepped: bool = False) -> Answer:
    """Answer piece by piece; *is_stepped*: each waits for `RawServer.go`."""

    def answer(peer: Peer, asked: Asked) -> None:
        peer.send_head(200, "Transfer-Encoding: chunked", *headers)
        for piece in pieces:
            if is_stepped:
                peer.wait()
            peer.send_chunk(piece)
        peer.send(b"0\r\n\r\n")

    return answer


def stalled(*pieces: bytes) -> Answer:
    """Answer with a head and *pieces*, and then nothing more."""

    def answer(peer: Peer, asked: Asked) -> None:
        peer.send_head(200, "Transfer-Encoding: chunked")
        for piece in pieces:
            peer.send_chunk(piece)
        peer.wait()

    return answer


def free_port() -> int:
    """Return a port where nobody listens, nor will: it stays taken until this process ends."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    port: int = taken.getsockname()[1]
    taken.detach()
    return port
