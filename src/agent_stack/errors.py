"""Every exception of agent_stack.

CommandError          a sentence for the person at the keyboard, and an exit status
"""

from __future__ import annotations

__all__ = ["CommandError"]


class CommandError(Exception):
    """What a person can mend: one sentence on stderr, no traceback."""

    def __init__(self, sentence: str, exit_code: int = 2) -> None:
        self.exit_code = exit_code
        super().__init__(sentence)
