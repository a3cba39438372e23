"""Our own reader against the conformance corpus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent_step_log import Damage, LogIndex, list_runs, read_log, repair, summarize, verify
from agent_step_log._reader import parse_record
from agent_step_log.errors import LogFormatError, StepLogError
from tests.conformance.make_corpus import files

FOLDER = Path(__file__).parent
EXPECTED = sorted(FOLDER.glob("*.expected.json"))


def name_of(expected: Path) -> str:
    return expected.name.removesuffix(".expected.json")


def reading(path: Path) -> tuple[list[Any], list[Any], str | None, list[Any]]:
    """Return records, damage, error and the records themselves."""
    damage: list[Damage] = []
    records = []
    error = None
    try:
        for record in read_log(path, on_damage=damage.append):
            records.append(record)
    except StepLogError as raised:
        error = type(raised).__name__
    places = [[Path(d.path).name, d.offset, d.length, d.reason] for d in damage]
    return [[r.run_id, r.writer, r.step, r.type] for r in records], places, error, records


@pytest.mark.parametrize("expected_path", EXPECTED, ids=name_of)
class TestCorpus:
    def test_reads_as_expected(self, expected_path: Path) -> None:
        expected = json.loads(expected_path.read_bytes())

        keys, damage, error, records = reading(FOLDER / name_of(expected_path))

        assert keys == expected["records"]
        assert damage == expected["damage"]
        assert error == expected["error"]
        for record in records:
            itself = parse_record(record.line)
            assert itself is not None
            assert (itself.run_id, itself.step, itself.type) == (record.run_id, record.step, record.type)
        for index, key, value in expected["values"]:
            assert getattr(records[index], key) == value

    def test_verify_and_runs_are_as_expected(self, expected_path: Path) -> None:
        expected = json.loads(expected_path.read_bytes())
        path = FOLDER / name_of(expected_path)
        if expected["error"] is not None:
            with pytest.raises(LogFormatError):
                verify(path)
            return

        found = [[p.kind, p.is_error, p.step] for p in verify(path).problems]

        assert sorted(found, key=json.dumps) == expected["verify"]
        assert {info.run_id: info.status for info in list_runs(path)} == expected["runs"]

    def test_every_other_way_to_read_agrees(self, expected_path: Path, tmp_path: Path) -> None:
        expected = json.loads(expected_path.read_bytes())
        path = FOLDER / name_of(expected_path)
        if expected["error"] is not None or len(expected["files"]) > 1:
            return
        copy = tmp_path / "copy.jsonl"
        repair(path, copy)

        assert reading(copy)[:3] == (expected["records"], [], None)
        assert summarize(copy).total_steps == summarize(path).total_steps
        for run_id, writer, step, _ in expected["records"]:
            if step <= 0:
                continue
            wanted = [key for key in expected["records"] if key[:3] == [run_id, writer, step]]
            with LogIndex(copy, run_id=run_id, writer=writer) as index:
                assert [[r.run_id, r.writer, r.step, r.type] for r in index.step(step)] == wanted


class TestMakeCorpus:
    def test_rerun_gives_the_stored_bytes(self) -> None:
        made = files()
        stored = {path.name for path in FOLDER.iterdir() if ".jsonl" in path.name}

        assert stored == set(made)
        for name, data in made.items():
            # zstd's output depends on its version; what is read from it does not.
            if not name.endswith(".zst"):
                assert (FOLDER / name).read_bytes() == data, name

    def test_a_zstd_file_made_anew_reads_the_same(self, tmp_path: Path) -> None:
        for name, data in files().items():
            if name.endswith(".zst"):
                (tmp_path / name).write_bytes(data)
                assert reading(tmp_path / name)[:3] == reading(FOLDER / name)[:3]

    def test_readme_mentions_every_reason_and_kind_the_corpus_has(self) -> None:
        readme = (FOLDER / "README.md").read_text(encoding="utf-8")
        for expected_path in EXPECTED:
            expected = json.loads(expected_path.read_bytes())
            for *_, reason in expected["damage"]:
                assert f"`{reason}`" in readme
            for kind, *_ in expected["verify"]:
                assert f"`{kind}`" in readme
