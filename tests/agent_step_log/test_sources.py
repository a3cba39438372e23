"""What a path given to a reader means."""

from __future__ import annotations

import gzip
import os
import sys
from typing import TYPE_CHECKING

import pytest
import zstandard

from agent_step_log import list_runs, read_log
from agent_step_log._sources import log_files
from agent_step_log.errors import LogFormatError, LogSourceError, LogTooNewError, MissingExtraError
from tests.agent_step_log.loglines import end, llm, places, read, start, tool

if TYPE_CHECKING:
    from pathlib import Path


class TestLogFiles:
    def test_a_directory_means_every_log_below_it(self, tmp_path: Path) -> None:
        for name in ("b.jsonl", "a.jsonl.gz", "sub/c.jsonl.zst", "notes.txt", "run.tape.jsonl", "d.json"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"")

        assert log_files(tmp_path) == [
            tmp_path / "a.jsonl.gz",
            tmp_path / "b.jsonl",
            tmp_path / "sub/c.jsonl.zst",
        ]

    def test_a_directory_without_a_log_says_what_was_looked_for(self, tmp_path: Path) -> None:
        with pytest.raises(LogSourceError) as caught:
            log_files(tmp_path)

        assert str(caught.value) == (
            f"{tmp_path}: no log in this directory (looked for *.jsonl, *.jsonl.gz, *.jsonl.zst)."
        )

    def test_a_pattern_means_every_file_it_matches(self, tmp_path: Path) -> None:
        for name in ("x1.jsonl", "x2.jsonl", "y.jsonl", "sub/x3.jsonl"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(b"")

        assert [file.name for file in log_files(f"{tmp_path}/x*.jsonl")] == ["x1.jsonl", "x2.jsonl"]
        assert {file.name for file in log_files(f"{tmp_path}/**/x*.jsonl")} == {
            "x1.jsonl",
            "x2.jsonl",
            "x3.jsonl",
        }

    def test_a_pattern_without_a_match_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(LogSourceError) as caught:
            log_files(f"{tmp_path}/*.jsonl")

        assert str(caught.value) == f"{tmp_path}/*.jsonl: no file matches this pattern."

    def test_a_file_whose_name_looks_like_a_pattern_is_that_file(self, tmp_path: Path) -> None:
        path = tmp_path / "run[1].jsonl"
        path.write_bytes(b"")

        assert log_files(path) == [path]

    def test_a_log_brings_the_files_it_was_rotated_into_oldest_first(self, tmp_path: Path) -> None:
        names = ["run.000001.jsonl.gz", "run.000002.jsonl", "run.000010.jsonl", "run.jsonl"]
        for name in [*names, "run.1.jsonl", "runs.000001.jsonl", "run.0000001.jsonl"]:
            (tmp_path / name).write_bytes(b"")

        assert [file.name for file in log_files(tmp_path / "run.jsonl")] == names

    def test_a_file_named_outright_may_be_called_anything(self, tmp_path: Path) -> None:
        path = tmp_path / "run.log"
        path.write_bytes(llm(1))

        assert [record.step for record in read_log(path)] == [1]


class TestManyFiles:
    def test_files_are_read_one_after_the_other(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(llm(1, run="a"))
        (tmp_path / "b.jsonl").write_bytes(llm(1, run="b"))

        assert [record.run_id for record in read_log(tmp_path)] == ["a", "b"]

    def test_one_of_many_that_is_no_log_is_told_and_passed_over(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(b'{"other":1}\n')
        (tmp_path / "b.jsonl").write_bytes(llm(1))

        records, damage = read(tmp_path)

        assert [record.step for record in records] == [1]
        assert places(damage) == [(0, 11, "not a record"), (0, 12, "not a log")]

    def test_one_of_many_of_a_later_format_is_told_and_passed_over(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(start("a", format=2))
        (tmp_path / "b.jsonl").write_bytes(start("b"))

        records, damage = read(tmp_path)

        assert [record.run_id for record in records] == ["b"]
        assert [told.reason for told in damage] == ["of a later format"]
        assert [info.run_id for info in list_runs(tmp_path, on_damage=lambda told: None)] == ["b"]

    def test_but_not_in_silence(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_bytes(start("a", format=2))
        (tmp_path / "b.jsonl").write_bytes(start("b"))

        with pytest.raises(LogTooNewError):
            list(read_log(tmp_path))


class TestCompressed:
    def test_offsets_are_those_of_the_text(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl.gz"
        path.write_bytes(gzip.compress(start() + b"junk\n" + end()))

        records, damage = read(path)

        assert len(records) == 2
        assert places(damage) == [(len(start()), 4, "not JSON")]

    @pytest.mark.parametrize("suffix", ["gz", "zst"])
    def test_a_cut_file_gives_everything_before_the_cut(self, suffix: str, tmp_path: Path) -> None:
        text = start() + b"".join(tool(i, output=os.urandom(40).hex()) for i in range(1, 20_000))
        path = tmp_path / f"log.jsonl.{suffix}"
        data = gzip.compress(text) if suffix == "gz" else zstandard.ZstdCompressor().compress(text)
        path.write_bytes(data[: len(data) * 3 // 4])

        records, damage = read(path)

        steps = [record.step for record in records]
        assert steps == list(range(len(steps)))
        assert len(steps) > 13_000
        position = sum(len(record.line) + 1 for record in records)
        assert [told.reason for told in damage][-1] == "cut"
        assert damage[-1].length == 0
        assert damage[0].offset == position
        assert damage[-1].offset == position + sum(told.length for told in damage)
        assert text.startswith(b"\n".join(record.line for record in records))

    def test_damage_inside_a_gzip_file_ends_it_without_a_traceback(self, tmp_path: Path) -> None:
        text = start() + b"".join(tool(i, output=os.urandom(40).hex()) for i in range(1, 5000))
        data = bytearray(gzip.compress(text))
        data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
        path = tmp_path / "log.jsonl.gz"
        path.write_bytes(data)

        records, damage = read(path)

        assert len(records) > 1000
        assert damage[-1].reason == "cut"

    @pytest.mark.parametrize("suffix", ["gz", "zst"])
    def test_a_file_that_is_called_so_and_is_not_is_refused(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"log.jsonl.{suffix}"
        path.write_bytes(start())

        with pytest.raises(LogFormatError) as caught:
            list(read_log(path))

        assert str(caught.value) == f"{path} is not a step log."

    @pytest.mark.parametrize("suffix", ["gz", "zst"])
    def test_an_empty_one_is_an_empty_log(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"log.jsonl.{suffix}"
        path.write_bytes(b"")

        assert read(path) == ([], [])

    def test_zstd_without_its_library_names_the_extra(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "log.jsonl.zst"
        path.write_bytes(b"")
        monkeypatch.setitem(sys.modules, "zstandard", None)

        with pytest.raises(MissingExtraError) as caught:
            list(read_log(path))

        assert str(caught.value) == f"Reading {path} needs 'zstandard': pip install 'agent-step-log[tap]'"
