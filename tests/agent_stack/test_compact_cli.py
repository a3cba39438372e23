"""`agent-step-log compact`: logs made into an archive, and what reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli


@pytest.fixture
def archive(cli: Cli, logs: Path, tmp_path: Path) -> Path:
    assert cli("compact", logs, "-o", tmp_path / "archive").code == 0
    return tmp_path / "archive"


class TestCompact:
    def test_tells_what_it_made(self, cli: Cli, logs: Path, tmp_path: Path) -> None:
        told = cli("compact", logs, "-o", tmp_path / "archive", "--json").json()

        assert told["output"] == str(tmp_path / "archive")
        assert sorted(told["files"]) == sorted(map(str, (tmp_path / "archive").glob("*/*.parquet")))
        assert told["archive_bytes"] == sum(p.stat().st_size for p in (tmp_path / "archive").glob("*/*"))
        assert told["records"] == len(cli("sql", "FROM records", logs, "--json").json_lines())

    def test_tells_what_of_the_logs_is_no_record(self, cli: Cli, logs: Path, tmp_path: Path) -> None:
        (logs / "damaged.jsonl").write_bytes(b"garbage\n" + (logs / "a.jsonl").read_bytes())
        assert "not JSON" in cli("compact", logs, "-o", tmp_path / "archive").out

    @pytest.mark.parametrize(
        "question",
        [
            ("sql", "SELECT run_id, status, duration_ms FROM runs ORDER BY ALL"),
            ("stats", "--by", "tool"),
            ("slow",),
            ("errors",),
            ("truncated",),
        ],
    )
    def test_is_answered_as_the_logs_are(
        self, cli: Cli, logs: Path, archive: Path, question: tuple[str, ...]
    ) -> None:
        of_logs = cli(question[0], *question[1:], logs, "--json").json_lines()
        assert cli(question[0], *question[1:], archive, "--json").json_lines() == of_logs

    def test_of_nothing_is_refused(self, cli: Cli, tmp_path: Path) -> None:
        result = cli("compact", tmp_path / "nothing", "-o", tmp_path / "archive")
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert "no such file" in result.err

    def test_does_not_write_over_anything(self, cli: Cli, logs: Path, archive: Path) -> None:
        before = {path: path.read_bytes() for path in archive.glob("*/*")}
        result = cli("compact", logs, "-o", archive)
        assert (result.code, result.err.count("\n")) == (2, 1)
        assert "name a new directory" in result.err
        assert {path: path.read_bytes() for path in archive.glob("*/*")} == before
