"""The garbage collector kept from coming between a key and what it does."""

from __future__ import annotations

import gc

__all__ = ["spare_keys", "tidy"]

_SMALL = 5_000  # objects more than there were, after which the new ones are looked at: some milliseconds
_MOVES = 60  # moments without keys after which everything is looked at in the next one


def spare_keys() -> None:
    """Have the garbage collector leave alone all there is now; for a process that does nothing else.

    The toolkit and the list of prices are a few hundred thousand objects that stay to the end. To go through
    them all in the midst of a key took a tenth of a second, every thirty keys or so.
    """
    gc.freeze()
    # Everything is looked at by `tidy` only, in time before the last of these would have it done.
    gc.set_threshold(_SMALL, 3, 20 * _MOVES)


def tidy() -> None:
    """Collect garbage now that nobody types, so that it is not done while somebody does."""
    gc.collect(2 if gc.get_count()[2] > _MOVES else 1)
