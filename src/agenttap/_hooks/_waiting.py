"""When a request that has left is written down: while its caller waits.

A provider thinks before it answers, and then there is time. One that has its answer at once is
given a moment first: a chunk that is there goes before our work, see `agenttap._capture`.
"""

from __future__ import annotations

import select
from asyncio import get_running_loop
from socket import MSG_PEEK, socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agenttap._capture import Capture

__all__ = ["async_begun", "async_sent", "sent"]

#: Seconds an answer is waited for before the work begins. A kill in them leaves nothing of the request.
#: A thread whose answer came in them writes when it asks for more than the first chunk.
PATIENCE_S = 0.005

#: Bytes of an answer in which its head is looked for; few have a longer one.
_HEAD_BYTES = 4096


def sent(capture: Capture, sock: Any) -> None:
    """The request has left through *sock*, and this thread is about to wait for the answer.

    Args:
        capture: Of the request.
        sock: The socket the answer will come through, and nothing before it; None: not known.
    """
    if sock is None or not _is_readable(sock):
        capture.request_sent()
    elif not _is_body_there(sock):
        # Status and headers come at once, and then it thinks.
        capture.announce()


def async_begun(capture: Capture) -> None:
    """The running task is about to send, and may wait for a connection before that."""
    try:
        get_running_loop().call_later(PATIENCE_S, capture.waited)
        capture.is_on_time = True
    except RuntimeError:  # trio
        capture.announce()


def async_sent(capture: Capture) -> None:
    """The request has left, and the running task is about to wait for the answer."""
    capture.has_left = True
    if capture.is_on_time:
        return
    try:
        get_running_loop().call_later(PATIENCE_S, capture.request_sent)
    except RuntimeError:
        capture.request_sent()


def _is_readable(sock: Any) -> bool:
    try:
        if not hasattr(select, "poll"):  # Windows
            return bool(select.select([sock], [], [], PATIENCE_S)[0])
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(PATIENCE_S * 1000))
    except Exception:  # noqa: BLE001  a socket of another kind, or closed: the client will tell
        return False


def _is_body_there(sock: Any) -> bool:
    """Whether what has come through *sock* is an answer's head and more than that; TLS does not show it."""
    try:
        come = sock.recv(_HEAD_BYTES, MSG_PEEK) if type(sock) is socket else b""
    except OSError:
        return False
    return 0 <= come.find(b"\r\n\r\n") < len(come) - 4
