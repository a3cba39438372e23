"""read_log on one file: what it gives back, what it reports, and how much it holds."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from agent_step_log import Damage, StepLog, _reader, read_log
from agent_step_log._reader import parse_record, parse_records, read_file, split_line
from agent_step_log.errors import LogFormatError, LogSourceError, LogTooNewError
from tests.agent_step_log.loglines import begin, end, line, llm, places, read, start, tool

if TYPE_CHECKING:
    from pathlib import Path


class TestReadLog:
    def test_what_was_recorded_is_read_back(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", "r") as log:
            log.record_llm_call("m", 10, 5, "end_turn", 12.5)
            log.record_tool_call("search", {"q": "ü"}, ["a", 1])

        records, damage = read(tmp_path / "log.jsonl")

        assert [record.type for record in records] == ["run_start", "llm_call", "tool_call", "run_end"]
        assert records[1].input_tokens == 10
        assert records[2].input == {"q": "ü"}
        assert damage == []

    def test_records_of_one_run_only_are_given_when_asked_for(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(llm(1, run="a") + llm(1, run="b") + llm(2, run="a"))

        assert [record.step for record in read_log(path, run_id="a")] == [1, 2]
        assert list(read_log(path, run_id="c")) == []

    def test_a_key_that_is_absent_reads_as_none(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(llm(1))

        [record] = read_log(path)

        assert record.tool is None
        assert record.writer is None
        assert record.degraded is None

    def test_keys_unknown_to_this_version_are_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(llm(1, vendor={"x": [1]}, line="theirs"))

        [record] = read_log(path)

        assert record.extra() == {"vendor": {"x": [1]}, "line": "theirs"}
        assert record.to_dict()["model"] == "m"
        assert record.line == path.read_bytes().rstrip()

    def test_a_file_is_read_as_far_as_it_is_asked_for(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + llm(1))
        records = read_log(path)

        assert next(records).type == "run_start"
        records.close()  # type: ignore[attr-defined]  # a generator closes its file

    def test_nobody_has_to_listen_to_damage(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + b"junk\n" + end())

        assert [record.type for record in read_log(path)] == ["run_start", "run_end"]

    def test_an_unfinished_last_line_is_told_on_request_only(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + llm(1)[:30])
        damage: list[Damage] = []

        assert len(list(read_file(path, on_damage=damage.append))) == 1
        assert damage == []
        assert len(list(read_file(path, on_damage=damage.append, report_unfinished=True))) == 1
        assert places(damage) == [(len(start()), 30, "unfinished")]


class TestBadInput:
    def test_a_missing_file_is_said_to_be_missing(self, tmp_path: Path) -> None:
        with pytest.raises(LogSourceError) as caught:
            list(read_log(tmp_path / "no.jsonl"))

        assert str(caught.value) == f"{tmp_path}/no.jsonl: no such file or directory."

    def test_a_file_that_is_no_log_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("hello\nworld\n")

        with pytest.raises(LogFormatError) as caught:
            list(read_log(path))

        assert str(caught.value) == f"{path} is not a step log."

    def test_a_pretty_printed_json_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "config.json"
        path.write_text('{\n  "run_id": "x"\n}\n')

        with pytest.raises(LogFormatError):
            list(read_log(path))

    def test_a_later_format_names_both_versions_and_what_to_do(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start(format=7))

        with pytest.raises(LogTooNewError) as caught:
            list(read_log(path))

        assert str(caught.value) == (
            f"{path} is in format 7; this version reads up to 1. Upgrade with: pip install -U agent-step-log."
        )
        assert (caught.value.found, caught.value.supported) == (7, 1)

    def test_a_later_format_in_a_line_that_needs_mending_is_noticed_too(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start(format=2, agent=["not a name"]))

        with pytest.raises(LogTooNewError):
            list(read_log(path))

    @pytest.mark.parametrize("size", [1, 5, 11, 12, 40, 100])
    def test_a_file_that_is_only_the_beginning_of_a_record_is_an_empty_log(
        self, size: int, tmp_path: Path
    ) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start()[:size])

        assert read(path) == ([], [])

    def test_a_file_that_is_only_a_torn_record_closed_off_is_a_log(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start()[:100] + b"\n")

        records, damage = read(path)

        assert records == []
        assert places(damage) == [(0, 100, "torn")]

    def test_a_path_with_nul_is_refused(self) -> None:
        with pytest.raises(LogSourceError) as caught:
            list(read_log("a\0b"))

        assert str(caught.value) == "'a\\x00b': a path cannot hold NUL."

    def test_a_large_file_of_another_kind_is_given_up_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_reader, "MAX_LINE_BYTES", 1000)
        monkeypatch.setattr(_reader, "_CHUNK", 100)
        path = tmp_path / "access.log"
        path.write_bytes(b"GET / 200\n" * 1000)
        damage: list[Damage] = []

        with pytest.raises(LogFormatError):
            list(read_log(path, on_damage=damage.append))

        assert len(damage) < 150


class TestLongLines:
    @pytest.fixture(autouse=True)
    def _limits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_reader, "MAX_LINE_BYTES", 1000)
        monkeypatch.setattr(_reader, "_CHUNK", 100)

    @pytest.mark.parametrize("size", [1001, 1099, 1100, 1101, 1999, 2000, 12345])
    def test_a_line_too_long_is_skipped_and_the_rest_read(self, size: int, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + b"x" * size + b"\n" + llm(1) + b"junk\n" + end())
        at = len(start())

        records, damage = read(path)

        assert [record.step for record in records] == [0, 1, 0]
        assert places(damage) == [(at, size, "too long"), (at + size + 1 + len(llm(1)), 4, "not JSON")]

    @pytest.mark.parametrize("size", [900, 999, 1000])
    def test_a_line_within_the_limit_is_not(self, size: int, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        long = line("event", 1, name="n", data="")
        long = line("event", 1, name="n", data="d" * (size + 1 - len(long)))
        assert len(long) == size + 1
        path.write_bytes(start() + long + end())

        assert [record.step for record in read(path)[0]] == [0, 1, 0]

    def test_several_in_a_row_keep_their_offsets(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + b"x" * 1500 + b"\n" + b"y" * 1200 + b"\n" + b"z" * 3000 + b"\n" + end())
        at = len(start())

        records, damage = read(path)

        assert [record.type for record in records] == ["run_start", "run_end"]
        assert places(damage) == [
            (at, 1500, "too long"),
            (at + 1501, 1200, "too long"),
            (at + 2702, 3000, "too long"),
        ]

    def test_one_at_the_end_without_its_newline_is_reported(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + b"x" * 2345)

        assert places(read(path)[1]) == [(len(start()), 2345, "too long")]

    def test_a_file_of_one_such_line_is_no_log(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(b"x" * 5000)

        with pytest.raises(LogFormatError):
            list(read_log(path))

    def test_a_file_of_one_record_too_long_is_one(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(tool(1, output="x" * 5000))

        records, damage = read(path)

        assert records == []
        assert [told.reason for told in damage] == ["too long"]


BIG_LINE = """
import resource, sys
from agent_step_log import read_log
path, limit = sys.argv[1], int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
damage = []
records = sum(1 for _ in read_log(path, on_damage=damage.append))
print(records, [(told.offset, told.length, told.reason) for told in damage])
"""


def read_within(limit: int, path: Path) -> str:
    """Read *path* in a process that may map *limit* bytes at most; return what it printed."""
    command = [sys.executable, "-c", BIG_LINE, str(path), str(limit)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


class TestMemory:
    def test_a_line_of_70_mb_is_skipped_in_bounded_memory(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        size = 70 * 1024 * 1024
        with path.open("wb") as file:
            file.write(start())
            file.truncate(len(start()) + size)  # a hole: zeros that take no disk
            file.seek(0, 2)
            file.write(b"\n" + llm(1))

        # The interpreter itself maps some 60 MB; the line alone is 70.
        limit = 200 * 1024 * 1024
        done = subprocess.run(
            [sys.executable, "-c", BIG_LINE, str(path), str(limit)],
            capture_output=True,
            text=True,
            check=True,
        )

        assert done.stdout == f"2 [({len(start())}, {size}, 'too long')]\n"

    def test_lines_of_ordinary_length_take_memory_for_one_chunk(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        with path.open("wb") as file:
            file.write(start())
            for _ in range(60):
                file.write(tool(1, output="x" * 1_000_000))

        limit = 110 * 1024 * 1024
        done = subprocess.run(
            [sys.executable, "-c", BIG_LINE, str(path), str(limit)],
            capture_output=True,
            text=True,
            check=True,
        )

        assert done.stdout == "61 []\n"

    def test_many_damaged_lines_take_time_in_proportion(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(start() + b"x\n" * 100_000 + b" ".join([llm(1)[:-1]] * 20_000) + b"\n")
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_utime

        records, damage = read(path)

        assert (len(records), len(damage)) == (20_001, 100_000)
        # A look at each line that starts over from the beginning took minutes.
        assert resource.getrusage(resource.RUSAGE_THREAD).ru_utime - before < 20


class TestSplitLine:
    def test_a_whole_line_is_one_part(self) -> None:
        [part] = split_line(llm(1)[:-1])

        assert part.record is not None
        assert (part.start, part.end) == (0, len(llm(1)) - 1)

    def test_a_blank_line_is_none(self) -> None:
        assert list(split_line(b" \t\r")) == []
        assert parse_records(b"") == []

    def test_blank_space_between_records_is_no_damage(self) -> None:
        parts = list(split_line(llm(1)[:-1] + b"\r" + llm(2)))

        assert [part.record.step if part.record else None for part in parts] == [1, 2]

    def test_a_vertical_tab_is_not_blank(self) -> None:
        assert [part.record for part in split_line(b"\x0b")] == [None]

    def test_many_heads_before_a_glued_record_do_not_hide_it(self) -> None:
        nested = llm(9)[:-1]
        torn = tool(1)[:-2] + b',"data":[' + b",".join([nested] * 500)

        parts = list(split_line(torn + llm(2)[:-1]))

        assert [part.record.step if part.record else None for part in parts] == [None, 2]
        assert parts[0].end == len(torn)

    def test_many_heads_inside_a_glued_record_do_not_hide_it_either(self) -> None:
        glued = tool(2, output=[{"run_id": "r", "step": 9, "type": "x", "ts": 1}] * 500)[:-1]
        torn = tool(1)[:50]

        parts = list(split_line(torn + glued))

        assert [part.record.step if part.record else None for part in parts] == [None, 2]

    def test_without_a_newline_the_end_of_a_line_proves_nothing(self) -> None:
        text = tool(1)[:50] + llm(2)[:-1]

        assert parse_records(text, is_ended=False) == []
        assert [record.step for record in parse_records(text)] == [2]

    def test_a_step_number_no_array_holds_is_read(self) -> None:
        record = parse_record(line("event", 2**80))

        assert record is not None
        assert record.step == 2**80

    def test_a_time_no_float_holds_is_no_record(self) -> None:
        assert parse_record(b'{"run_id":"r","step":1,"type":"x","ts":1' + b"0" * 400 + b"}") is None

    def test_a_beginning_is_a_record_like_any_other(self) -> None:
        record = parse_record(begin(4))

        assert record is not None
        assert record.of == "tool_call"
