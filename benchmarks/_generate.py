"""Logs as a busy fleet of agents writes them, of any size: what queries and the debugger are measured on.

The same seed gives the same bytes. Several runs are under way at any time, so their
records alternate. Of the runs some fail, some are killed (no `run_end`, the last step
in flight), some are children of others; tools fail with frames; sizes of inputs and
outputs have a long tail; models are those of several providers, with caches.

    python -m benchmarks._generate DIRECTORY MEGABYTES [SEGMENT_MEGABYTES]
"""

from __future__ import annotations

import random
import sys
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["NEEDLE", "START", "write_logs", "write_run"]

#: Stands in about one tool output of two thousand.
NEEDLE = "heron-7741"
START = 1_790_000_000.0  # Unix seconds of the first record: 2026-09-21
_DAYS = 14
_TOGETHER = 8  # runs under way at a time
_SIZES = (40, 80, 150, 300, 300, 600, 900, 1500, 2500, 6000)  # of texts, in characters, about

# tool, share, median duration in ms, share of errors
_TOOLS = [
    ("bash", 0.40, 420.0, 0.06),
    ("read_file", 0.25, 8.0, 0.02),
    ("search_documents", 0.15, 240.0, 0.01),
    ("edit_file", 0.12, 12.0, 0.04),
    ("web_fetch", 0.06, 900.0, 0.12),
    ("run_tests", 0.02, 14_000.0, 0.25),
]
_MODELS = [
    ("anthropic", "claude-sonnet-4-5", 0.5, "max_tokens"),
    ("anthropic", "claude-haiku-4-5", 0.2, "max_tokens"),
    ("openai", "gpt-5", 0.2, "length"),
    ("google", "gemini-2.5-pro", 0.1, "MAX_TOKENS"),
]
# task type, share, steps in the median
_TASKS = [("support", 0.5, 8), ("research", 0.3, 20), ("code review", 0.15, 30), ("migration", 0.05, 90)]
_ERRORS = [
    ("TimeoutError", "no answer within 30 s"),
    ("builtins.FileNotFoundError", "[Errno 2] No such file or directory: 'settings.toml'"),
    ("subprocess.CalledProcessError", "Command 'pytest -q' returned non-zero exit status 1."),
    ("httpx.ConnectError", "connection refused"),
]
_WORDS = (
    *("revenue", "region", "quarter", "report", "figure", "table", "growth", "service", "customer", "order"),
    *("refund", "policy", "retry", "queue", "worker", "branch", "commit", "review", "deploy", "rollback"),
    *("latency", "budget", "token", "context", "prompt", "answer", "search", "index", "record", "field"),
    *("window", "error", "frame", "thread", "process", "signal", "buffer", "socket", "header", "cookie"),
)

_encode = msgspec.json.Encoder().encode


class _Fleet:
    """Makes runs; all chance comes from one generator."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self._texts = [self._text(size) for size in _SIZES]
        self._texts_made = 0

    def _text(self, size: int) -> str:
        words = self.chance.choices(_WORDS, k=size // 6)
        return " ".join(words)

    def text(self) -> str:
        """Return a text; the pool changes slowly, so that a log is no repetition of itself."""
        self._texts_made += 1
        if self._texts_made % 7 == 0:
            place = self.chance.randrange(len(self._texts))
            self._texts[place] = self._text(_SIZES[place])
        return self.chance.choice(self._texts)

    def pick(self, rows: list[Any], place: int = 1) -> Any:
        return self.chance.choices(rows, weights=[row[place] for row in rows])[0]

    def run(self, number: int, start: float, steps: int | None = None) -> Iterator[tuple[float, bytes]]:
        """Yield the records of one run with their times."""
        chance = self.chance
        run_id = f"run-{number:08d}-{chance.getrandbits(48):012x}"
        task, _, typical = self.pick(_TASKS)
        steps = steps or max(1, int(typical * chance.lognormvariate(0, 0.5)))
        provider, model, _, cut = self.pick(_MODELS, 2)
        now = start
        header: dict[str, Any] = {
            "format": 1,
            "agent": f"{task}-agent",
            "agent_version": f"1.{min(int((start - START) / 86400 / 5), 2)}.0",
            "task_type": task,
            "environment": chance.choice(["production", "production", "production", "staging"]),
            "metadata": {"session": f"s{number // 4}", "customer": chance.randrange(500)},
        }
        if number % 11 == 10:
            header |= {"parent_run_id": f"run-{number - 1:08d}", "parent_step": 2}
        header["process"] = {
            "pid": 4000 + number % 900,
            "host": "fleet-1",
            "boot_id": "b007",
            "started": 12.5,
        }

        def line(step: int, kind: str, fields: dict[str, Any]) -> tuple[float, bytes]:
            head = {"run_id": run_id, "step": step, "type": kind, "ts": round(now, 6)}
            return now, _encode(head | fields) + b"\n"

        yield line(0, "run_start", header)
        context, killed, failed = chance.randrange(900, 4000), chance.random() < 0.02, False
        step = 0
        while step < steps:
            step += 1
            begun = now
            yield line(step, "step_start", {"of": "llm_call", "model": model})
            seconds = chance.lognormvariate(0.7, 0.6)
            now += seconds
            output = int(chance.lognormvariate(5, 0.9)) + 1
            is_cut = chance.random() < 0.01
            cached = int(context * 0.8) if step > 1 else 0
            fields: dict[str, Any] = {
                "model": model,
                "input_tokens": context,
                "output_tokens": output,
                "stop_reason": cut if is_cut else "tool_use",
                "duration_ms": round(seconds * 1000, 3),
                "provider": provider,
                "cache_read_tokens": cached,
                "usage": {"input_tokens": context - cached, "cached": cached, "output_tokens": output},
                "ttft_ms": round(seconds * 300, 3),
                "request_id": f"req_{chance.getrandbits(64):016x}",
                "start_ts": round(begun, 6),
            }
            if chance.random() < 0.005:  # a call whose usage nobody told
                fields["input_tokens"] = fields["output_tokens"] = None
                del fields["cache_read_tokens"], fields["usage"]
            yield line(step, "llm_call", fields)
            context = min(context + output + chance.randrange(50, 2500), 190_000)
            if step >= steps:
                break
            step += 1
            begun = now
            tool, _, median, share = self.pick(_TOOLS)
            given = {"query": self.text()[:200], "limit": chance.randrange(50)}
            asked = f"call_{chance.getrandbits(64):016x}"
            what = {"tool": tool, "input": given}
            yield line(step, "step_start", {"of": "tool_call", **what, "tool_call_id": asked})
            if killed and step > steps // 2:
                return
            seconds = median / 1000 * chance.lognormvariate(0, 0.8)
            now += seconds
            wrong = chance.random() < share
            result: Any = {"text": self.text(), "lines": chance.randrange(400)}
            if chance.random() < 0.0005:
                result["text"] += f" {NEEDLE}"
            ended: dict[str, Any] = {
                **what,
                "output": None if wrong else result,
                "error": None,
                "duration_ms": round(seconds * 1000, 3),
                "tool_call_id": asked,
            }
            if wrong:
                failed = step >= steps - 2
                ended["error_type"], ended["error"] = chance.choice(_ERRORS)
                ended["error_frames"] = [
                    {"file": "agent.py", "line": 40, "function": "main", "code": "agent.run(task)"},
                    {
                        "file": "tools.py",
                        "line": 90 + len(tool),
                        "function": tool,
                        "code": "return call(**given)",
                    },
                ]
            ended["start_ts"] = round(begun, 6)
            yield line(step, "tool_call", ended)
            if chance.random() < 0.03:
                step += 1
                yield line(step, "event", {"name": "user_feedback", "data": {"score": chance.random()}})
        status = (
            {"status": "error", "error": "gave up", "error_type": "AgentError"}
            if failed
            else {"status": "ok"}
        )
        yield line(0, "run_end", status | {"health": {"written": step}})


def write_run(path: Path, steps: int, seed: int = 7) -> None:
    """Write one run of *steps* steps to *path*."""
    with path.open("wb") as file:
        file.writelines(line for _, line in _Fleet(seed).run(1, START, steps))


def write_logs(directory: Path, size: int, *, segment: int | None = None, seed: int = 7) -> list[Path]:
    """Write about *size* bytes of records below *directory*; return the files.

    Args:
        segment: Bytes after which a new file is begun. Default: all in one file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    fleet = _Fleet(seed)
    pace = _DAYS * 86400 / max(size / 26_000, 1)  # seconds between two runs, of some 26 KB each
    written, number = 0, 0
    files: list[Path] = []
    while written < size:
        path = directory / f"fleet-{len(files) + 1:04d}.jsonl"
        files.append(path)
        in_file = 0
        with path.open("wb") as file:
            while written < size and (segment is None or in_file < segment):
                runs = [list(fleet.run(number + i, START + (number + i) * pace)) for i in range(_TOGETHER)]
                number += _TOGETHER
                block = b"".join(line for _, line in merge(*runs))
                file.write(block)
                in_file += len(block)
                written += len(block)
    return files


if __name__ == "__main__":
    into, megabytes, *rest = sys.argv[1:]
    made = write_logs(Path(into), int(megabytes) * 10**6, segment=int(rest[0]) * 10**6 if rest else None)
    print(f"{len(made)} files")
