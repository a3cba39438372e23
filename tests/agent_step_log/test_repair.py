"""repair: a clean copy, and word of what is not in it."""

from __future__ import annotations

import gzip
import os
import stat
from typing import TYPE_CHECKING

import pytest

from agent_step_log import repair, verify
from agent_step_log.errors import LogFormatError, LogSourceError, LogTooNewError
from tests.agent_step_log.loglines import end, llm, places, start

if TYPE_CHECKING:
    from pathlib import Path

DAMAGED = start() + b"junk\n" + llm(1)[:40] + llm(2) + end() + llm(3)[:25]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_bytes(DAMAGED)
    return path


class TestRepair:
    def test_the_copy_holds_every_record_byte_for_byte(self, damaged: Path, tmp_path: Path) -> None:
        copy = tmp_path / "clean.jsonl"

        report = repair(damaged, copy)

        assert copy.read_bytes() == start() + llm(2) + end()
        assert (report.output, report.kept) == (copy, 3)
        assert [problem for problem in verify(copy).problems if problem.kind == "damage"] == []

    def test_everything_left_out_is_told(self, damaged: Path, tmp_path: Path) -> None:
        report = repair(damaged, tmp_path / "clean.jsonl")
        at = len(start())

        assert places(report.dropped) == [
            (at, 4, "not JSON"),
            (at + 5, 40, "torn"),
            (at + 45 + len(llm(2) + end()), 25, "unfinished"),
        ]
        assert report.dropped_bytes == 69

    def test_the_original_is_not_touched(self, damaged: Path, tmp_path: Path) -> None:
        before = damaged.stat()

        repair(damaged, tmp_path / "clean.jsonl")

        assert damaged.read_bytes() == DAMAGED
        assert damaged.stat().st_mtime_ns == before.st_mtime_ns

    def test_asking_writes_nothing(self, damaged: Path, tmp_path: Path) -> None:
        report = repair(damaged, None)

        assert (report.kept, report.output, report.dropped_bytes) == (3, None, 69)
        assert list(tmp_path.iterdir()) == [damaged]

    def test_a_last_record_without_its_newline_gets_one(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes((start() + llm(1))[:-1])

        repair(path, tmp_path / "clean.jsonl")

        assert (tmp_path / "clean.jsonl").read_bytes() == start() + llm(1)

    def test_the_copy_is_for_its_owner_alone(self, damaged: Path, tmp_path: Path) -> None:
        repair(damaged, tmp_path / "clean.jsonl")

        assert stat.S_IMODE((tmp_path / "clean.jsonl").stat().st_mode) == 0o600

    def test_a_compressed_log_is_copied_as_plain_text(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl.gz"
        path.write_bytes(gzip.compress(DAMAGED))

        repair(path, tmp_path / "clean.jsonl")

        assert (tmp_path / "clean.jsonl").read_bytes() == start() + llm(2) + end()

    def test_an_existing_copy_is_kept_unless_told_otherwise(self, damaged: Path, tmp_path: Path) -> None:
        copy = tmp_path / "clean.jsonl"
        copy.write_bytes(b"precious")

        with pytest.raises(LogSourceError) as caught:
            repair(damaged, copy)

        assert str(caught.value) == f"{copy}: exists already; name another file for the copy."
        assert copy.read_bytes() == b"precious"
        assert repair(damaged, copy, replace=True).kept == 3

    @pytest.mark.parametrize("link", ["same", "symlink", "hardlink"])
    def test_the_log_itself_is_never_the_copy(self, link: str, damaged: Path, tmp_path: Path) -> None:
        copy = damaged if link == "same" else tmp_path / link
        if link == "symlink":
            copy.symlink_to(damaged)
        elif link == "hardlink":
            os.link(damaged, copy)

        with pytest.raises(LogSourceError) as caught:
            repair(damaged, copy, replace=True)

        assert str(caught.value) == f"{copy}: is the log itself; name another file for the copy."
        assert damaged.read_bytes() == DAMAGED

    def test_a_directory_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(LogSourceError) as caught:
            repair(tmp_path, tmp_path / "clean.jsonl")

        assert str(caught.value) == f"{tmp_path}: not a file; repair takes one log at a time."

    @pytest.mark.parametrize(
        ("text", "error"), [(b"hello\n", LogFormatError), (start() + start(format=9), LogTooNewError)]
    )
    def test_what_cannot_be_read_leaves_no_copy_behind(
        self, text: bytes, error: type[Exception], tmp_path: Path
    ) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(text)

        with pytest.raises(error):
            repair(path, tmp_path / "clean.jsonl")

        assert list(tmp_path.iterdir()) == [path]

    def test_a_failed_repair_leaves_an_older_copy_as_it_was(self, tmp_path: Path) -> None:
        path, copy = tmp_path / "log.jsonl", tmp_path / "clean.jsonl"
        path.write_bytes(start(format=9))
        copy.write_bytes(b"precious")

        with pytest.raises(LogTooNewError):
            repair(path, copy, replace=True)

        assert copy.read_bytes() == b"precious"
