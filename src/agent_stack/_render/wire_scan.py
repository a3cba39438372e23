"""Secrets that were found: where, of what kind, and a mask of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_stack._render.figures import many
from agent_stack._render.lines import Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttap import Finding

__all__ = ["render_finding", "render_scan_end"]


def render_finding(finding: Finding) -> Iterator[Line]:
    """Yield ``path:line  kind  mask  where``."""
    line = Line().add(f"{finding.path}:{finding.line}", "note").add(f"  {finding.kind}", "error_bold")
    yield line.add(f"  {finding.preview}").add(f"  {finding.where}", "dim")


def render_scan_end(files: int, lines: int, found: int) -> Iterator[Line]:
    """Yield what the search came to."""
    if found:
        yield Line()
    sign, style = ("✗ ", "error") if found else ("✓ ", "ok")
    words = many(found, "secret") if found else "no secret"
    yield Line(sign, style).add(words, style).add(f" in {many(files, 'file')}, {many(lines, 'line')}", "dim")
