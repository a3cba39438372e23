"""The tables about the debugger: opening large runs, moving in them, and comparing two."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.__main__ import Report

__all__ = ["run"]


def run(report: Report, *, quick: bool) -> None:
    """Measure and tell."""
