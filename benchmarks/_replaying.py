"""The tables about the debugger: opening large runs, moving in them, and comparing two."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks import _diffing
from benchmarks._generate import write_run
from benchmarks._replay_screen import first_paint, keys

if TYPE_CHECKING:
    from benchmarks.__main__ import Report

__all__ = ["run"]

_COPIES = 10  # of the run of 100,000 steps make the one of a million


def run(report: Report, *, quick: bool) -> None:
    """Measure and tell."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        short, run_path = folder / "short.jsonl", folder / "run.jsonl"
        write_run(short, 10)
        steps = 5_000 if quick else 100_000
        write_run(run_path, steps)
        paths = {steps: run_path}
        if not quick:
            paths[steps * _COPIES] = folder / "long.jsonl"
            _write_long(run_path, paths[steps * _COPIES])
        _first(report, short, paths, rounds=2 if quick else 5)
        _keys(report, {steps: keys(path, 3 if quick else 25) for steps, path in paths.items()})
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _diffing.run(report, quick=quick)


def _write_long(source: Path, target: Path) -> None:
    """Write the run in *source* again and again as one, with short texts: what is measured is its steps."""
    encode = msgspec.json.Encoder().encode
    with source.open("rb") as file:
        head, *body, end = map(msgspec.json.decode, file)
    for record in body:
        for value in (record.get("input"), record.get("output")):
            if isinstance(value, dict):
                value.update({key: text[:60] for key, text in value.items() if isinstance(text, str)})
        record.pop("usage", None)
    seconds = end["ts"] - head["ts"] + 1
    steps = max(record["step"] for record in body)
    with target.open("wb") as file:
        file.write(encode(head) + b"\n")
        for _ in range(_COPIES):
            file.writelines(encode(record) + b"\n" for record in body)
            for record in body:
                record["step"] += steps
                record["ts"] += seconds
                if "start_ts" in record:
                    record["start_ts"] += seconds
        file.write(encode(end | {"ts": end["ts"] + seconds * (_COPIES - 1)}) + b"\n")


def _first(report: Report, short: Path, paths: dict[int, Path], rounds: int) -> None:
    taken: dict[Path, list[dict[str, float]]] = {path: [] for path in (short, *paths.values())}
    for _ in range(rounds):
        for path, figures in taken.items():
            figures.append(first_paint(path))
    rows = []
    for steps, path in paths.items():
        pairs = zip(taken[path], taken[short], strict=True)
        beyond = statistics.median(one["from_start"] - other["from_start"] for one, other in pairs)
        whole = statistics.median(each["from_start"] for each in taken[path])
        from_open = statistics.median(each["from_open"] for each in taken[path])
        size = path.stat().st_size / 1e6
        rows.append([f"{steps:,} ({size:,.0f} MB)", f"{whole:.2f}", f"{from_open:.2f}", f"{beyond:.2f}"])
    report.table(
        "The debugger: to the first rows on the screen, wall seconds",
        ["steps", "of a new process", "of that, from opening the log on", "more than for a run of ten steps"],
        rows,
    )


def _keys(report: Report, measured: dict[int, dict[str, Any]]) -> None:
    report.say(
        "\nThe screen runs in a process of its own, without a terminal, 160 x 50. Wall: from the key to the "
        "first paint after it; the toolkit paints 60 times a second. CPU: of the thread that answers keys, "
        "until the pane is drawn too."
    )
    heads = [""]
    for steps in measured:
        heads += [f"{steps:,} steps: wall p50, ms", "p95", "CPU p50, ms", "p95"]
    rows = []
    for name in next(iter(measured.values()))["keys"]:
        row = [name]
        for figures in measured.values():
            for figure in zip(*figures["keys"][name], strict=True):
                row += [f"{statistics.median(figure):.0f}", f"{_p95(figure):.0f}"]
        rows.append(row)
    report.table("The debugger: keys", heads, rows)
    heads = ["", *(f"{steps:,} steps: {what}" for steps in measured for what in ("s", "longest stall, ms"))]
    rows = [["reading the rest of the log"], *([name] for name in next(iter(measured.values()))["long"])]
    for figures in measured.values():
        reading = figures["reading"]
        for row, (seconds, stall) in zip(
            rows, [(reading["seconds"], reading["stall_ms"]), *figures["long"].values()], strict=True
        ):
            row += [f"{seconds:.2f}", f"{stall:.0f}"]
    report.table("The debugger: what goes through the whole run, beside the screen", heads, rows)
    report.table(
        "The debugger: memory, MB",
        ["", *(f"{steps:,} steps" for steps in measured)],
        [
            ["when all has been read", *(f"{each['resident']:.0f}" for each in measured.values())],
            ["at the most", *(f"{each['peak']:.0f}" for each in measured.values())],
        ],
    )


def _p95(figures: tuple[float, ...]) -> float:
    return sorted(figures)[min(int(len(figures) * 0.95), len(figures) - 1)]
