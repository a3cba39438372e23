"""The views against our own reader: the same records, the same counts, whatever the bytes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_step_log import Record, list_runs, read_log
from agent_step_log.errors import LogFormatError
from agent_step_log.query import open_logs
from tests.agent_step_log import loglines as ll

CORPUS = Path(__file__).parents[2] / "conformance"
CASES = sorted(CORPUS.glob("*.expected.json"))
STEPS = ("llm_call", "tool_call", "agent_call")
#: The engine takes these for JSON; docs/queries.md says so.
LENIENT = {"not-a-number"}
#: Values Python's own parser gives up on; here they stand as they do in the file.
UNPARSED = {"deep", "huge-numbers"}


def key(record: Record) -> tuple[Any, ...]:
    return record.run_id, record.writer, held(record.step), record.type, float(record.ts)


def held(number: int | None) -> int | None:
    """Return *number* as a BIGINT column has it."""
    return number if number is not None and -(2**63) <= number < 2**63 else None


def rounded(number: float | None) -> float | None:
    """Return *number* as a DOUBLE column has it: a reader keeps every digit of a whole one."""
    return None if number is None else float(number)


def own(path: Path) -> list[Record]:
    return list(read_log(path, on_damage=lambda _: None))


def in_flight(records: list[Record]) -> set[tuple[Any, ...]]:
    begun = {(r.run_id, r.writer, r.step) for r in records if r.type == "step_start"}
    return begun - {
        (r.run_id, r.writer, r.step) for r in records if r.type not in ("step_start", "run_start", "run_end")
    }


def assert_same(path: Path) -> None:
    records = own(path)
    steps = [r for r in records if r.type in STEPS]
    with open_logs(path) as logs:
        found = logs.sql("SELECT run_id, writer, step, type, ts FROM records").rows()
        assert Counter(found) == Counter(map(key, records))
        found = logs.sql(
            "SELECT run_id, writer, step, type, model, tool, agent, error, duration_ms, input_tokens, "
            "output_tokens, stop_reason, parent FROM steps WHERE status <> 'in_flight'"
        ).rows()
        assert Counter(found) == Counter(
            (
                *key(r)[:4],
                *(r.model, r.tool, r.agent, r.error, rounded(r.duration_ms), held(r.input_tokens)),
                *(held(r.output_tokens), r.stop_reason, held(r.parent)),
            )
            for r in steps
        )
        found = logs.sql("SELECT run_id, writer, step FROM steps WHERE status = 'in_flight'").rows()
        assert sorted(map(repr, found)) == sorted(map(repr, in_flight(records)))
        if path.name.split(".")[0] not in UNPARSED:
            assert_same_payloads(logs, steps)
        events = logs.sql("SELECT name FROM events").rows()
        assert Counter(events) == Counter((r.name,) for r in records if r.type == "event")
        assert_same_runs(logs, path, records)


def assert_same_payloads(logs: Any, steps: list[Record]) -> None:
    payloads = logs.sql("SELECT input, output FROM steps WHERE status <> 'in_flight'").rows()
    assert Counter(map(repr, ((decoded(i), decoded(o)) for i, o in payloads))) == Counter(
        repr((r.input, r.output)) for r in steps
    )


def assert_same_runs(logs: Any, path: Path, records: list[Record]) -> None:
    names = (
        "run_id, status, steps, llm_calls, tool_calls, agent_calls, events, errors, agent, task_type, "
        "tokens_known"
    )
    found = {row[0]: row[1:] for row in logs.sql(f"SELECT {names} FROM runs").rows()}
    begun = Counter(run_id for run_id, _, _ in in_flight(records))
    for info in list_runs(path):
        total = info.summary
        calls = total.llm_call_count + total.tool_call_count + total.agent_call_count
        header = info.header
        assert found.pop(info.run_id) == (
            info.status,
            calls + begun[info.run_id],
            total.llm_call_count,
            total.tool_call_count,
            total.agent_call_count,
            total.event_count,
            total.error_count,
            header.agent if header else None,
            header.task_type if header else None,
            total.unknown_usage_count == 0,
        )
    assert found == {}


def decoded(value: str | None) -> Any:
    return None if value is None else json.loads(value)


def expected(case: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(case.read_bytes())
    return found


class TestCorpus:
    def test_the_views_hold_what_the_reader_reads(self, tmp_path: Path) -> None:
        # Each case's runs under names of their own: most cases call theirs the same.
        for case in CASES:
            name = case.name.removesuffix(".expected.json")
            if expected(case)["error"] is None and name.split(".")[0] not in LENIENT | UNPARSED:
                for file in expected(case)["files"]:
                    data = (CORPUS / file).read_bytes()
                    (tmp_path / file).write_bytes(
                        data.replace(b'"run_id":"r1"', b'"run_id":"%s"' % name.encode())
                    )

        assert len(list(tmp_path.iterdir())) > 50
        assert_same(tmp_path)

    @pytest.mark.parametrize("name", ["deep", "huge-numbers", "rotated", "two-writers", "whole"])
    def test_a_file_alone_reads_the_same(self, name: str) -> None:
        assert_same(CORPUS / f"{name}.jsonl")

    @pytest.mark.parametrize(
        "case", [case for case in CASES if expected(case)["error"]], ids=lambda case: case.name
    )
    def test_what_cannot_be_read_is_refused_as_by_the_reader(self, case: Path) -> None:
        with (
            pytest.raises(LogFormatError) as raised,
            open_logs(str(case).removesuffix(".expected.json")) as logs,
        ):
            logs.sql("SELECT count(*) FROM records")

        assert type(raised.value).__name__ == expected(case)["error"]

    def test_the_damage_is_what_the_reader_reports(self) -> None:
        damage: list[Any] = []
        for _ in read_log(CORPUS, on_damage=damage.append):
            pass

        with open_logs(CORPUS) as logs:
            assert logs.damage == damage


junk = st.sampled_from(
    [
        b"",
        b"\n",
        b"\r\n",
        b"\xff\n",
        b'{"run_id":"r","step":1',
        b"\xef\xbb\xbf",
        b'"\\ud800"\n',
        b"{}\n",
        b"17\n",
        b"[1]\n",
        b"\0\0",
    ]
)
values = st.sampled_from(
    [
        b"2.5",
        b'"2"',
        b"true",
        b"10000000000000000000000",
        b"null",
        b"[]",
        b'{"a":1}',
        b"2.0",
        b"-0",
        b'"\\ud800"',
        b"false",
        b'"1e3"',
        b'" 2.50"',
        b'"2 "',
        b'"02"',
        b'"-02"',
        b'"+2"',
        b'"2_0"',
        b'".5"',
        b'"nan"',
        b'"Infinity"',
        b'"1e400"',
        b'"x"',
        b"9007199254740993",
        b'"9007199254740993"',
        b"9007199254740992.0",
        b"1e3",
        b"2.5E-1",
        b"1e30",
        b"1e-7",
    ]
)


@st.composite
def odd_lines(draw: st.DrawFn) -> bytes:
    """A record with a key of any type, or one given twice."""
    name = draw(
        st.sampled_from(
            [
                b"tool",
                b"duration_ms",
                b"error",
                b"parent",
                b"step",
                b"ts",
                b"type",
                b"run_id",
                b"input_tokens",
            ]
        )
    )
    head = b'{"run_id":"r","step":3,"type":"tool_call","ts":1767225601.5'
    value = draw(values)
    return head + b',"' + name + b'":' + value + b"}" + draw(st.sampled_from([b"\n", b"\r\n", b""]))


@st.composite
def logs_of_any_kind(draw: st.DrawFn) -> bytes:
    pieces = st.one_of(ll.records(), ll.records(), odd_lines(), junk)
    whole = b"".join(draw(st.lists(pieces, max_size=7)))
    cut = draw(st.integers(0, 40))
    return ll.start() + whole[: len(whole) - cut]


class TestAnyLog:
    @settings(
        max_examples=8,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(pile=st.lists(logs_of_any_kind(), min_size=1, max_size=6))
    def test_what_can_be_read_can_be_asked(self, pile: list[bytes], tmp_path: Path) -> None:
        with TemporaryDirectory(dir=tmp_path) as folder:
            for number, data in enumerate(pile):
                (Path(folder) / f"{number}.jsonl").write_bytes(
                    data.replace(b'"run_id":"', b'"run_id":"%d' % number)
                )
            assert_same(Path(folder))
