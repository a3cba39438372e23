"""The taps that are on, and the one way in for every hook.

Hooks belong to the process, taps come and go: a hook asks `begin` for each
request and gets a `Capture` of the innermost tap that is on, or None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agenttap._capture import Capture
    from agenttap._tap import Tap

__all__ = ["active", "begin"]

#: Taps that are on, the innermost last.
active: list[Tap] = []


def begin(
    client: str,
    method: str,
    url: str,
    headers: Iterable[tuple[str | bytes, str | bytes]],
    body: bytes | None,
    *,
    is_streamed: bool = False,
) -> Capture | None:
    """Begin one exchange.

    Args:
        client: The library that sends it: "httpx", "httpx2", "aiohttp", "urllib3".
        method: GET, POST, ...
        url: Absolute, as it is requested.
        headers: As they are sent.
        body: The whole body, or None where there is none or the caller streams it.
        is_streamed: The body comes through `Capture.request_chunk`.

    Returns:
        None when no tap is on, or none wants it: then the hook leaves the exchange alone.

    Raises:
        CallRefusedError: The tap's guard refuses it: the hook lets that pass, and nothing is sent. It is
            no `Exception`; nothing else is raised.
    """
    try:
        return active[-1].begin(client, method, url, headers, body, is_streamed=is_streamed)
    except IndexError:
        return None
