"""Every exception of agenttap.

TapError
├── TapeError         a file that is no tape, or an exchange that is not on it
└── HookError         a library whose inside is not as the hook knows it

TapWarning            said once: what the tap cannot see, or could not write
"""

from __future__ import annotations

__all__ = ["HookError", "TapError", "TapWarning", "TapeError"]


class TapError(Exception):
    """Base of every error this package raises on purpose."""


class TapeError(TapError):
    """The tape at *path* does not hold what was asked for."""

    def __init__(self, path: object, why: str) -> None:
        self.path = path
        super().__init__(f"{path}: {why}.")


class HookError(TapError):
    """A library is not as its hook knows it; it is left alone, and what it sends is not seen."""

    def __init__(self, library: str, why: str) -> None:
        self.library = library
        super().__init__(f"{library}: {why}; what it sends is not captured.")


class TapWarning(RuntimeWarning):
    """What the tap cannot see, or could not write; each is said once."""
