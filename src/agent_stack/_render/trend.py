"""Runs over time: sparklines, or a bar for each bucket."""

from __future__ import annotations

from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING

from agent_stack._render.figures import count, duration, many
from agent_stack._render.lines import Line
from agent_stack._render.run_groups import share_text, tokens_text
from agent_stack._run_trend import metric_value
from agentsnap import format_usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent_stack._run_groups import Tally
    from agent_stack._run_trend import Bucket, Series, Trend

__all__ = ["bar", "render_bars", "render_sparks", "spark"]

_LEVELS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_GAP = "·"  # a bucket without a run
_SPARK_METRICS = ("runs", "failures", "p50", "p95", "tokens", "cost")
_NAMES = {
    "runs": "runs",
    "failures": "failed",
    "p50": "time, P50",
    "p95": "time, P95",
    "latency": "time, P95",
    "tokens": "tokens",
    "cost": "cost",
}
_MOST_SERIES = 12  # lines shown of a split; --json has all
_MOST_GAP = 3  # buckets without a run in a row that get a line each
_FIGURE = 12


def render_sparks(trend: Trend, metrics: Sequence[str] | None, width: int) -> Iterator[Line]:
    """Yield a line a metric, or of a split a block a metric with a line a group.

    Args:
        trend: With one series at the least.
        metrics: Default: all.
        width: Cells in a line.
    """
    shown = trend.series[:_MOST_SERIES]
    if trend.by is None:
        label = max(len(_NAMES[name]) for name in _SPARK_METRICS)
    else:
        label = min(max(len(_key(series, trend)) for series in shown), max(12, width // 4))
    room = max(8, width - label - 2 * _FIGURE - 8)
    buckets = trend.series[0].buckets[-room:]
    yield from _head(trend, len(buckets), width)
    yield Line()
    size = len(buckets)
    last = _short(buckets[-1].start, trend.per)
    head = Line("  ").pad(label + 4 + max(size, 5)).add("  ").add(last.rjust(_FIGURE), "dim")
    yield head.add("ALL".rjust(_FIGURE), "dim")
    for metric in _metrics(metrics):
        if trend.by is not None:
            yield Line("  ").add(_NAMES[metric], "title")
        # One scale for all lines of a block, so that they can be compared.
        top = max((_value(b, metric) or 0.0 for s in shown for b in s.buckets[-size:]), default=0.0)
        for series in shown:
            name = _NAMES[metric] if trend.by is None else _key(series, trend)
            line = Line("  ").add(name, "" if trend.by is None else "bold", label).pad(label + 4)
            for text, style in spark([_mark(b, metric) for b in series.buckets[-size:]], top):
                line.add(text, style)
            line.pad(label + 4 + max(size, 5) + 2)
            for tally in (series.buckets[-1].tally, series.total):
                text = _figure(tally, metric)
                line.add(text.rjust(_FIGURE), "" if tally is not None else "dim")
            yield line
    if len(trend.series) > len(shown):
        yield Line("  ").add(f"… {len(trend.series) - len(shown):,} more of {trend.by} (--json)", "note")
    yield from _remarks(trend)


def _metrics(metrics: Sequence[str] | None) -> Iterator[str]:
    for metric in metrics or _SPARK_METRICS:
        yield from ("p50", "p95") if metric == "latency" else (metric,)


def render_bars(trend: Trend, metric: str, width: int) -> Iterator[Line]:
    """Yield a bar for each bucket of the one series of *trend*; many without a run share a line."""
    [series] = trend.series
    yield from _head(trend, len(series.buckets), width, _what(metric))
    yield Line()
    top = max((_value(bucket, metric) or 0.0 for bucket in series.buckets), default=0.0)
    figures = [_long(bucket.tally, metric) for bucket in series.buckets if bucket.tally is not None]
    figures.append(_long(series.total, metric))
    label = max(len(_short(bucket.start, trend.per)) for bucket in series.buckets)
    room = max(8, width - label - 6 - max(map(len, figures)))
    empty = 0
    for bucket in series.buckets:
        if bucket.tally is None:
            empty += 1
            continue
        yield from _gap(empty, series.buckets, bucket, trend.per)
        empty = 0
        line = Line("  ").add(_short(bucket.start, trend.per), "dim").pad(label + 4)
        value = _value(bucket, metric)
        if value is None:
            line.add("?", "warn")
        else:
            line.add(bar(value, top, room), "error" if metric == "failures" else "note")
        yield line.add("  " if line.width > label + 4 else "").add(_long(bucket.tally, metric))
    yield Line("  ").add("all", "bold").pad(label + 4).add(_long(series.total, metric), "bold")
    yield from _remarks(trend)


def _gap(empty: int, buckets: Sequence[Bucket], before: Bucket, per: str) -> Iterator[Line]:
    if empty > _MOST_GAP:
        yield Line("  ").add(f"{_GAP} {many(empty, per)} without a run", "dim")
        return
    place = buckets.index(before)
    for bucket in buckets[place - empty : place]:
        yield Line("  ").add(f"{_short(bucket.start, per)}  {_GAP}", "dim")


def spark(marks: Sequence[float | str], top: float) -> Iterator[tuple[str, str]]:
    """Yield each of *marks* as one character and its style: a number as a block, 0 the lowest, else itself.

    What is more than 0 stands higher than 0; the highest block is *top*.
    """
    for mark in marks:
        if isinstance(mark, str):
            yield mark, "dim"
        else:
            yield _LEVELS[min(7, max(1, ceil(7 * mark / top))) if mark > 0 else 0], "note"


def bar(value: float, top: float, cells: int) -> str:
    """Return a bar of *value*, where *top* fills *cells*; what is more than 0 shows."""
    eighths = round(8 * cells * value / top) if top > 0 else 0
    eighths = min(8 * cells, max(eighths, 1 if value > 0 else 0))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _mark(bucket: Bucket, metric: str) -> float | str:
    if bucket.tally is None:
        return _GAP
    value = metric_value(bucket.tally, metric)
    return "?" if value is None else value


def _value(bucket: Bucket, metric: str) -> float | None:
    return None if bucket.tally is None else metric_value(bucket.tally, metric)


def _figure(tally: Tally | None, metric: str) -> str:
    if tally is None:
        return _GAP
    if metric == "runs":
        return f"{tally.runs:,}"
    if metric == "failures":
        return share_text(tally.failed_share)
    if metric == "tokens":
        return tokens_text(tally.tokens)
    return format_usd(tally.cost) if metric == "cost" else duration(metric_value(tally, metric))


def _long(tally: Tally, metric: str) -> str:
    if metric == "failures":
        return f"{share_text(tally.failed_share)}, {count(tally.failed)} of {count(tally.over)}"
    if metric == "latency":
        return f"P95 {_figure(tally, 'p95')}, P50 {_figure(tally, 'p50')}"
    return _figure(tally, metric)


def _what(metric: str) -> str:
    return {
        "runs": "runs",
        "failures": "runs that failed, of those that are over",
        "latency": "run time, bars for P95",
        "tokens": "tokens, input and output",
        "cost": "cost",
    }[metric]


def _head(trend: Trend, shown: int, width: int, what: str = "") -> Iterator[Line]:
    buckets = trend.series[0].buckets
    first, last = _day(buckets[-shown].start, trend.per), _day(buckets[-1].start, trend.per)
    line = Line(f"by {trend.per}", "title").add(f"  {first} to {last}" if shown > 1 else f"  {last}")
    idle = sum(
        all(series.buckets[place].tally is None for series in trend.series) for place in range(-shown, 0)
    )
    size = many(shown, trend.per) + (f" of {len(buckets):,}" if shown < len(buckets) else "")
    gaps = f"{idle:,} without a run ({_GAP})" if idle else ""
    told = ", ".join(part for part in (size, gaps, what) if part)
    if line.width + 2 + len(told) > width:
        yield line
        yield Line("  ").add(told, "dim", width - 2)
    else:
        yield line.add(f", {told}", "dim")


def _key(series: Series, trend: Trend) -> str:
    return series.key if series.key is not None else f"no {trend.by} told"


def _day(start: str, per: str) -> str:
    return start.replace("T", " ") if per == "hour" else start


def _short(start: str, per: str) -> str:
    when = datetime.fromisoformat(start)
    return f"{when:%b %d %H:00}" if per == "hour" else f"{when:%b %d}"


def _remarks(trend: Trend) -> Iterator[Line]:
    if trend.undated:
        is_one = trend.undated == 1
        text = (
            f"{many(trend.undated, 'run')} left out: {'its time is' if is_one else 'their times are'} no time"
        )
        yield Line("  ▲ ", "warn").add(f"{text}, or ages before the others.", "warn")
