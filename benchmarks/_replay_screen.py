"""The debugger's screen in a process of its own, without a terminal: its first paint, its keys, its memory.

    python -m benchmarks._replay_screen first LOG STARTED     seconds since STARTED (Unix) to the first rows
    python -m benchmarks._replay_screen keys LOG PRESSES      all the rest

Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from agent_stack._tui._app import ReplayApp

__all__ = ["first_paint", "keys"]

_SIZE = (160, 50)
_KEYS = {
    "`j`, `k`": ("j", "j", "k"),
    "`PgDn`, `PgUp`": ("pagedown", "pagedown", "pageup"),
    "`g`, `G`": ("G", "g"),
    "`J`, `K`": ("J", "J", "K"),
    "`e`, `s`": ("e", "s"),
    "`[`, `]`": ("left_square_bracket", "right_square_bracket"),
    "`1` to `7`": tuple("1234567"),
    "`w`, `d`, `t`": ("w", "d", "t", "escape"),
    "`tab`": ("tab",),
}
#: What goes through the whole run: the key that asks, and what is typed.
_LONG = {
    "find a text that is nowhere": ("slash", "no such words"),
    "filter by tool": ("f", 'tool == "bash"'),
    "until an input that is nowhere": ("colon", 'until input.query == "no such words"'),
    "a table of durations": ("colon", 'log ms if tool == "bash"'),
    "growth of the context": ("v", ""),
}


def first_paint(path: Path) -> dict[str, float]:
    """Return seconds to the first rows on the screen: from the start of a process, and from `open` on."""
    return _asked("first", path, repr(time.time()))


def keys(path: Path, presses: int) -> dict[str, Any]:
    """Return what keys and long work take, what reading the rest took, and megabytes."""
    return _asked("keys", path, str(presses))


def _asked(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks._replay_screen", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _memory(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"no {name}")


async def _first(path: str, started: float) -> dict[str, float]:
    from agent_stack._tui import spare_keys

    spare_keys()  # as the command does
    from agent_debug_replay import Replay
    from agent_stack._tui._app import ReplayApp
    from agent_stack._tui._keymap import load_keymap

    painted = asyncio.Event()

    class Told(ReplayApp):
        def post_display_hook(self) -> None:
            if not painted.is_set() and self.query("#steps") and self.steps.painted:
                self.first_paint = time.time()
                painted.set()

    opened = time.time()
    with Replay.open(path, wait=False) as replay:
        app = Told(replay, load_keymap(), on_loaded=spare_keys)
        async with app.run_test(size=_SIZE):
            await asyncio.wait_for(painted.wait(), 60)
    return {"from_start": app.first_paint - started, "from_open": app.first_paint - opened}


async def _pressed(path: str, presses: int) -> dict[str, Any]:
    from agent_stack._tui import spare_keys

    spare_keys()  # as the command does
    from agent_debug_replay import Replay
    from agent_stack._tui._app import ReplayApp
    from agent_stack._tui._keymap import load_keymap

    displayed = asyncio.Event()

    class Told(ReplayApp):
        def post_display_hook(self) -> None:
            displayed.set()

    with Replay.open(path, wait=False) as replay:
        app = Told(replay, load_keymap(), on_loaded=spare_keys)
        begin = time.perf_counter()
        async with app.run_test(size=_SIZE) as pilot:
            stall = await _longest_stall(_until(lambda: replay.is_complete))
            found: dict[str, Any] = {
                "reading": {"seconds": time.perf_counter() - begin, "stall_ms": stall},
                "resident": _memory("VmRSS"),
            }
            await _until(lambda: app.steps.has_prices, 5.0)
            found["keys"] = {}
            for name, ring in _KEYS.items():
                await pilot.press("escape", "g")
                await pilot.pause(0.3)
                pressed = (ring * presses)[:presses]
                found["keys"][name] = [await _one_key(app, pilot, key, displayed) for key in pressed]
            await pilot.press("escape", "1", "g")
            found["long"] = {name: await _one_long(app, pilot, *asked) for name, asked in _LONG.items()}
            found["peak"] = _memory("VmHWM")
    return found


async def _one_key(app: ReplayApp, pilot: Pilot[int], key: str, displayed: asyncio.Event) -> list[float]:
    """Return milliseconds from a key to the first paint after it, and of CPU time until all is drawn."""
    from textual import events

    displayed.clear()
    begin, used = time.perf_counter(), time.thread_time()
    app.post_message(events.Key(key, key if len(key) == 1 else None))
    try:
        await asyncio.wait_for(displayed.wait(), 2)
        wall = time.perf_counter() - begin
    except TimeoutError:  # it changed nothing
        wall = 0.0
    await _until(lambda: not _is_busy(app))
    await asyncio.sleep(0.03)  # two frames: the pane follows the list
    took = time.thread_time() - used
    await pilot.pause(0.2)  # sums are made meanwhile: not for this key
    return [wall * 1000, took * 1000]


async def _one_long(app: ReplayApp, pilot: Pilot[int], key: str, text: str) -> list[float]:
    """Return seconds a long piece of work took, and the milliseconds a key would have waited at most."""
    if text:
        await pilot.press(key)
        app.prompt.value = text

    async def work() -> None:
        await pilot.press("enter" if text else key)
        await _until(lambda: not _is_busy(app), 600.0)

    begin = time.perf_counter()
    stall = await _longest_stall(work())
    seconds = time.perf_counter() - begin
    await pilot.press("escape", "escape")
    await _until(lambda: not _is_busy(app))
    return [seconds, stall]


def _is_busy(app: ReplayApp) -> bool:
    return any(worker.group in ("scan", "sums") and not worker.is_finished for worker in app.workers)


async def _longest_stall(work: Any) -> float:
    """Do *work*; return the longest time in milliseconds in which the loop came to nothing else."""
    longest = 0.0
    task = asyncio.ensure_future(work)
    while not task.done():
        begin = time.perf_counter()
        await asyncio.sleep(0.002)
        longest = max(longest, time.perf_counter() - begin - 0.002)
    await task
    return longest * 1000


async def _until(holds: Any, patience_s: float = 600.0) -> None:
    end = time.perf_counter() + patience_s
    while not holds() and time.perf_counter() < end:
        await asyncio.sleep(0.002)


if __name__ == "__main__":
    what, log, number = sys.argv[1:]
    asked = _first(log, float(number)) if what == "first" else _pressed(log, int(number))
    print(json.dumps(asyncio.run(asked)))
