"""What each API's file tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from tests.provider._behaviours import Marks
    from tests.provider._facts import Answer, Asked, Reply

__all__ = ["Api"]


@dataclass(frozen=True)
class Api:
    """One API.

    Attributes:
        path: Matches the end of the paths it is served at.
        read: (path with query, body) -> what is asked.
        reply: The response to it.
        error: (HTTP status) -> the body it refuses with, and the word for it.
        gives_ids: Its tool calls have ids.
    """

    name: str
    path: re.Pattern[str]
    read: Callable[[str, dict[str, Any]], Asked]
    reply: Callable[[Asked, Answer, Marks], Reply]
    error: Callable[[int], tuple[dict[str, Any], str]]
    gives_ids: bool = True
