"""Questions put to generated logs: our views, the bare engine, and what people use without either.

Every way must give the same answer, or the benchmark fails. Bare: DuckDB told exactly the
columns a question needs, as a hand would write it for this one file; it has no idea of
runs, of damage, or of what a half-written line is.
"""

from __future__ import annotations

import json
import math
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from benchmarks._generate import NEEDLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["BARE", "LOOPS", "OURS", "PYTHON", "QUESTIONS", "answers", "archived", "compare", "peaks", "same"]

#: question -> how our views answer it
OURS = {
    "P95 latency by tool": (
        "SELECT tool, count(*), quantile_cont(duration_ms, 0.95) FROM tool_calls GROUP BY tool ORDER BY tool"
    ),
    "tokens by model": (
        "SELECT model, sum(input_tokens), sum(output_tokens) FROM llm_calls GROUP BY model ORDER BY model"
    ),
    "runs cut off by a length limit": (
        "SELECT DISTINCT run_id FROM llm_calls "
        "WHERE stop_reason IN ('max_tokens', 'length', 'MAX_TOKENS') ORDER BY run_id"
    ),
    "P95 run duration by task": (
        "SELECT task_type, quantile_cont(duration_ms, 0.95) FROM runs WHERE status = 'ok' "
        "GROUP BY task_type ORDER BY task_type"
    ),
    "a text in inputs and outputs": (
        f"SELECT count(*) FROM steps WHERE contains(input, '{NEEDLE}') OR contains(output, '{NEEDLE}')"
    ),
}
QUESTIONS = list(OURS)

_READ = "read_json('{path}', format='newline_delimited', ignore_errors=true, columns={{{columns}}})"
_HEAD = "run_id: 'VARCHAR', type: 'VARCHAR'"

#: question -> columns to read, and how a hand would put it to the engine
_BARE: dict[str, tuple[str, str]] = {
    "P95 latency by tool": (
        f"{_HEAD}, tool: 'VARCHAR', duration_ms: 'DOUBLE'",
        (
            "SELECT tool, count(*), quantile_cont(duration_ms, 0.95) FROM {log} "
            "WHERE type = 'tool_call' GROUP BY tool ORDER BY tool"
        ),
    ),
    "tokens by model": (
        f"{_HEAD}, model: 'VARCHAR', input_tokens: 'BIGINT', output_tokens: 'BIGINT'",
        (
            "SELECT model, sum(input_tokens), sum(output_tokens) FROM {log} "
            "WHERE type = 'llm_call' GROUP BY model ORDER BY model"
        ),
    ),
    "runs cut off by a length limit": (
        f"{_HEAD}, stop_reason: 'VARCHAR'",
        (
            "SELECT DISTINCT run_id FROM {log} WHERE type = 'llm_call' "
            "AND stop_reason IN ('max_tokens', 'length', 'MAX_TOKENS') ORDER BY run_id"
        ),
    ),
    "P95 run duration by task": (
        f"{_HEAD}, ts: 'DOUBLE', task_type: 'VARCHAR', status: 'VARCHAR'",
        (
            "SELECT task_type, quantile_cont(ms, 0.95) "
            "FROM (SELECT run_id, any_value(task_type) AS task_type, "
            "any_value(status) AS status, round((max(ts) - min(ts)) * 1000) AS ms "
            "FROM {log} GROUP BY run_id) "
            "WHERE status = 'ok' GROUP BY task_type ORDER BY task_type"
        ),
    ),
    "a text in inputs and outputs": (
        f"{_HEAD}, input: 'VARCHAR', output: 'VARCHAR'",
        (
            "SELECT count(*) FROM {log} WHERE type IN ('llm_call', 'tool_call', 'agent_call') "
            f"AND (contains(input, '{NEEDLE}') OR contains(output, '{NEEDLE}'))"
        ),
    ),
}


def BARE(question: str, path: Path) -> str:  # noqa: N802  stands beside OURS
    """Return the SQL a hand would write for *question* about the one file *path*."""
    columns, text = _BARE[question]
    return text.format(log=_READ.format(path=path, columns=columns))


def PYTHON(question: str, path: Path) -> list[tuple[Any, ...]]:  # noqa: N802
    """Answer *question* with a loop over orjson."""
    return LOOPS[question](_records(path))


def answers(question: str, path: Path) -> dict[str, Callable[[], list[tuple[Any, ...]]]]:
    """Return each way to answer *question* about *path*."""
    import duckdb

    from agent_step_log.query import open_logs

    def ours() -> list[tuple[Any, ...]]:
        with open_logs(path) as logs:
            return logs.sql(OURS[question]).rows()

    def bare() -> list[tuple[Any, ...]]:
        with duckdb.connect() as connection:
            return connection.execute(BARE(question, path)).fetchall()

    return {"agent-step-log": ours, "bare engine": bare, "orjson loop": lambda: PYTHON(question, path)}


def compare(path: Path, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return for each question the seconds (wall) each way took, one figure a round.

    Raises:
        AssertionError: Two ways gave different answers.
    """
    figures: dict[str, dict[str, list[float]]] = {}
    for question in QUESTIONS:
        ways = answers(question, path)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            found = {}
            for name, way in ways.items():
                if name == "orjson loop" and number:
                    continue  # once is enough: it does not depend on what else is cached
                start = time.perf_counter()
                found[name] = way()
                taken[name].append(time.perf_counter() - start)
            first = next(iter(found.values()))
            assert all(same(first, other) for other in found.values()), f"{question}: {found}"
        figures[question] = taken
    return figures


def same(a: list[tuple[Any, ...]], b: list[tuple[Any, ...]]) -> bool:
    """Whether two answers agree, floats to nine digits."""
    return len(a) == len(b) and all(
        len(x) == len(y)
        and all(
            math.isclose(p, q, rel_tol=1e-9) if isinstance(p, float) and q is not None else p == q
            for p, q in zip(x, y, strict=True)
        )
        for x, y in zip(a, b, strict=True)
    )


def archived(path: Path, archive: Path, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return for each question the seconds (wall) it took of the log at *path* and of its *archive*.

    Raises:
        AssertionError: They gave different answers.
    """
    from agent_step_log.query import open_logs

    figures: dict[str, dict[str, list[float]]] = {}
    for question in QUESTIONS:
        taken = figures[question] = {"log": [], "archive": []}
        for _ in range(rounds):
            found = {}
            for name, source in (("log", path), ("archive", archive)):
                start = time.perf_counter()
                with open_logs(source) as logs:
                    found[name] = logs.sql(OURS[question]).rows()
                taken[name].append(time.perf_counter() - start)
            assert same(found["log"], found["archive"]), question
    return figures


def jq_seconds(path: Path) -> float | None:
    """Return the seconds jq takes to give the durations of tool calls; None where it is not installed."""
    if shutil.which("jq") is None:
        return None
    filter_ = 'select(.type == "tool_call") | [.tool, .duration_ms] | @tsv'
    start = time.perf_counter()
    subprocess.run(["jq", "-r", filter_, str(path)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def pandas_seconds(path: Path) -> float | None:
    """Return the seconds pandas takes for the first question, reading by lines; None without pandas."""
    try:
        import pandas as pd
    except ImportError:
        return None
    start = time.perf_counter()
    frame = pd.read_json(path, lines=True)
    calls = frame[frame["type"] == "tool_call"]
    calls.groupby("tool")["duration_ms"].quantile(0.95)
    return time.perf_counter() - start


def peaks(path: Path) -> dict[str, float]:
    """Return the peak resident MB of a fresh process that answers each question about *path*, with us."""
    code = (
        "import re, sys\nfrom agent_step_log.query import open_logs\n"
        "with open_logs(sys.argv[1]) as logs:\n    logs.sql(sys.argv[2]).rows()\n"
        # Not ru_maxrss: a child begins with that of the process it was forked from.
        "with open('/proc/self/status') as file:\n"
        "    print(int(re.search(r'VmHWM:\\s+(\\d+)', file.read())[1]) / 1024)\n"
    )
    found = {}
    for question in QUESTIONS:
        done = subprocess.run(
            [sys.executable, "-c", code, str(path), OURS[question]],
            check=True,
            capture_output=True,
            text=True,
        )
        found[question] = float(done.stdout)
    return found


def _records(path: Path) -> Iterator[dict[str, Any]]:
    from orjson import loads

    with path.open("rb") as file:
        for line in file:
            yield loads(line)


def _p95(values: list[float]) -> float:
    """Interpolate as `quantile_cont` does."""
    values.sort()
    place = 0.95 * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def _by_tool(records: Iterator[dict[str, Any]]) -> list[tuple[Any, ...]]:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for record in records:
        if record["type"] == "tool_call":
            found[record["tool"]].append(record["duration_ms"])
    return [(tool, len(values), _p95(values)) for tool, values in sorted(found.items())]


def _by_model(records: Iterator[dict[str, Any]]) -> list[tuple[Any, ...]]:
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for record in records:
        if record["type"] == "llm_call":
            sums = found[record["model"]]
            sums[0] += record["input_tokens"] or 0
            sums[1] += record["output_tokens"] or 0
    return [(model, *sums) for model, sums in sorted(found.items())]


def _cut_off(records: Iterator[dict[str, Any]]) -> list[tuple[Any, ...]]:
    limits = {"max_tokens", "length", "MAX_TOKENS"}
    found = {r["run_id"] for r in records if r["type"] == "llm_call" and r["stop_reason"] in limits}
    return [(run_id,) for run_id in sorted(found)]


def _by_task(records: Iterator[dict[str, Any]]) -> list[tuple[Any, ...]]:
    tasks: dict[str, str] = {}
    status: dict[str, str] = {}
    spans: dict[str, tuple[float, float]] = {}
    for record in records:
        run_id, ts = record["run_id"], record["ts"]
        first, last = spans.get(run_id, (ts, ts))
        spans[run_id] = min(first, ts), max(last, ts)
        if record["type"] == "run_start":
            tasks[run_id] = record["task_type"]
        elif record["type"] == "run_end":
            status[run_id] = record["status"]
    found: defaultdict[str, list[float]] = defaultdict(list)
    for run_id, task in tasks.items():
        if status.get(run_id) == "ok":
            found[task].append(round((spans[run_id][1] - spans[run_id][0]) * 1000))
    return [(task, _p95(values)) for task, values in sorted(found.items())]


def _needle(records: Iterator[dict[str, Any]]) -> list[tuple[Any, ...]]:
    kinds = {"llm_call", "tool_call", "agent_call"}
    count = sum(
        NEEDLE in json.dumps(record.get("input")) or NEEDLE in json.dumps(record.get("output"))
        for record in records
        if record["type"] in kinds
    )
    return [(count,)]


#: question -> how a loop over records answers it
LOOPS: dict[str, Callable[[Iterator[dict[str, Any]]], list[tuple[Any, ...]]]] = {
    "P95 latency by tool": _by_tool,
    "tokens by model": _by_model,
    "runs cut off by a length limit": _cut_off,
    "P95 run duration by task": _by_task,
    "a text in inputs and outputs": _needle,
}


def median_ratio(taken: dict[str, list[float]], of: str, to: str) -> float:
    """Return the median of the ratios inside each round."""
    return statistics.median(a / b for a, b in zip(taken[of], taken[to], strict=False))
