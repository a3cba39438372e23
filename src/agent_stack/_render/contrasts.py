"""Groups of runs against each other: a line to a figure, with what is chance and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_stack._render.figures import count, duration, many
from agent_stack._render.lines import Line
from agent_stack._render.table import Column, render_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_debug_replay import Contrast, Figure

__all__ = ["contrast_dict", "render_contrasts"]

_STYLES = {"worse": "error", "better": "ok"}
_SIGNS = {"worse": "✗ ", "better": "✓ "}


def render_contrasts(contrasts: Sequence[Contrast], by: str, unnamed: int, width: int) -> Iterator[Line]:
    """Yield a table for each group held against the base."""
    for contrast in contrasts:
        yield (
            Line(f"{by} ", "dim")
            .add(contrast.base, "title")
            .add(f"  {many(contrast.base_runs, 'run')}", "dim")
            .add("   →   ")
            .add(contrast.group, "title")
            .add(f"  {many(contrast.runs, 'run')}", "dim")
        )
        yield Line()
        columns = [
            Column(""),
            Column(contrast.base, is_right=True, most=12),
            Column(contrast.group, is_right=True, most=12),
            Column("CHANGE", is_right=True),
            Column("95 % INTERVAL", rank=1),
            Column(""),
        ]
        for lines in render_table(columns, [_row(figure) for figure in contrast.figures], width):
            yield from lines
        yield Line()
    if unnamed:
        what = (
            f"1 run does not tell its {by}, and is"
            if unnamed == 1
            else f"{unnamed:,} runs do not tell their {by}, and are"
        )
        yield Line("  ? ", "warn").add(f"{what} in no group.")


def _row(figure: Figure) -> list[tuple[str, str]]:
    style = _STYLES.get(figure.verdict, "dim")
    change = interval = ""
    if figure.change is not None:
        change = _change(figure.change.estimate, figure)
        interval = f"{_change(figure.change.low, figure)} … {_change(figure.change.high, figure)}"
    return [
        (figure.name, ""),
        (_value(figure.base, figure.unit), ""),
        (_value(figure.value, figure.unit), ""),
        (change, style if figure.verdict in _STYLES else ""),
        (interval, "dim"),
        (_SIGNS.get(figure.verdict, "") + figure.verdict, style),
    ]


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "?"
    match unit:
        case "share":
            return f"{value * 100:.1f} %"
        case "ms":
            return duration(value)
        case "usd":
            return f"${value:.4f}" if value < 1 else f"${value:,.2f}"
        case "steps":
            return f"{value:.1f}"
        case _:
            return count(round(value))


def _change(value: float, figure: Figure) -> str:
    if not figure.is_ratio:
        return f"{value * 100:+.1f} pt"
    percent = (value - 1) * 100
    return f"{percent:+.0f} %" if abs(percent) < 1000 else f"x {value:.0f}"


def contrast_dict(contrast: Contrast) -> dict[str, Any]:
    """Return the documented ``--json`` shape of one group."""
    return {
        "base": contrast.base,
        "group": contrast.group,
        "base_runs": contrast.base_runs,
        "runs": contrast.runs,
        "is_worse": contrast.is_worse,
        "figures": [
            {
                "name": figure.name,
                "unit": figure.unit,
                "base": figure.base,
                "value": figure.value,
                "change": "ratio" if figure.is_ratio else "difference",
                "estimate": figure.change.estimate if figure.change else None,
                "low": figure.change.low if figure.change else None,
                "high": figure.change.high if figure.change else None,
                "verdict": figure.verdict,
            }
            for figure in contrast.figures
        ],
    }
