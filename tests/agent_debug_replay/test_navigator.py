"""Moves: against a plain model on random trees, back again, and what stops on the way."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_debug_replay import MISSING, Changes, Moved, Navigator, Note, Replay, ReplayError, Target
from agent_step_log import read_run
from tests.agent_debug_replay.replay_logs import T0, agent, begun, event, line, llm, runs, start, tool, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_step_log import Step


class Model:
    """A run as plain objects, and every move written out as its definition."""

    def __init__(self, path: Path) -> None:
        run = read_run(path)
        self.order: list[Step] = [step for _, step in run.walk()]
        self.above: dict[int, Step] = {id(child): step for step in self.order for child in step.children}
        self.roots = run.roots

    def beside(self, at: int) -> list[Step]:
        parent = self.above.get(id(self.order[at]))
        return parent.children if parent is not None else self.roots

    def index(self, step: Step) -> int:
        return next(place for place, each in enumerate(self.order) if each is step)

    def move(self, name: str, at: int) -> int:
        """Where one move leads; *at* itself where there is nothing such."""
        step = self.order[at]
        beside = self.beside(at)
        place = next(number for number, each in enumerate(beside) if each is step)
        parent = self.above.get(id(step))
        if name == "next":
            return self.index(beside[place + 1]) if place + 1 < len(beside) else at
        if name == "previous":
            return self.index(beside[place - 1]) if place else at
        if name == "step":
            return min(at + 1, len(self.order) - 1)
        if name == "step_back":
            return max(at - 1, 0)
        if name == "in":
            return self.index(step.children[0]) if step.children else at
        if name == "out":
            return self.index(parent) if parent is not None else at
        if name == "finish":
            if parent is None:
                return at
            inside, waiting = set(), [parent]
            while waiting:
                each = waiting.pop()
                inside.add(id(each))
                waiting += each.children
            later = [row for row in range(at, len(self.order)) if id(self.order[row]) not in inside]
            return later[0] if later else at
        way, tests = (
            (-1 if name.endswith("_back") else 1),
            {
                "error": lambda each: each.status == "error",
                "peer": lambda each: (each.type, each.name) == (step.type, step.name),
                "until": lambda each: each.type == "tool_call" and (each.duration_ms or 0) > 100,
                "turn": self.is_turn(),
            },
        )
        holds = tests[name.removesuffix("_back")]
        rows = range(at + way, len(self.order) if way > 0 else -1, way)
        return next((row for row in rows if holds(self.order[row])), at)

    def is_turn(self) -> Any:
        said = [each for each in self.order if each.type == "event" and each.name == "user_message"]
        if said:
            return lambda each: each.type == "event" and each.name == "user_message"
        return lambda each: each.type == "llm_call"


def make(navigator: Navigator, name: str) -> Moved:
    """Do the move of that name."""
    count = -1 if name.endswith("_back") or name == "previous" else 1
    moves: dict[str, Any] = {
        "next": lambda: navigator.next(),
        "previous": lambda: navigator.next(-1),
        "step": lambda: navigator.step(count),
        "in": navigator.step_in,
        "out": navigator.out,
        "finish": navigator.finish,
        "error": lambda: navigator.error(count),
        "peer": lambda: navigator.peer(count),
        "turn": lambda: navigator.turn(count),
        "until": lambda: navigator.until("type == 'tool_call' and ms > 100", reverse=count < 0),
    }
    moved: Moved = moves[name.removesuffix("_back")]()
    return moved


MOVES = [
    *("next", "previous", "step", "step_back", "in", "out", "finish"),
    *(f"{name}{way}" for name in ("error", "peer", "turn", "until") for way in ("", "_back")),
]


class TestAgainstAModel:
    @given(runs(), st.lists(st.sampled_from(MOVES), max_size=25))
    @settings(max_examples=60, deadline=None)
    def test_every_move_leads_where_its_definition_says(
        self, records: list[dict[str, Any]], moves: list[str]
    ) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = write(Path(directory) / "run.jsonl", *records)
            model = Model(path)
            with Replay.open(path) as replay:
                navigator = Navigator(replay)
                for name in moves:
                    before = navigator.position
                    moved = make(navigator, name)
                    if before is None:
                        assert (moved.row, moved.end) == (None, "nowhere")
                        continue
                    expected = model.move(name, before)
                    # "behind the step" at the end of the run stays where it is, and says so.
                    assert (name, navigator.position) == (name, expected)
                    assert (moved.row, moved.before) == (expected, before)
                    assert (moved.end == "arrived") == (expected != before)
                    assert bool(moved.message) == (expected == before)


class TestReverses:
    @given(runs(), st.lists(st.sampled_from(MOVES), max_size=20))
    @settings(max_examples=60, deadline=None)
    def test_back_undoes_any_sequence_of_moves_and_forward_does_it_again(
        self, records: list[dict[str, Any]], moves: list[str]
    ) -> None:
        with tempfile.TemporaryDirectory() as directory:
            with Replay.open(write(Path(directory) / "run.jsonl", *records)) as replay:
                navigator = Navigator(replay)
                places = [navigator.position]
                places += [moved.row for name in moves if (moved := make(navigator, name)).is_moved]

                returned = [navigator.back().row for _ in places[1:]]
                assert returned == places[-2::-1]
                assert navigator.position == places[0]

                assert [navigator.forward().row for _ in places[1:]] == places[1:]

    @given(runs(), st.lists(st.sampled_from(["next", "step", "peer", "error", "turn", "until"]), max_size=15))
    @settings(max_examples=60, deadline=None)
    def test_a_move_between_two_of_a_kind_is_undone_by_its_reverse(
        self, records: list[dict[str, Any]], moves: list[str]
    ) -> None:
        reverses = {"next": "previous", "step": "step_back"}
        with tempfile.TemporaryDirectory() as directory:
            with Replay.open(write(Path(directory) / "run.jsonl", *records)) as replay:
                navigator = Navigator(replay)
                for name in moves:
                    first = make(navigator, name)
                    # Errors, turns and what `until` looks for may be reached from anything; from there on
                    # both ways lead from one of them to another.
                    second = make(navigator, name) if name in ("error", "turn", "until") else first
                    if second.is_moved and second.before == (first.before if second is first else first.row):
                        start_of = second.before
                        if name in ("error", "turn", "until") and not first.is_moved:
                            continue
                        undone = make(navigator, reverses.get(name, f"{name}_back"))
                        assert undone.row == start_of


@pytest.fixture
def navigator(tmp_path: Path) -> Iterator[Navigator]:
    path = write(
        tmp_path / "run.jsonl",
        start(),
        event(1, 0, "user_message", data={"text": "go"}),
        llm(2, 2, request_id="req_1", tool_calls=[{"id": "call_1", "name": "bash"}]),
        tool(3, 3, tool_call_id="call_1"),
        begun(4, 4, "agent_call", agent="helper"),
        tool(5, 5, parent=4, error="broken", error_type="app.Broken"),
        tool(6, 6, parent=4, tool="read_file", output="Needle in here"),
        agent(4, 7),
        event(8, 30, "user_message", data={"text": "again"}),
        llm(9, 32, model="m-2", stop_reason="max_tokens", attempt=2),
        {"type": "run_end", "status": "ok", "at": 33},
    )
    with Replay.open(path) as replay:
        yield Navigator(replay)


def steps(navigator: Navigator, text: str) -> list[int | None]:
    """The steps the cursor is at after each command of *text*."""
    found: list[int | None] = []
    for _ in navigator.run(text):
        row = navigator.row
        found.append(row.step if row is not None else None)
    return found


class TestMoves:
    def test_stop_at_either_end_and_say_so(self, navigator: Navigator) -> None:
        assert navigator.step(-1) == Moved(0, 0, "start", (), "This is the first step.")
        assert navigator.step(99).message == "This is the last step."
        assert navigator.resume() == Moved(7, 7, "end", (), "This is the last step.")
        assert navigator.resume(reverse=True) == Moved(0, 7, "start", (), "This is the first step.")

    def test_a_walk_that_got_somewhere_says_that_it_goes_no_further(self, navigator: Navigator) -> None:
        assert navigator.error(5) == Moved(4, 0, "nowhere", (), "There is no later step that failed.")

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("s; s 2; rs; -s; s -1", [2, 4, 3, 2, 1]),
            ("n 3; n; rn; rn 2", [4, 8, 4, 2]),
            ("goto 4; in; n; up; rfin", [4, 5, 6, 4, 4]),
            ("goto 5; fin; rfin", [5, 8, 8]),
            ("e; re; turn; rt; rt", [5, 5, 8, 1, 1]),
            ("goto 3; peer; rpeer", [3, 5, 3]),
            ("goto 50%; goto 0%; goto end; goto start; 6; 100%", [5, 1, 9, 1, 6, 9]),
            ("@0; @6s; @0:06; @1h", [1, 6, 6, 9]),
            (f"@{T0 + 4.5}", [4]),
            ("goto req_1; goto call_1", [2, 3]),
            ("/needle; ?nothing; ?bash; ?", [6, 6, 5, 3]),
            ("e; mark here; goto 9; 'here; marks", [5, 5, 9, 5, 5]),
            ("s; s; back; back; forward; back 5", [2, 3, 2, 1, 2, 1]),
            ("until tool == 'read_file'; runtil model; until model == 'none'", [6, 2, 2]),
        ],
    )
    def test_of_the_grammar(self, navigator: Navigator, text: str, expected: list[int]) -> None:
        assert steps(navigator, text) == expected

    @pytest.mark.parametrize(
        ("target", "message"),
        [
            (Target("step", 77), "There is no step 77; the last one is 9."),
            (Target("row", 77), "There is no row 77; there are 8."),
            (Target("id", "zzz"), "No step has the id 'zzz'."),
        ],
    )
    def test_a_place_that_is_not_there(self, navigator: Navigator, target: Target, message: str) -> None:
        assert navigator.seek(target) == Moved(0, 0, "nowhere", (), message)

    def test_one_writer_alone_is_named_in_no_label(self, tmp_path: Path) -> None:
        # As of the second run that a process writes into one file.
        path = write(tmp_path / "run.jsonl", *(tool(n, n, writer="fe6abeef") for n in (1, 2, 3)))
        with Replay.open(path) as replay:
            navigator = Navigator(replay)
            assert [row.label for row in replay.rows] == ["1", "2", "3"]
            assert navigator.seek(Target("step", 3)).row == 2
            list(navigator.run("break 2"))
            assert navigator.resume(reverse=True).hits
            assert navigator.row is not None
            assert (navigator.row.step, navigator.row.writer) == (2, "fe6abeef")

    def test_a_step_is_found_by_its_label(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), tool(1, 1), tool(1, 2, writer="fe6abeef"))
        with Replay.open(path) as replay:
            navigator = Navigator(replay)
            assert [row.label for row in replay.rows] == ["1", "fe6a:1"]
            for text in ("fe6a:1", "goto fe6abeef:1", "tbreak fe6a:1; start; c"):
                list(navigator.run(f"start; {text}"))
                assert navigator.position == 1

    def test_in_a_run_without_steps(self, tmp_path: Path) -> None:
        with Replay.open(write(tmp_path / "run.jsonl", start())) as replay:
            navigator = Navigator(replay)
            moves = "n; s; in; up; fin; c; until error; goto 1; t; peer; e; back; /x; mark a; 'a"
            looks = "break if error; c; p tool; l; bt; ctx; wire; files; state; log tool"
            for _, outcome in navigator.run(f"{moves}; {looks}"):
                assert not isinstance(outcome, Moved) or (outcome.row, outcome.end) == (None, "nowhere")

    def test_the_cursor_stays_at_its_step_when_rows_move(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), begun(1, 0, "agent_call"), tool(3, 5))
        with Replay.open(path) as replay:
            navigator = Navigator(replay)
            navigator.run("mark first; goto 3")
            list(navigator.run("mark first; goto 3"))
            with path.open("a", encoding="utf-8") as file:
                file.write(line(tool(4, 6, parent=1)))
            assert navigator.refresh().is_moved
            assert (navigator.position, navigator.row.step if navigator.row else None) == (2, 3)
            assert navigator.back().row == 0
            assert navigator.go_to_mark("first").row == 0


class TestStops:
    def hits(self, navigator: Navigator, text: str, most: int = 9) -> list[tuple[int, str]]:
        """Step and detail of every hit, forwards."""
        list(navigator.run(text))
        found: list[tuple[int, str]] = []
        while (moved := navigator.resume()).end == "stopped" and len(found) < most:
            row = navigator.row
            assert row is not None
            found += [(row.step, hit.detail) for hit in moved.hits]
        return found

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("break at tool", [3, 5, 6]),
            ("break at tool:bash", [3, 5]),
            ("break at tool:read*", [6]),
            ("break at llm:m-?", [2, 9]),
            ("break at agent", [4]),
            ("break at event:user_message", [8]),
            ("break 5", [5]),
            ("break if error", [5]),
            ("break error", [5]),
            ("break at tool if depth == 1 and not error", [6]),
            ("tbreak at tool", [3]),
            ("break at tool; ignore 1 2", [6]),
            ("break at tool; disable 1", []),
            ("break at tool; disable; enable 1", [3, 5, 6]),
            ("break at tool; delete 1", []),
            ("break at tool; condition 1 error", [5]),
            ("break at tool if error; condition 1", [3, 5, 6]),
        ],
    )
    def test_breakpoints(self, navigator: Navigator, text: str, expected: list[int]) -> None:
        assert [step for step, _ in self.hits(navigator, text)] == expected

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("watch model", [(9, '"m-1" → "m-2"')]),
            ("watch error", []),
            ("watch depth", [(5, "0 → 1"), (8, "1 → 0")]),
            ("catch error", [(5, "app.Broken")]),
            ("catch retry", [(9, "not the first attempt")]),
            ("catch truncation", [(9, "max_tokens")]),
            ("catch gap 20s", [(8, "nothing for 24.0 s")]),
            ("catch gap", []),
            ("catch budget 150", [(9, "220 tokens so far")]),
            ("catch budget 1k", []),
            ("catch loop", []),
            ("catch refusal; catch compaction", []),
        ],
    )
    def test_watches_and_catch_points(
        self, navigator: Navigator, text: str, expected: list[tuple[int, str]]
    ) -> None:
        assert self.hits(navigator, text) == expected

    def test_stop_in_both_directions_at_the_same_steps(self, navigator: Navigator) -> None:
        forwards = [step for step, _ in self.hits(navigator, "break at tool; watch model")]
        backwards = []
        while navigator.resume(reverse=True).end == "stopped":
            backwards.append(navigator.row.step if navigator.row else 0)
        assert forwards == [3, 5, 6, 9]
        assert backwards == [6, 5, 3]

    def test_loops_are_the_same_call_or_the_same_output_three_times(self, tmp_path: Path) -> None:
        calls = [
            tool(number, number, input={"command": "make"}, output=f"failed {number}") for number in (1, 2, 3)
        ]
        other = [tool(number, number, output="the very same and long output") for number in (4, 5, 6)]
        short = [tool(number, number, tool="todo", output="ok") for number in (7, 8, 9)]
        with Replay.open(write(tmp_path / "run.jsonl", start(), *calls, *other, *short)) as replay:
            found = self.hits(Navigator(replay), "catch loop")
            assert found == [(3, "the same call 3 times"), (6, "the same output 3 times")]
            assert self.hits(Navigator(replay), "catch loop 2")[0] == (2, "the same call 2 times")

    def test_refusals_and_compactions(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "run.jsonl",
            start(),
            llm(1, 1),
            event(2, 2, "compaction"),
            llm(3, 3, stop_reason="refusal"),
            event(4, 4, "llm_retry"),
        )
        with Replay.open(path) as replay:
            found = self.hits(Navigator(replay), "catch compaction; catch refusal; catch retry")
            assert found == [(2, "compaction"), (3, "refusal"), (4, "llm_retry")]

    def test_tell_how_they_stand(self, navigator: Navigator) -> None:
        list(
            navigator.run(
                "break at tool if ms > 1ms; tbreak 9; watch input.command; catch gap 30s; ignore 1 5; c"
            )
        )
        told = [(stop.number, stop.text, stop.hits, stop.ignore) for stop in navigator.stops]
        assert told == [
            (1, "break at tool if ms > 1ms", 2, 3),
            (2, "tbreak 9", 0, 0),
            (3, "watch input.command", 1, 0),
            (4, "catch gap 30000ms", 0, 0),
        ]
        assert navigator.hits == 1

    def test_a_text_that_tells_a_stop_makes_it_again(self, navigator: Navigator) -> None:
        lines = [
            "break at tool:bash if error",
            "tbreak 9",
            "watch model",
            "catch budget cost 0.5",
            "catch loop 4",
        ]
        for text in lines:
            list(navigator.run(text))
        assert [stop.text for stop in navigator.stops] == lines

    def test_one_that_is_not_there(self, navigator: Navigator) -> None:
        with pytest.raises(ReplayError, match="There is no stop 7; `info` lists those there are"):
            list(navigator.run("delete 7"))
        list(navigator.run("catch error"))
        with pytest.raises(ReplayError, match="Stop 1 is no breakpoint"):
            list(navigator.run("condition 1 error"))

    def test_the_python_names_make_the_same(self, navigator: Navigator) -> None:
        made = [
            navigator.break_at("tool:bash", condition="error", temporary=True),
            navigator.watch("model"),
            navigator.catch("gap", 30_000),
        ]
        assert [stop.text for stop in made] == [
            "tbreak at tool:bash if error",
            "watch model",
            "catch gap 30000ms",
        ]


class TestTables:
    def test_print_into_the_past(self, navigator: Navigator) -> None:
        table = navigator.tabulate(["tool", "ms"], "type == 'tool_call'")
        assert table.columns == ("tool", "ms")
        assert [(row.step, values) for row, values in table.rows] == [
            (3, ("bash", 50.0)),
            (5, ("bash", 50.0)),
            (6, ("read_file", 50.0)),
        ]

    def test_without_a_condition_tell_the_steps_that_have_any(self, navigator: Navigator) -> None:
        table = navigator.tabulate(["error", "model"])
        assert [(row.step, values) for row, values in table.rows] == [
            (2, (MISSING, "m-1")),
            (5, ("broken", MISSING)),
            (9, (MISSING, "m-2")),
        ]


class TestCompareSteps:
    @pytest.fixture
    def compared(self, tmp_path: Path) -> Iterator[Navigator]:
        path = write(
            tmp_path / "run.jsonl",
            start(),
            tool(1, 1, input={"command": "make"}, output="2 failed", duration_ms=50.0),
            llm(2, 2),
            tool(3, 3, tool="read"),
            tool(4, 4, input={"command": "make -k"}, output=None, error="killed", duration_ms=70.0),
            tool(5, 5, tool="big", output="x" * 5_000_000),
            tool(6, 6, tool="big"),
        )
        with Replay.open(path) as replay:
            yield Navigator(replay)

    def test_with_the_one_before_of_the_same_name(self, compared: Navigator) -> None:
        compared.seek(Target("step", 4))
        found = compared.changes()
        assert (found.before and found.before.step, found.after and found.after.step) == (1, 4)
        assert [(change.path, change.kind, change.before, change.after) for change in found.changes] == [
            ("input.command", "changed", "make", "make -k"),
            ("output", "removed", "2 failed", None),
            ("status", "changed", "ok", "error"),
            ("duration_ms", "changed", 50.0, 70.0),
            ("error", "added", None, "killed"),
        ]

    def test_with_any_other_step(self, compared: Navigator) -> None:
        for text in ("diff 3", "diff -p"):
            ((_, found),) = compared.run(f"{text}")
            assert isinstance(found, Changes)
        ((_, _), (_, found)) = compared.run("4; diff 3")
        assert isinstance(found, Changes)
        assert (found.before and found.before.step, found.message) == (3, "")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("1; diff", "There is no earlier step of the same type and name."),
            ("1; diff 99", "There is no step 99; the last one is 6."),
            ("6; diff", "Step 5 is 5,000,1"),
        ],
    )
    def test_that_cannot_be_compared_says_why(self, compared: Navigator, text: str, message: str) -> None:
        *_, (_, found) = compared.run(text)
        assert isinstance(found, Changes)
        assert found.message.startswith(message)
        assert found.changes == ()

    def test_the_command_line_that_leads_here(self, compared: Navigator) -> None:
        *_, (_, told) = compared.run("4; cmd")
        assert isinstance(told, Note)
        assert told.text == f"agent-step-log replay {compared.replay.source} run-a -x 'goto 4'"
