"""The classes that write and the class that reads say the same format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from agent_step_log import FORMAT_VERSION, Record, read_log
from agent_step_log._reader import parse_record
from agent_step_log._records import (
    RECORD_TYPES,
    AgentCall,
    LlmCall,
    PlainLlmCall,
    PlainToolCall,
    ToolCall,
)

if TYPE_CHECKING:
    from pathlib import Path

HEAD = ("run_id", "step", "type", "ts")


#: what a reader notes about where a record comes from
PLACE = {"agent-step-log:block", "agent-step-log:at"}


def types_of(cls: type[msgspec.Struct]) -> dict[str, object]:
    # Raw is any JSON, to be decoded when asked for.
    types = {field.encode_name: field.type for field in msgspec.structs.fields(cls)}
    return {name: Any if kind is msgspec.Raw else kind for name, kind in types.items()}


class TestWritingAndReading:
    def test_a_reader_has_a_field_for_every_key_that_is_written_and_no_other(self) -> None:
        written = {name for cls in RECORD_TYPES.values() for name in types_of(cls)}

        assert {*types_of(Record)} - PLACE == written

    @pytest.mark.parametrize("cls", RECORD_TYPES.values(), ids=RECORD_TYPES)
    def test_a_field_reads_whatever_its_class_writes(self, cls: type[msgspec.Struct]) -> None:
        read = types_of(Record)
        for name, written in types_of(cls).items():
            # null as well: that is how an absent key reads
            assert name in HEAD or read[name] in (written, written | None)  # type: ignore[operator]

    @pytest.mark.parametrize("cls", RECORD_TYPES.values(), ids=RECORD_TYPES)
    def test_every_record_begins_with_the_head(self, cls: type[msgspec.Struct]) -> None:
        assert cls.__struct_fields__[:4] == HEAD

    def test_the_keys_every_record_may_carry_are_in_every_class(self) -> None:
        for cls in RECORD_TYPES.values():
            assert {"attrs", "writer", "degraded"} <= {*cls.__struct_fields__}

    def test_the_types_are_the_seven_of_the_format(self) -> None:
        assert list(RECORD_TYPES) == [
            "run_start",
            "step_start",
            "llm_call",
            "tool_call",
            "agent_call",
            "event",
            "run_end",
        ]
        assert FORMAT_VERSION == 1

    def test_only_what_ends_a_step_says_when_it_began(self) -> None:
        assert [cls for cls in RECORD_TYPES.values() if "start_ts" in cls.__struct_fields__] == [
            LlmCall,
            ToolCall,
            AgentCall,
        ]

    @pytest.mark.parametrize(
        ("plain", "full"), [(PlainLlmCall, LlmCall), (PlainToolCall, ToolCall)], ids=["llm", "tool"]
    )
    def test_a_plain_record_is_the_full_one_without_its_options(
        self, plain: type[msgspec.Struct], full: type[msgspec.Struct]
    ) -> None:
        required = [field.name for field in msgspec.structs.fields(full) if field.required]

        assert list(plain.__struct_fields__) == required

    @pytest.mark.parametrize("cls", RECORD_TYPES.values(), ids=RECORD_TYPES)
    def test_a_key_at_its_default_is_left_out(self, cls: type[msgspec.Struct]) -> None:
        required = [field.name for field in msgspec.structs.fields(cls) if field.required]
        values = {"run_id": "r", "step": 1, "type": "x", "ts": 1.0}
        record = cls(**{name: values.get(name) for name in required})

        assert list(msgspec.json.decode(msgspec.json.encode(record))) == required

    def test_a_key_can_never_set_the_line_of_a_record(self) -> None:
        text = b'{"run_id":"r","step":1,"type":"x","ts":1,"line":"a","agent-step-log:line":"eHk="}'

        record = parse_record(text)

        assert record is not None
        assert record.line == text


class TestLine:
    def test_it_is_right_where_one_line_holds_two_records_and_another_is_blank(self, tmp_path: Path) -> None:
        one, two, three = (
            b'{"run_id":"r","step":%d,"type":"event","ts":1.0,"name":"n","data":{"a":%d}}' % (n, n)
            for n in (1, 2, 3)
        )
        path = tmp_path / "log.jsonl"
        path.write_bytes(one + two + b"\n\n" + three + b"\n")

        assert [record.line for record in read_log(path)] == [one, two, three]

    def test_a_line_that_had_to_be_mended_is_a_dict_all_the_same(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        path.write_bytes(b'{"run_id":"r","step":1,"type":"event","ts":1.0,"name":"\\ud800","data":1e999}\n')
        [record] = read_log(path)

        assert record.to_dict()["name"] == "\ufffd"
        assert record.data == "1e999"
