"""Draw the debugger's screen: the demo's first run, and that run beside another one.

python -m docs.images.make_tui_pictures
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from docs.images.make_pictures import without_network

from agent_debug_replay import Replay
from agent_stack._demo.agent import record_researcher
from agent_stack._tui._app import ReplayApp
from agent_stack._tui._keymap import load_keymap

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.pilot import Pilot

HERE = Path(__file__).parent
SIZE = (132, 34)


async def draw(folder: Path, run_id: str, press: Callable[[ReplayApp, Pilot[int]], Awaitable[None]]) -> str:
    """Return the screen as SVG once *press* has pressed its keys."""
    with Replay.open(folder, run_id) as replay:
        app = ReplayApp(replay, load_keymap())
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause(0.5)
            await press(app, pilot)
            await pilot.pause(0.5)
            return without_network(app.export_screenshot(title="agent-step-log replay"))


def write_other(log: Path) -> Path:
    """Write what the agent of *log* might do when its prompt names the file it needs; return the log."""
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    other = log.with_name("prompt-2.jsonl")
    with other.open("w", encoding="utf-8") as file:
        for record in records:
            if 5 <= record["step"] <= 8:  # it looked for the file, and in the wrong place first
                continue
            record["run_id"] = "prompt-2"
            if record["step"] == 3:
                record["input"] = {"text": "def write"}
            file.write(json.dumps(record) + "\n")
    return other


async def main() -> None:
    """Draw all of them."""

    async def to_the_first_error(_app: ReplayApp, pilot: Pilot[int]) -> None:
        await pilot.press("e", "1")

    async def beside_the_other(app: ReplayApp, pilot: Pilot[int]) -> None:
        await pilot.press("D")
        app.prompt.value = str(other)
        await pilot.press("enter")
        await app.workers.wait_for_complete()
        await pilot.pause(0.3)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_id = record_researcher(folder)
        steps = await draw(folder, run_id, to_the_first_error)
        other = write_other(folder / f"{run_id}.jsonl")
        difference = await draw(folder, run_id, beside_the_other)
    (HERE / "replay.svg").write_text(steps, encoding="utf-8")
    (HERE / "replay-diff.svg").write_text(difference, encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
