"""Run everything, print tables of ratios, and save them to docs/benchmarks.md.

    python -m benchmarks [records | tap | queries | replay] [--quick] [--output FILE] [--transcripts DIR]

Of the file, the parts that are not measured stay as they are.
Ratios are taken inside rounds in which the variants take turns, so that they hold on
a shared machine where single times do not.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import _asking, _footprint, _measure, _reading, _recorders, _replaying, _tap, _threads

REF, OURS, ARTICLE = "bare write (REF)", "agent-step-log", "the article's"
_NEEDS = {
    "structlog, fast": "structlog",
    "loguru, serialized": "loguru",
    "OpenTelemetry, simple": "opentelemetry.sdk",
    "OpenTelemetry, batch": "opentelemetry.sdk",
}


class Report:
    """Markdown tables, printed as they come."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str = "") -> None:
        """Add a line."""
        print(line, flush=True)
        self.lines.append(line)

    def table(self, title: str, heads: list[str], rows: list[list[str]]) -> None:
        """Add a table."""
        self.say(f"\n## {title}\n")
        self.say("| " + " | ".join(heads) + " |")
        self.say("|" + "|".join(["---"] + ["--:"] * (len(heads) - 1)) + "|")
        for row in rows:
            self.say("| " + " | ".join(row) + " |")


def main() -> int:
    """Run the benchmarks; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("part", nargs="?", choices=list(_PARTS), help="measure only this")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the work: does it run at all?")
    parser.add_argument("--output", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument(
        "--transcripts",
        type=Path,
        default=Path("transcripts"),
        help="agents' transcripts to make dialogues of; generated ones where there are none",
    )
    options = parser.parse_args()
    before = options.output.read_text(encoding="utf-8") if options.output.exists() else ""
    texts = dict(zip(_PARTS, _split(before), strict=True))
    for part in _PARTS if options.part is None else [options.part]:
        texts[part] = _MEASURED[part](options)
    written = "\n\n".join(text.strip() for text in texts.values() if text.strip())
    options.output.write_text(f"{written}\n", encoding="utf-8")
    return 0


#: part -> the heading it has in the file
_PARTS = {
    "records": "# Benchmarks\n",
    "tap": "# The tap\n",
    "queries": "# Questions\n",
    "replay": "# The debugger\n",
}


def _split(text: str) -> list[str]:
    """Return the parts of the file, empty where one has not been measured."""
    parts = re.split(r"^(?=# )", text, flags=re.MULTILINE)
    return [next((part for part in parts if part.startswith(heading)), "") for heading in _PARTS.values()]


def _records(options: argparse.Namespace) -> str:
    quick: bool = options.quick
    scale = 0.01 if quick else 1.0
    rounds = 3 if quick else 15
    report = Report()
    report.say("# Benchmarks\n")
    report.say(
        f'Written by `make bench`. {_machine()} REF is `os.write(fd, msgspec.encode(struct) + b"\\n")` '
        "of a ready-made struct. Ratios are medians over rounds in which the variants take turns "
        "(10th to 90th percentile in brackets); times are CPU time of the calling thread unless "
        "said otherwise."
    )
    _plain(report, rounds, scale)
    _measured(report, rounds, scale)
    _concurrency(report, scale, quick=quick)
    _footprints(report, scale, quick=quick)
    _readings(report, scale, quick=quick)
    return "\n".join(report.lines)


def _taps(options: argparse.Namespace) -> str:
    report = Report()
    report.say(
        f"# The tap\n\nWritten by `make bench`. {_machine()} Streams come from another process on this "
        "machine. With and without take turns; figures are medians, and what is added is the median of the "
        "differences inside a round."
    )
    _tap.run(report, transcripts=options.transcripts, quick=options.quick)
    return "\n".join(report.lines)


def _questions(options: argparse.Namespace) -> str:
    report = Report()
    report.say(
        f"# Questions\n\nWritten by `make bench`. {_machine()} Logs are generated "
        "(`benchmarks/_generate.py`). Wall seconds, opening included, medians of rounds in which the ways "
        "take turns; each way gives the "
        "same answer, or the run fails."
    )
    _asking.run(report, quick=options.quick)
    return "\n".join(report.lines)


def _debugger(options: argparse.Namespace) -> str:
    report = Report()
    report.say(f"# The debugger\n\nWritten by `make bench`. {_machine()} Runs are generated.")
    _replaying.run(report, quick=options.quick)
    return "\n".join(report.lines)


def _machine() -> str:
    system = f"{platform.system()} {platform.release()}"
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, {system}."


def _plain(report: Report, rounds: int, scale: float) -> None:
    recorders = {
        name: recorder for name, recorder in _recorders.RECORDERS.items() if _installed(_NEEDS.get(name))
    }
    rows: dict[str, list[str]] = {name: [name] for name in recorders}
    heads = ["recorder"]
    for case, times in (
        (_recorders.SMALL, 4000),
        (_recorders.KILOBYTE, 3000),
        (_recorders.LARGE, 200),
    ):
        figures = _measure.compare(recorders, case, rounds=rounds, times=max(int(times * scale), 20))
        heads += [f"{case.name}: µs", "x REF", "x ours"]
        for name in recorders:
            low, high = _measure.spread(figures, name, REF)
            rows[name] += [
                f"{sorted(figures[name])[rounds // 2]:.2f}",
                f"{_measure.ratio(figures, name, REF):.2f} [{low:.2f}-{high:.2f}]",
                f"{_measure.ratio(figures, name, OURS):.2f}",
            ]
    report.table("Plain records", heads, list(rows.values()))


def _measured(report: Report, rounds: int, scale: float) -> None:
    recorders = {"plain": _recorders.ours, "measured": _recorders.ours_measured}
    figures = _measure.compare(
        recorders, _recorders.KILOBYTE, rounds=rounds, times=max(int(2000 * scale), 20)
    )
    ratio = _measure.ratio(figures, "measured", "plain") / 2
    report.table(
        "Measured form (a beginning and an ending record), tool_call 1 KB",
        ["", "µs", "x two plain records"],
        [["with log.tool_call(...)", f"{sorted(figures['measured'])[rounds // 2]:.2f}", f"{ratio:.2f}"]],
    )


def _concurrency(report: Report, scale: float, *, quick: bool) -> None:
    rows = []
    for threads in (1, 8, 32):
        result = _threads.throughputs(threads, int(200_000 * scale), 1 if quick else 5)
        rows.append(
            [
                str(threads),
                f"{result[OURS]:,.0f}",
                f"{result[ARTICLE]:,.0f}",
                f"{result['ratio']:.1f}",
            ]
        )
    report.table(
        "Threads on one log, llm_call small, wall time",
        ["threads", "ours, records/s", "the article's, records/s", "ratio"],
        rows,
    )
    rows = []
    for case in (_recorders.SMALL, _recorders.LARGE):
        for name, recorder in ((OURS, _recorders.ours), (ARTICLE, _recorders.article)):
            share, median = _threads.slow_share(recorder, case, 0.3 if quick else 5.0)
            rows.append([f"{case.name}, {name}", f"{share * 100:.2f} %", f"{median:.1f}"])
    report.table(
        "Beside a CPU-bound thread, wall time",
        ["", "calls over 2 ms", "median µs"],
        rows,
    )
    alone = _threads.processes(_recorders.ours, 1, int(50_000 * scale))
    together = _threads.processes(_recorders.ours, 8, int(20_000 * scale))
    bare = _threads.processes(_recorders.bare_write, 8, int(20_000 * scale))
    report.table(
        "Processes on one file, llm_call small, wall time",
        ["", "µs per record"],
        [
            ["1 process", f"{alone:.2f}"],
            ["8 processes", f"{together:.2f}"],
            ["8 processes, bare write", f"{bare:.2f}"],
        ],
    )


def _footprints(report: Report, scale: float, *, quick: bool) -> None:
    base, ours, ratio = _footprint.import_times(3 if quick else 21)
    growth = _footprint.memory_growth(int(1_000_000 * scale))
    report.table(
        "Footprint",
        ["", "figure"],
        [
            ["import msgspec", f"{base:.1f} ms"],
            ["import agent_step_log", f"{ours:.1f} ms"],
            ["ratio", f"{ratio:.2f}"],
            [f"memory growth over {int(1_000_000 * scale):,} records", f"{growth:.2f} MB"],
        ],
    )


def _readings(report: Report, scale: float, *, quick: bool) -> None:
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        records = int(1_000_000 * scale)
        log = directory / "run.jsonl"
        _reading.write_log(log, records)
        figures = _reading.reading(log, 1 if quick else 5)
        size = log.stat().st_size
        seconds = sorted(figures["read_log"])[len(figures["read_log"]) // 2]
        large = directory / "large.jsonl"
        steps = _reading.write_large(large, int((1 << 30) * (0.05 if quick else 1)))
        median, tail = _reading.step_access(large, steps, 200 if quick else 2000)
        report.table(
            "Reading back",
            ["", "figure"],
            [
                [
                    f"`read_log`, {records:,} records, {size / 1e6:.0f} MB",
                    f"{seconds:.2f} s, {size / seconds / 1e6:.0f} MB/s",
                ],
                [
                    "faster than `json.loads` line by line",
                    f"{_measure.ratio(figures, 'json', 'read_log'):.1f} x",
                ],
                [
                    f"step N of {large.stat().st_size / 1e9:.2f} GB, {steps:,} steps, no index: p50",
                    f"{median:.0f} µs",
                ],
                ["the same, p99", f"{tail:.0f} µs"],
            ],
        )
    finally:
        _reading.remove(directory)


def _installed(module: str | None) -> bool:
    if module is None:
        return True
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


_MEASURED = {"records": _records, "tap": _taps, "queries": _questions, "replay": _debugger}


if __name__ == "__main__":
    __all__: list[Any] = []
    sys.exit(main())
