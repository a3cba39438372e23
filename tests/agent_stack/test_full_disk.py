"""No room where commands put copies and results: one sentence says where, and nothing half-written stays."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.children import run_on_small_disk

if TYPE_CHECKING:
    from pathlib import Path

SIZE_BYTES = 200_000

COMMAND = """
    place, kind, *arguments = sys.argv[1:]
    os.environ["TMPDIR"] = place
    from agent_stack.__main__ import main
    code = main([argument.replace("PLACE", place) for argument in arguments])
    print(json.dumps([code, sorted(os.listdir(place))]))
"""

NO_ROOM = ("No space left on device", "File too large")


def lines(count: int = 3_000) -> bytes:
    """A log larger than the disk; one of its lines is torn and has a whole record behind it."""

    def record(step: int, kind: str, **more: Any) -> dict[str, Any]:
        return {"run_id": "run-a", "step": step, "type": kind, "ts": 1_700_000_000.0 + step, **more}

    call = {"tool": "bash", "input": {"command": "x" * 300}, "duration_ms": 1.0}
    records = [record(0, "run_start", format=1)]
    records += [record(step, "tool_call", **call) for step in range(1, count + 1)]
    texts = [json.dumps(record, separators=(",", ":")) for record in records]
    return "\n".join([*texts[:-1], '{"run_id":"run-a","st' + texts[-1], ""]).encode()


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    place = tmp_path / "disk"
    place.mkdir()
    return place


def on_full_disk(disk: Path, *arguments: str) -> str:
    """Run a command, and return the sentence it ends with."""
    code = COMMAND.replace("sys.argv[1:]", f"[*sys.argv[1:3], *{list(arguments)!r}]")
    ended = run_on_small_disk(code, disk, SIZE_BYTES)
    assert ended.told == [2, []], ended.err
    [sentence] = ended.err.splitlines()
    return sentence


class TestCommands:
    def test_a_copy_for_a_query_that_does_not_fit_is_one_sentence(self, tmp_path: Path, disk: Path) -> None:
        log = tmp_path / "run.jsonl"
        log.write_bytes(lines())

        sentence = on_full_disk(disk, "sql", "SELECT count(*) FROM steps WHERE tool = 'bash'", str(log))

        assert sentence.startswith(f"agent-step-log: {disk}/agent-step-log-")
        assert any(f": {why}, for a copy of run.jsonl" in sentence for why in NO_ROOM)
        assert sentence.endswith("; TMPDIR names another place.")

    def test_a_compressed_log_that_does_not_fit_is_one_sentence(self, tmp_path: Path, disk: Path) -> None:
        log = tmp_path / "run.jsonl.gz"
        log.write_bytes(gzip.compress(lines()))

        sentence = on_full_disk(disk, "replay", "--repl", str(log))

        assert any(sentence.startswith(f"agent-step-log: {disk}: {why}, for an un") for why in NO_ROOM)
        assert sentence.endswith("; TMPDIR names another place.")

    def test_an_archive_that_does_not_fit_is_not_there(self, tmp_path: Path, disk: Path) -> None:
        log = tmp_path / "run.jsonl"
        log.write_bytes(lines())

        sentence = on_full_disk(disk, "compact", str(log), "-o", "PLACE/archive")

        assert sentence in [f"agent-step-log: {disk}/archive: {why}." for why in NO_ROOM]

    @pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
    def test_rows_that_do_not_fit_leave_no_file(self, tmp_path: Path, disk: Path, name: str) -> None:
        log = tmp_path / "run.jsonl"
        log.write_bytes(lines().rpartition(b'{"run_id":"run-a","st{')[0])  # all whole

        sentence = on_full_disk(disk, "sql", "SELECT step, input FROM steps", str(log), "-o", f"PLACE/{name}")

        assert any(sentence == f"agent-step-log: {disk}/{name}: {why}." for why in NO_ROOM)


class TestLogs:
    def test_that_had_no_room_for_a_copy_answer_once_there_is(self, tmp_path: Path, disk: Path) -> None:
        log = tmp_path / "run.jsonl"
        log.write_bytes(lines(1_000))
        code = f"""
            import resource
            place, kind = sys.argv[1:3]
            os.environ["TMPDIR"] = place
            from agent_step_log.query import open_logs

            def others(of):
                return [name for name in os.listdir(of) if name != "filler"]

            def count():
                [row] = logs.sql("SELECT count(*) FROM steps WHERE tool = 'bash'").rows()
                return row[0]

            filler = os.path.join(place, "filler")
            if kind == "disk":
                open(filler, "wb").write(bytes({3 * SIZE_BYTES}))
            else:
                resource.setrlimit(resource.RLIMIT_FSIZE, ({SIZE_BYTES}, -1))
            failed, left = [], []
            with open_logs({str(log)!r}) as logs:
                for _ in range(3):
                    try:
                        count()
                    except OSError as error:
                        failed.append(error.strerror.partition(",")[0])
                    left += others(os.path.join(place, *others(place)))
                if kind == "disk":
                    os.unlink(filler)
                else:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
                counted = count()
            print(json.dumps([failed, left, counted, others(place)]))
            """
        failed, left, counted, after = run_on_small_disk(code, disk, 4 * SIZE_BYTES).told

        assert len(failed) == 3
        assert set(failed) <= set(NO_ROOM)
        assert (left, counted, after) == ([], 1000, [])
