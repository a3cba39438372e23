"""One run on the screen: what is shown of it, and what is known of how it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agent_stack._tui._beside import Beside
from agent_stack._tui._shown import ShownRows

if TYPE_CHECKING:
    from agent_debug_replay import Navigator

__all__ = ["RunView"]


@dataclass
class RunView:
    """The run of a navigator, as it stands on the screen; it stays when another run is gone into.

    Attributes:
        navigator: Its cursor.
        shown: The rows in the list.
        beside: The thread that looks at it.
        filter: The condition for a row to be in the list; "" for all.
        filtered_to: Rows that the filter was asked about.
        unfiltered: Of those, the ones that say something else since.
        is_read: All of its log that was there has been read.
        is_watched: It is looked at again, for what it has gained.
        is_following: The cursor stays at the end.
        is_gone: Its log is not there any more.
        fresh: Rows it has gained that were not looked at.
        fresh_from: The first of them.
        parents: Numbers of steps that started runs; None: it was not looked for them yet.
        summed: The row up to which sums stand at the margin.
    """

    navigator: Navigator
    shown: ShownRows = field(init=False)
    beside: Beside = field(init=False)
    filter: str = ""
    filtered_to: int = 0
    unfiltered: set[int] = field(default_factory=set)
    is_read: bool = False
    is_watched: bool = False
    is_following: bool = False
    is_gone: bool = False
    fresh: int = 0
    fresh_from: int | None = None
    parents: set[int] | None = None
    summed: int | None = None

    def __post_init__(self) -> None:
        replay = self.navigator.replay
        self.shown = ShownRows(replay)
        self.beside = Beside(replay)
        self.is_read = replay.is_complete
        self.is_watched = self.is_read and replay.status == "running"

    @property
    def has_unfiltered(self) -> bool:
        """Whether there are rows that the filter was not asked about, as they are now."""
        return self.filtered_to < len(self.navigator.replay) or bool(self.unfiltered)
