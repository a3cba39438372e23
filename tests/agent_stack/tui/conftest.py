"""Runs to debug, and a driver that presses keys and reads the screen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agent_debug_replay import Replay
from agent_stack._tui._app import ReplayApp
from agent_stack._tui._keymap import load_keymap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from textual.pilot import Pilot

T0 = 1_700_000_000.0


class Driven:
    """An application under test, and what its screen shows."""

    def __init__(self, app: ReplayApp, pilot: Pilot[int]) -> None:
        self.app, self.pilot = app, pilot

    async def press(self, *keys: str) -> None:
        """Press keys, and wait until all that came of them is on the screen."""
        await self.pilot.press(*keys)
        await self.settle()

    async def type(self, text: str) -> None:
        """Type into the prompt and send it."""
        self.app.prompt.value = text
        await self.press("enter")

    async def settle(self) -> None:
        """Wait for scans to end and for the pane to be filled."""
        await self.app.workers.wait_for_complete(
            [worker for worker in self.app.workers if worker.group in ("scan", "diff")]
        )
        await self.until(lambda: not self.app._is_stale)
        await self.pilot.pause()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(120):
            while not holds():
                await self.pilot.pause(0.01)

    @property
    def label(self) -> str:
        """The step the cursor is at."""
        row = self.app.navigator.row
        return row.label if row is not None else ""

    @property
    def text(self) -> str:
        """The screen as text."""
        return "\n".join(self.lines)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip)[:width] for strip in strips[:height]]

    @property
    def list_lines(self) -> list[str]:
        """The lines of the list of steps in sight."""
        steps = self.app.steps
        return [steps.render_line(y).text.rstrip() for y in range(steps.size.height)]

    @property
    def pane_text(self) -> str:
        """The lines of the pane."""
        return "\n".join(str(line) for line in self.app.pane.lines)


Drive = Callable[..., Any]


@asynccontextmanager
async def driven(
    source: Path, run: str | None = None, *, size: tuple[int, int] = (120, 36), wait: bool = True
) -> AsyncIterator[Driven]:
    """Open the debugger on *source*."""
    with Replay.open(source, run, wait=wait) as replay:
        app = ReplayApp(replay, load_keymap())
        with app.descent:
            async with app.run_test(size=size) as pilot:
                found = Driven(app, pilot)
                await found.settle()
                yield found


def drive(source: Path, script: Callable[[Driven], Awaitable[None]], **options: Any) -> None:
    """Run *script* against the debugger on *source*."""

    async def run() -> None:
        async with driven(source, **options) as found:
            await script(found)

    asyncio.run(run())


def lines_of(*records: dict[str, Any], run_id: str = "run-a") -> str:
    """Return records as the lines of a log; the head of each is filled in."""
    head = {"v": 1, "run_id": run_id}
    return "".join(
        json.dumps({**head, "step": 0, "ts": T0 + number, **record}, ensure_ascii=False) + "\n"
        for number, record in enumerate(records)
    )


def start(**more: Any) -> dict[str, Any]:
    """The record a run begins with."""
    return {"type": "run_start", "agent": "worker", **more}


def llm(step: int, **more: Any) -> dict[str, Any]:
    """A model call."""
    told = {
        "model": "claude-sonnet-4-5",
        "provider": "anthropic",
        "input_tokens": 100 * step,
        "output_tokens": 7,
    }
    return {"type": "llm_call", "step": step, "duration_ms": 900.0, "stop_reason": "tool_use", **told, **more}


def tool(step: int, name: str = "bash", **more: Any) -> dict[str, Any]:
    """A tool call."""
    told = {"input": {"command": f"echo {step}"}, "output": f"said {step}", "duration_ms": 12.0}
    return {"type": "tool_call", "step": step, "tool": name, **told, **more}


@pytest.fixture
def log(tmp_path: Path) -> Callable[..., Path]:
    """Write records as a log and return its path."""

    def write(*records: dict[str, Any], name: str = "run.jsonl", run_id: str = "run-a") -> Path:
        path = tmp_path / name
        path.write_text(lines_of(*records, run_id=run_id), encoding="utf-8")
        return path

    return write


@pytest.fixture
def run(log: Callable[..., Path]) -> Path:
    """A run of ten steps: one of them fails, an agent has two below it, a user speaks twice."""
    return log(
        start(),
        {"type": "event", "step": 1, "name": "user_message", "data": {"text": "find the heron"}},
        llm(2, output="I will look"),
        tool(3, "search", input={"q": "heron"}, output=["a", "b"]),
        tool(4, "bash", error="exit status 1", error_type="CommandError", output=None),
        {"type": "agent_call", "step": 5, "agent": "helper", "input": "look there", "duration_ms": 60.0},
        llm(6, parent=5, output="nested words"),
        tool(7, "bash", parent=5),
        {"type": "event", "step": 8, "name": "user_message", "data": {"text": "and the egret"}},
        llm(9, output="done", stop_reason="max_tokens"),
        tool(10, "bash", input={"command": "ls heron"}),
        {"type": "run_end", "status": "ok"},
    )
