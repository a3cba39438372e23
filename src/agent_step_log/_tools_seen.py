"""Which tool calls a log has recorded, for whoever works tool calls out from elsewhere.

A tool call can be observed twice: by the code that runs the tool, and by what reads the
model's next request. The observation wins; the inference asks here first.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from threading import RLock

import msgspec

from agent_step_log._values import plain

__all__ = ["ToolsSeen"]

#: Calls remembered. One is asked for a turn after it was recorded, so tens would do.
MAX_CALLS = 4096

_encode = msgspec.json.Encoder(enc_hook=plain, order="sorted").encode


class ToolsSeen:
    """The last tool calls of a log. Safe from any thread."""

    def __init__(self) -> None:
        self._calls: deque[tuple[str | None, str, bytes | None]] = deque(maxlen=MAX_CALLS)
        # Protects the search-and-remove of `take`. Reentrant: a signal handler may make a call in it.
        self._lock = RLock()

    def add(self, tool_call_id: str | None, tool: str, given: object) -> None:
        """Remember one call. Never raises."""
        self._calls.append((tool_call_id, tool, None if tool_call_id is not None else _form(given)))

    def take(self, tool_call_id: str | None, tool: str, given: object) -> bool:
        """Tell whether this call has been recorded, and forget it: by its id, else by tool and arguments."""
        wanted = _form(given)
        with self._lock:
            for call in list(self._calls):
                seen_id, seen_tool, form = call
                if (seen_id is not None and seen_id == tool_call_id) or (
                    seen_id is None and seen_tool == tool and form is not None and form == wanted
                ):
                    with suppress(ValueError):  # the oldest, and others have just been added
                        self._calls.remove(call)
                    return True
        return False


def _form(given: object) -> bytes | None:
    """Return the arguments in one form for all orders of keys; None where they have none."""
    try:
        return _encode(given)
    except Exception:  # noqa: BLE001  arguments of any kind: then only an id can tell
        return None
