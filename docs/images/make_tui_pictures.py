"""Draw docs/images/replay.svg: the debugger's screen on the demo's first run.

python docs/images/make_tui_pictures.py
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from docs.images.make_pictures import without_network

from agent_debug_replay import Replay
from agent_stack._demo.agent import record_researcher
from agent_stack._tui._app import ReplayApp
from agent_stack._tui._keymap import load_keymap

HERE = Path(__file__).parent
SIZE = (132, 34)
KEYS = ("e", "1")  # to the first error, and what went into it


async def draw() -> str:
    """Record the demo's agent afresh and return the screen, as SVG."""
    with tempfile.TemporaryDirectory() as name:
        run_id = record_researcher(Path(name))
        with Replay.open(name, run_id) as replay:
            app = ReplayApp(replay, load_keymap())
            async with app.run_test(size=SIZE) as pilot:
                await pilot.pause(0.5)
                for key in KEYS:
                    await pilot.press(key)
                await pilot.pause(0.5)
                return without_network(app.export_screenshot(title="agent-step-log replay"))


if __name__ == "__main__":
    (HERE / "replay.svg").write_text(asyncio.run(draw()), encoding="utf-8")
