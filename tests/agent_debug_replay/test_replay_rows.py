"""A run read back: the same steps, order and tree as the reader of logs gives, from any file."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_debug_replay import Replay, ReplayError, RunNotFoundError
from agent_step_log import read_run
from agent_step_log.errors import LogFormatError, LogSourceError, LogTooNewError
from tests.agent_debug_replay.replay_logs import T0, agent, begun, event, line, llm, runs, start, tool, write

CORPUS = Path(__file__).parents[1] / "conformance"
NO_RUN = ("empty", "only-blanks", "only-newline")
LOGS = sorted(
    path
    for pattern in ("*.jsonl", "*.jsonl.gz", "*.jsonl.zst")
    for path in CORPUS.glob(pattern)
    if not path.name.startswith(NO_RUN)
)


def facts_of_reader(path: Path) -> list[Any]:
    run = read_run(path)
    return [
        (
            step.number,
            step.writer,
            step.type,
            step.name,
            depth,
            step.status.replace("unfinished", "in_flight"),
            step.duration_ms,
            step.started_at,
            step.record.line,
        )
        for depth, step in run.walk()
    ]


def facts_of_replay(path: Path) -> list[Any]:
    with Replay.open(path) as replay:
        return [
            (
                row.step,
                row.writer,
                row.type,
                row.name or "?",
                row.depth,
                row.status,
                row.duration_ms,
                row.start,
                replay.payload(row.row).record.line,
            )
            for row in replay.rows
        ]


class TestAgainstTheReader:
    @given(runs())
    @settings(max_examples=60, deadline=None)
    def test_random_runs_read_the_same(self, records: list[dict[str, Any]]) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = write(Path(directory) / "run.jsonl", *records)

            assert facts_of_replay(path) == facts_of_reader(path)

    @given(runs())
    @settings(max_examples=50, deadline=None)
    def test_a_log_that_grew_line_by_line_reads_the_same(self, records: list[dict[str, Any]]) -> None:
        with tempfile.TemporaryDirectory() as directory:
            path = write(Path(directory) / "run.jsonl", records[0])
            with Replay.open(path) as replay:
                for record in records[1:]:
                    with path.open("a", encoding="utf-8") as file:
                        file.write(line(record))
                    replay.refresh()
                grown = [(row, replay.payload(row.row).record.line) for row in replay.rows]
            with Replay.open(path) as whole:
                assert grown == [(row, whole.payload(row.row).record.line) for row in whole.rows]

    @given(runs(), st.lists(st.integers(1, 14), min_size=1, max_size=6))
    @settings(max_examples=50, deadline=None)
    def test_steps_told_twice_read_the_same_in_one_go_and_line_by_line(
        self, records: list[dict[str, Any]], repeated: list[int]
    ) -> None:
        for number in repeated:
            told = records[number % len(records)]
            if told["type"] != "run_start":
                other = {"duration_ms": 7.0} if "duration_ms" in told else {}
                records.insert(number % (len(records) + 1) or 1, {**told, **other})
        with tempfile.TemporaryDirectory() as directory:
            path = write(Path(directory) / "run.jsonl", records[0])
            with Replay.open(path) as replay:
                for record in records[1:]:
                    with path.open("a", encoding="utf-8") as file:
                        file.write(line(record))
                    replay.refresh()
                grown = [(row, replay.payload(row.row).record.line) for row in replay.rows]
            with Replay.open(path) as whole:
                assert grown == [(row, whole.payload(row.row).record.line) for row in whole.rows]

    @pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
    def test_every_log_of_the_corpus_reads_the_same(self, path: Path) -> None:
        try:
            expected = facts_of_reader(path)
            damage = read_run(path).damage
        except (LogFormatError, LogSourceError) as error:
            with pytest.raises((type(error), RunNotFoundError, LogFormatError)):
                Replay.open(path)
            return

        found = facts_of_replay(path)

        if path.name == "huge-step.jsonl":
            # A number no column holds is kept at its limit.
            assert [row[1:] for row in found] == [row[1:] for row in expected]
        else:
            assert found == expected
        with Replay.open(path) as replay:
            told = [(item.offset, item.length, item.reason) for item in replay.damage]
            assert told == [(item.offset, item.length, item.reason) for item in damage]


class TestRows:
    def test_tells_what_the_records_say(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "run.jsonl",
            start(),
            begun(1, 0.0, "agent_call", agent="planner"),
            llm(2, 2.5, parent=1, duration_ms=2_500.0, cache_read_tokens=80, attempt=2),
            tool(3, 3.0, parent=1, error="no", error_type="app.Broken"),
            llm(4, 4.0, stop_reason="max_tokens", input_tokens=None),
        )
        with Replay.open(path) as replay:
            first, call, failed, cut = replay.rows

        assert (first.status, first.has_children, first.depth, first.parent) == ("in_flight", True, 0, None)
        assert (call.start, call.end, call.duration_ms) == (T0, T0 + 2.5, 2_500.0)
        assert (call.input_tokens, call.cache_read_tokens, call.reasoning_tokens) == (100, 80, None)
        assert call.is_retry
        # A step without an agent of its own belongs to that of the step above it.
        assert (call.agent, call.parent, call.depth) == ("planner", 0, 1)
        assert (failed.status, failed.error_type, failed.is_error) == ("error", "app.Broken", True)
        assert (cut.is_truncated, cut.input_tokens, cut.agent) == (True, None, None)

    def test_unknown_is_none_and_never_zero(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), llm(1, input_tokens=0, output_tokens=None))
        with Replay.open(path) as replay:
            assert (replay.row(0).input_tokens, replay.row(0).output_tokens) == (0, None)
            assert not replay.totals(0).tokens_known

    def test_a_ring_of_parents_is_cut(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), tool(1, parent=2), tool(2, parent=1), tool(3, parent=3))
        with Replay.open(path) as replay:
            assert [(row.step, row.depth) for row in replay.rows] == [(1, 0), (2, 0), (3, 0)]

    def test_rows_are_a_sequence(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), *(tool(number) for number in range(1, 6)))
        with Replay.open(path) as replay:
            assert len(replay.rows) == 5
            assert replay.rows[-1].step == 5
            assert [row.step for row in replay.rows[1:3]] == [2, 3]
            with pytest.raises(IndexError):
                replay.row(5)
            with pytest.raises(IndexError):
                replay.payload(-1)

    def test_children_and_the_row_after_them(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "run.jsonl",
            start(),
            begun(1, 0, "agent_call"),
            begun(2, 1, "agent_call", parent=1),
            tool(3, 2, parent=2),
            tool(4, 3, parent=1),
            tool(5, 4),
        )
        with Replay.open(path) as replay:
            assert replay.children(0) == [1, 3]
            assert (replay.after(0), replay.after(1), replay.after(4)) == (4, 3, 5)

    def test_payloads_are_read_from_the_log_when_asked_for(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), begun(1, 0, input={"a": 1}), tool(1, 1, start_ts=T0))
        with Replay.open(path) as replay:
            payload = replay.payload(0)
            assert payload.begin is not None
            assert payload.begin.input == {"a": 1}
            assert payload.record is payload.end
            assert replay.payload(0) is payload

    def test_a_log_that_was_changed_under_it_says_so(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), tool(1), tool(2))
        with Replay.open(path) as replay:
            path.write_bytes(b"x" * path.stat().st_size)
            with pytest.raises(LogFormatError, match="has changed since it was read"):
                replay.payload(1)


class TestWhichRun:
    def two(self, tmp_path: Path) -> Path:
        records = line(start(), "run-one") + line(tool(1), "run-one")
        records += line(start(at=5.0), "run-two") + line(tool(1, 6.0), "run-two")
        path = tmp_path / "both.jsonl"
        path.write_text(records, encoding="utf-8")
        return path

    def test_the_last_started_is_the_default(self, tmp_path: Path) -> None:
        with Replay.open(self.two(tmp_path)) as replay:
            assert replay.run_id == "run-two"

    @pytest.mark.parametrize("name", ["run-one", "one", "run-o"])
    def test_by_its_id_or_an_end_of_it(self, tmp_path: Path, name: str) -> None:
        with Replay.open(self.two(tmp_path), name) as replay:
            assert replay.run_id == "run-one"

    def test_several_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(
            RunNotFoundError, match="2 runs match 'run-': run-one, run-two; give more of the id"
        ):
            Replay.open(self.two(tmp_path), "run-")

    def test_the_nearest_are_offered(self, tmp_path: Path) -> None:
        with pytest.raises(RunNotFoundError, match="there is no run 'run-ome' in it; the nearest: run-one"):
            Replay.open(self.two(tmp_path), "run-ome")

    def test_in_a_directory(self, tmp_path: Path) -> None:
        self.two(tmp_path)
        write(tmp_path / "c.jsonl", start(at=9.0), tool(1, 9.5), run_id="run-c")
        with Replay.open(tmp_path) as replay:
            assert replay.run_id == "run-c"
        with Replay.open(tmp_path, "run-one") as replay:
            assert [row.step for row in replay.rows] == [1]

    def test_of_many_files_with_one_run_each(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # Told by the ends of the files: none of them is read through to choose one.
        monkeypatch.setattr("agent_debug_replay._run_files.list_runs", None)
        for number in range(5):
            write(tmp_path / f"{number}.jsonl", start(at=-number), tool(1), run_id=f"run-{number}")
        write(tmp_path / "1.000001.jsonl", start(at=-50.0), tool(7), run_id="run-1")
        with Replay.open(tmp_path) as replay:
            assert replay.run_id == "run-0"
        with Replay.open(tmp_path, "-1") as replay:
            assert [row.step for row in replay.rows] == [1, 7]
        with pytest.raises(RunNotFoundError, match="5 runs match"):
            Replay.open(tmp_path, "run-")

    @pytest.mark.parametrize("odd", [b"", b"garbage\n", b'{"run_id":"r","st', b'{"x":1}\n' * 9])
    def test_an_odd_file_in_a_directory_has_all_of_it_read(self, tmp_path: Path, odd: bytes) -> None:
        self.two(tmp_path)
        (tmp_path / "odd.jsonl").write_bytes(odd)
        with Replay.open(tmp_path, "run-one") as replay:
            assert [row.step for row in replay.rows] == [1]

    def test_there_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "empty.jsonl").touch()
        with pytest.raises(RunNotFoundError, match="there is no run in it"):
            Replay.open(tmp_path / "empty.jsonl")

    def test_nothing_is_there(self, tmp_path: Path) -> None:
        with pytest.raises(LogSourceError):
            Replay.open(tmp_path / "nowhere.jsonl")

    def test_of_a_later_format(self, tmp_path: Path) -> None:
        with pytest.raises(LogTooNewError):
            Replay.open(write(tmp_path / "run.jsonl", start(format=9)))

    def test_a_tape_finds_its_log(self, tmp_path: Path) -> None:
        from tests.agent_stack.wire_tapes import whole_run, write_tape

        tape = write_tape(tmp_path, *whole_run(), run_id="run-a")
        with pytest.raises(ReplayError, match="the log of that run is not beside it"):
            Replay.open(tape)
        write(tmp_path / "x.jsonl", start(), tool(1))
        with Replay.open(tape) as replay:
            assert replay.run_id == "run-a"


class TestFiles:
    def test_compressed_and_rotated_parts_are_one_run(self, tmp_path: Path) -> None:
        (tmp_path / "run.000001.jsonl.gz").write_bytes(
            gzip.compress((line(start()) + line(begun(1)) + line(tool(2, 1))).encode())
        )
        write(tmp_path / "run.jsonl", tool(1, 2.0, start_ts=T0), event(3, 3.0))
        with Replay.open(tmp_path / "run.jsonl") as replay:
            assert [(row.step, row.status) for row in replay.rows] == [(1, "ok"), (2, "ok"), (3, "ok")]
            assert replay.payload(0).begin is not None
            assert json.loads(replay.payload(1).record.line)["tool"] == "bash"

    def test_a_long_compressed_log_is_read_at_any_place(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl.gz"
        text = line(start()) + "".join(line(tool(number, number)) for number in range(1, 2500))
        path.write_bytes(gzip.compress(text.encode()))
        with Replay.open(path) as replay:
            assert len(replay) == 2499
            assert replay.payload(2000).record.input == {"command": "do 2001"}

    def test_a_line_too_long_is_skipped_and_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("agent_debug_replay._scan._MAX_LINE_BYTES", 100_000)
        path = tmp_path / "run.jsonl"
        long = line(tool(2, output="x" * 600_000))
        path.write_text(line(start()) + line(tool(1)) + long + line(tool(3)) + long, encoding="utf-8")
        with Replay.open(path) as replay:
            assert [row.step for row in replay.rows] == [1, 3]
            assert [(item.reason, item.length) for item in replay.damage] == [("too long", len(long) - 1)] * 2


class TestFirstScreen:
    def test_is_there_before_all_is_read_and_the_rest_follows(self, tmp_path: Path) -> None:
        records = [start(), begun(1, 0, "agent_call")]
        records += [tool(number, number, parent=1) for number in range(2, 12_000)]
        path = write(tmp_path / "run.jsonl", *records, agent(1, 20_000, start_ts=T0))
        with Replay.open(path, wait=False) as replay:
            first = len(replay)
            assert 2_000 <= first < 11_999
            assert not replay.is_complete
            assert replay.row(0).is_in_flight
            revision = replay.revision

            assert replay.wait()

            assert (len(replay), replay.is_complete, replay.progress) == (11_999, True, 1.0)
            assert not replay.row(0).is_in_flight
            assert replay.revision > revision

    def test_what_the_thread_meets_is_raised_to_who_waits(self, tmp_path: Path) -> None:
        records = [tool(number, number) for number in range(1, 12_000)]
        path = write(tmp_path / "run.jsonl", start(), *records, start(format=9))
        with Replay.open(path, wait=False) as replay, pytest.raises(LogTooNewError):
            replay.wait()

    def test_a_short_run_is_read_at_once(self, tmp_path: Path) -> None:
        with Replay.open(write(tmp_path / "run.jsonl", start(), tool(1)), wait=False) as replay:
            assert replay.is_complete


class TestRefresh:
    def append(self, path: Path, *records: dict[str, Any]) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(map(line, records)))

    def test_a_step_that_ended_is_the_same_row(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), begun(1), tool(2, 1))
        with Replay.open(path) as replay:
            assert replay.payload(0).end is None
            self.append(path, tool(1, 2, start_ts=T0), tool(3, 3))

            assert replay.refresh() == ("grown", 1, (0,), False)
            assert [(row.step, row.status) for row in replay.rows] == [(1, "ok"), (2, "ok"), (3, "ok")]
            assert replay.payload(0).end is not None
            assert replay.refresh().kind == "same"

    def test_a_line_that_is_half_written_comes_when_it_is_whole(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), tool(1))
        whole = line(tool(2, 1))
        with Replay.open(path) as replay:
            with path.open("a", encoding="utf-8") as file:
                file.write(whole[:40])
            assert replay.refresh().kind == "same"
            with path.open("a", encoding="utf-8") as file:
                file.write(whole[40:])
            assert replay.refresh().added == 1
            assert replay.damage == []

    def test_a_last_line_without_its_newline_is_read_once(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), tool(1))
        path.write_text(path.read_text(encoding="utf-8") + line(tool(2, 1)).rstrip(), encoding="utf-8")
        with Replay.open(path) as replay:
            assert len(replay) == 2
            with path.open("a", encoding="utf-8") as file:
                file.write("\n" + line({"type": "run_end", "status": "ok", "at": 2}))
            replay.refresh()
            assert (len(replay), replay.status) == (2, "ok")

    def test_a_late_row_moves_the_others(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), begun(1, 0, "agent_call"), tool(3, 5))
        with Replay.open(path) as replay:
            self.append(path, tool(4, 6, parent=1))
            change = replay.refresh()
            assert (change.added, change.is_moved) == (1, True)
            assert [row.step for row in replay.rows] == [1, 4, 3]

    def test_a_rotated_log_is_followed_into_the_new_file(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), tool(1))
        with Replay.open(path) as replay:
            self.append(path, tool(2, 1))
            path.rename(tmp_path / "run.000001.jsonl")
            write(path, tool(3, 2))

            assert replay.refresh() == ("rotated", 2, (), False)
            assert [row.step for row in replay.rows] == [1, 2, 3]
            self.append(path, tool(4, 3))
            assert replay.refresh() == ("grown", 1, (), False)

    def test_a_log_that_shrank_says_so_and_is_read_again(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), tool(1), tool(2, 1))
        with Replay.open(path) as replay:
            write(path, start(), tool(1))
            change = replay.refresh()
            assert (change.kind, change.is_moved, len(replay)) == ("shrunk", True, 1)

    def test_another_log_in_its_place_is_read(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), tool(1), tool(2, 1))
        with Replay.open(path) as replay:
            other = write(tmp_path / "other", start(), tool(1), run_id="run-b")
            other.rename(path)
            change = replay.refresh()
            assert (change.kind, replay.run_id, len(replay)) == ("replaced", "run-b", 1)

    def test_a_log_that_is_gone_stays_as_it_was_read(self, tmp_path: Path) -> None:
        path = write(tmp_path / "run.jsonl", start(), tool(1))
        with Replay.open(path) as replay:
            path.unlink()
            assert replay.refresh().kind == "gone"
            assert replay.payload(0).record.tool == "bash"
