"""Regular expressions that cannot be made to hang.

Python's `re` backtracks: a pattern such as ``(a+)+$`` takes longer than a life on thirty
characters. Here only what `re` matches in a bounded number of steps is handed to it; a
pattern that repeats is run by `_automaton`, one step a character, whatever it says.

The language is that of `re` without what needs backtracking: no back reference, no look-around,
no possessive or conditional group.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from agent_debug_replay._expr._automaton import Automaton, PatternError, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MAX_PATTERN", "MAX_SUBJECT", "PatternError", "compile_pattern"]

#: Characters of a pattern, and of the text it is looked for in; what is longer is cut there.
MAX_PATTERN = 500
MAX_SUBJECT = 256 * 1024


@lru_cache(maxsize=64)
def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether *pattern* is found anywhere in a text.

    Raises:
        PatternError: It is no pattern, or one of those left out.
    """
    if len(pattern) > MAX_PATTERN:
        raise PatternError(MAX_PATTERN, f"A regular expression has at most {MAX_PATTERN} characters here")
    search = Automaton(parse_pattern(pattern)).search

    def found(text: str) -> bool:
        return search(text[:MAX_SUBJECT])

    return found
