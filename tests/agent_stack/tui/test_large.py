"""Runs of a hundred thousand steps: what is drawn and read is what is in sight, whatever the length."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING

import pytest

from agent_debug_replay import Replay
from agent_stack._tui._steps import StepList
from tests.agent_stack.tui.conftest import T0, Driven, drive, lines_of, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent_debug_replay import Payload
    from agent_stack._render.lines import Line

ROWS = 100_000
HEIGHT = 40


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 100,000 tool calls, one in a thousand of which failed."""
    path = tmp_path_factory.mktemp("large") / "run.jsonl"
    call = {"v": 1, "run_id": "run-a", "type": "tool_call", "tool": "bash", "input": {"command": "ls"}}
    texts = [json.dumps({**call, **told, "duration_ms": 12.0})[:-1] for told in ({}, {"error": "gave up"})]
    with path.open("w", encoding="utf-8") as file:
        file.write(lines_of(start()))
        for step in range(1, ROWS + 1):
            file.write(f'{texts[step % 1000 == 999]}, "ts": {T0 + step}, "step": {step}}}\n')
        file.write(lines_of({"type": "run_end", "status": "ok", "ts": T0 + ROWS + 1}))
    return path


class Counted:
    """What was drawn and read since `restart`, on the thread that answers keys."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.drawn: list[int] = []
        self.read: list[int] = []


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    found = Counted()
    paint, payload = StepList.paint, Replay.payload

    def count_paint(self: StepList, place: int, width: int) -> Line:
        found.drawn.append(place)
        return paint(self, place, width)

    def count_payload(self: Replay, index: int) -> Payload:
        if threading.current_thread() is threading.main_thread():
            found.read.append(index)
        return payload(self, index)

    monkeypatch.setattr(StepList, "paint", count_paint)
    monkeypatch.setattr(Replay, "payload", count_payload)
    return found


class TestCost:
    def test_a_key_draws_and_reads_no_more_than_a_screenful(self, large: Path, counted: Counted) -> None:
        async def script(screen: Driven) -> None:
            await screen.until(lambda: screen.app.steps.has_prices)
            await screen.settle()
            # Between the rows in sight at first and at last: what each key needs, and nothing twice.
            for keys, most in {
                "j": 2,
                "k": 2,
                "pagedown": HEIGHT + 1,
                "pageup": HEIGHT + 1,
                "G": HEIGHT + 1,
                "g": HEIGHT + 1,
                "e": HEIGHT + 1,
                "s": 3,
                "left_square_bracket": HEIGHT + 1,
                "2": 0,
                "7": 0,
                "o": 1,  # the pane has the focus then: the cursor looks different
                "escape": 1,
                "t": 0,
            }.items():
                counted.restart()
                await screen.press(keys)
                assert len(counted.drawn) <= most, keys
                assert len(set(counted.read)) <= HEIGHT + 1, keys

        drive(large, script, size=(120, HEIGHT))

    def test_the_first_screen_is_there_before_the_log_has_been_read(
        self, large: Path, counted: Counted
    ) -> None:
        async def script(screen: Driven) -> None:
            assert screen.label == "1"
            assert set(counted.read) <= set(range(HEIGHT))
            assert max(counted.drawn) < HEIGHT
            await screen.until(lambda: screen.app.view.is_read)
            assert f"row 1 of {ROWS:,} " in screen.lines[0] + " "
            # What came below the screen was not drawn; what is in sight, a few times: numbers got wider.
            assert max(counted.drawn) < HEIGHT
            assert len(counted.drawn) <= 8 * HEIGHT

        drive(large, script, size=(120, HEIGHT), wait=False)


class TestScrollbar:
    def test_parts_of_the_list_with_errors_are_marked(self, large: Path) -> None:
        async def script(screen: Driven) -> None:
            steps = screen.app.steps
            height = steps.size.height
            assert steps.error_cells(height) == []  # as many everywhere: nothing to go to
            await screen.press("f")
            await screen.type("step > 999 and step < 3002")  # two of them failed
            assert steps.error_cells(4) == [1, 3]
            await screen.until(lambda: _bar(screen).count("◂") == 2)
            await screen.press("f")
            await screen.type("not error")
            assert steps.error_cells(height) == []
            await screen.until(lambda: "◂" not in _bar(screen))

        drive(large, script)


def _bar(screen: Driven) -> str:
    """The column of the scrollbar of the list."""
    region = screen.app.steps.vertical_scrollbar.region
    return "".join(line[region.x] for line in screen.lines[region.y : region.bottom])


class TestGrowing:
    def test_the_list_grows_and_g_stays_at_its_end(
        self, large: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = _Gate(monkeypatch)

        async def script(screen: Driven) -> None:
            shown = len(screen.app.shown)
            assert 2_000 <= shown < ROWS
            assert "so far" in screen.lines[0]
            assert "reading" in screen.lines[0]
            assert "interrupted" not in screen.lines[0]
            await screen.press("G")
            assert screen.label == str(shown)
            gate.open()
            await screen.until(lambda: screen.app.view.is_read)
            await screen.settle()
            assert screen.label == str(ROWS)
            assert "so far" not in screen.lines[0]

        drive(large, script, wait=False)

    def test_a_move_lets_the_end_go(self, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        gate = _Gate(monkeypatch)

        async def script(screen: Driven) -> None:
            await screen.press("G", "k")
            label = screen.label
            gate.open()
            await screen.until(lambda: screen.app.view.is_read)
            await screen.settle()
            assert screen.label == label

        drive(large, script, wait=False)

    def test_a_filter_lets_through_what_comes_later_too(
        self, large: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gate = _Gate(monkeypatch)

        async def script(screen: Driven) -> None:
            await screen.press("f")
            await screen.type("error")
            before = len(screen.app.shown)
            assert 1 <= before < ROWS // 1000
            gate.open()
            await screen.until(lambda: screen.app.view.is_read and not screen.app.view.has_unfiltered)
            await screen.settle()
            assert list(screen.app.shown.rows) == list(range(998, ROWS, 1000))

        drive(large, script, wait=False)


class TestBeside:
    """What goes through the whole run leaves the screen alive, and ends when it is told to."""

    @pytest.mark.parametrize(
        ("key", "text"),
        [
            ("slash", "nowhere"),
            ("f", "input.command == 'nowhere'"),
            ("colon", "until input.command == 'nowhere'"),
            ("colon", "break if input.command == 'nowhere'; c"),
            ("colon", "log ms if input.command == 'nowhere'"),
        ],
    )
    def test_escape_stops_it(self, large: Path, monkeypatch: pytest.MonkeyPatch, key: str, text: str) -> None:
        held = _Held(monkeypatch, 50)

        async def script(screen: Driven) -> None:
            await screen.press(key)
            screen.app.prompt.value = text
            await screen.pilot.press("enter")
            await screen.until(held.is_there)
            await screen.until(lambda: "esc stops" in screen.app.message)
            assert "step 51" in screen.app.message
            await screen.pilot.press("2")  # looking goes on
            assert screen.app.tab == 1
            await screen.pilot.press("escape")
            held.let_go()
            await screen.settle()
            assert screen.app.message == "stopped"
            assert screen.label == "1"
            assert len(screen.app.shown) == ROWS

        drive(large, script)

    def test_a_move_ends_a_command_and_is_done(self, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        held = _Held(monkeypatch, 50)

        async def script(screen: Driven) -> None:
            await screen.press("colon")
            screen.app.prompt.value = "until input.command == 'nowhere'"
            await screen.pilot.press("enter")
            await screen.until(held.is_there)
            moved = asyncio.create_task(screen.pilot.press("j"))
            await screen.until(lambda: screen.app.view.beside._stop.is_set())
            held.let_go()
            await moved
            await screen.settle()
            assert screen.label == "2"

        drive(large, script)


class _Gate:
    """Holds the thread that reads a log after the first screen, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._opened = threading.Event()
        read_on: Callable[..., None] = Replay._read_on

        def wait(replay: Replay, *arguments: object) -> None:
            self._opened.wait(120)
            read_on(replay, *arguments)

        monkeypatch.setattr(Replay, "_read_on", wait)

    def open(self) -> None:
        self._opened.set()


class _Held:
    """Holds work on another thread at one row, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, row: int) -> None:
        self._reached, self._let_go = threading.Event(), threading.Event()
        tell = Replay._tell

        def wait(replay: Replay, index: int) -> None:
            is_work = replay._telling is not None and replay._telling[0] == threading.get_ident()
            if is_work and index == row:
                tell(replay, index)
                self._reached.set()
                self._let_go.wait(120)
            tell(replay, index)

        monkeypatch.setattr(Replay, "_tell", wait)
        self.is_there = self._reached.is_set
        self.let_go = self._let_go.set
