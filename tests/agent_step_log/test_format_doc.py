"""docs/format.md and the schema say what the classes that write say, both ways."""

from __future__ import annotations

import json
import re
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from agent_step_log import StepLog, _reader, read_log
from agent_step_log._records import FORMAT_VERSION, RECORD_TYPES
from agent_step_log._runs import SILENT_S
from agent_step_log._values import MAX_RECORD_BYTES
from agent_step_log._writer import Health
from tests.agent_step_log.loglines import start

if TYPE_CHECKING:
    from collections.abc import Iterator

# By name: it has no types of its own, and needs no stubs installed so.
Draft202012Validator: Any = import_module("jsonschema").Draft202012Validator
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/format.md").read_text(encoding="utf-8")
SCHEMA: dict[str, Any] = json.loads((ROOT / "docs/format-v1.schema.json").read_bytes())
EVERY = ("run_id", "step", "type", "ts", "attrs", "writer", "degraded")
ROW = re.compile(r"^\| `(\w+)` \| ([\w ]+) \| (required|optional) \| .+ \|$", re.MULTILINE)

#: How the page names the type of a field.
NAMES: dict[object, str] = {
    str: "str",
    int: "int",
    float: "number",
    bool: "bool",
    Any: "value",
    str | None: "str or null",
    int | None: "int or null",
    float | None: "number or null",
    int | float | None: "number or null",
    dict[str, Any] | None: "object or null",
    dict[str, str] | None: "object or null",
    list[str] | None: "array of str or null",
    list[dict[str, Any]] | None: "array of object or null",
}


def table(title: str) -> dict[str, tuple[str, str]]:
    """Return the rows of the section *title* of the page: key to type and whether it is required."""
    section = PAGE.split(f"\n### {title}\n")[1].split("\n### ")[0].split("\n## ")[0]
    return {key: (type_, required) for key, type_, required in ROW.findall(section)}


def fields(cls: type[msgspec.Struct]) -> dict[str, tuple[str, str]]:
    return {
        field.name: (NAMES[field.type], "required" if field.required else "optional")
        for field in msgspec.structs.fields(cls)
    }


class TestPage:
    @pytest.mark.parametrize("type_", RECORD_TYPES)
    def test_each_table_is_the_class_that_writes_it(self, type_: str) -> None:
        common = table("Every record")

        assert tuple(common) == EVERY
        assert {**common, **table(type_)} == fields(RECORD_TYPES[type_])

    def test_limits_are_those_of_the_code(self) -> None:
        assert f"{MAX_RECORD_BYTES // 2**20} MiB ({MAX_RECORD_BYTES} bytes" in PAGE
        assert f"{_reader.MAX_LINE_BYTES // 2**20} MiB and may skip longer ones" in PAGE
        assert f"after decoding {_reader._MAX_TRIED_BYTES // 2**20} MiB for one line" in PAGE
        assert f"silent for {SILENT_S / 60:.0f} minutes" in PAGE
        assert f"# The step log format, version {FORMAT_VERSION}" in PAGE

    def test_every_count_of_the_recorder_is_explained(self) -> None:
        [row] = [row for row in PAGE.splitlines() if row.startswith("| `health`")]

        assert [name for name in Health.__struct_fields__ if f"`{name}`" not in row] == []

    def test_every_total_is_explained(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl") as log:
            log.record_llm_call("m")
        *_, last = read_log(tmp_path / "log.jsonl")
        [row] = [row for row in PAGE.splitlines() if row.startswith("| `totals`")]

        assert last.totals is not None
        assert {f"`{name}`" for name in last.totals} == set(re.findall(r"`\w+`", row)) - {"`totals`"}

    def test_every_fact_of_a_process_is_explained(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl"):
            header = next(iter(read_log(tmp_path / "log.jsonl")))
        [row] = [row for row in PAGE.splitlines() if row.startswith("| `process`")]

        assert [name for name in header.process or {} if f"`{name}`" not in row] == []

    def test_every_reason_of_damage_is_named(self) -> None:
        for reason in ("torn", "not a record", "not JSON", "too long", "cut"):
            assert f"`{reason}`" in PAGE

    def test_the_head_it_gives_is_the_one_the_reader_looks_for(self) -> None:
        [expression] = re.findall(r"A head is what the expression `(.+?)` matches", PAGE)
        for line in (
            start(),
            start('a"b\\'),
            b'{"run_id":"x","step":-1,"type":"',
            b'{"run_id": "x","step":1,',
        ):
            assert bool(re.match(expression.encode(), line)) == bool(_reader._HEAD.match(line))

    def test_its_example_is_a_log(self, tmp_path: Path) -> None:
        [example] = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
        (tmp_path / "log.jsonl").write_text(example)

        types = [record.type for record in read_log(tmp_path / "log.jsonl")]

        assert types == ["run_start", "llm_call", "step_start", "event", "tool_call", "run_end"]
        for line in example.splitlines():
            Draft202012Validator(SCHEMA).validate(json.loads(line))

    def test_every_link_inside_it_leads_somewhere(self) -> None:
        titles = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
        anchors = {title.lower().replace(" ", "-") for title in titles}

        assert set(re.findall(r"\]\(#([\w-]+)\)", PAGE)) <= anchors
        for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
            assert (ROOT / "docs" / link).exists(), link


class TestSchema:
    def test_the_one_in_the_package_is_the_one_in_the_docs(self) -> None:
        packaged = files("agent_step_log").joinpath("schema/format-v1.schema.json").read_bytes()

        assert packaged == (ROOT / "docs/format-v1.schema.json").read_bytes()

    def test_is_a_schema(self) -> None:
        Draft202012Validator.check_schema(SCHEMA)

    @pytest.mark.parametrize("type_", RECORD_TYPES)
    def test_has_the_keys_of_the_class_that_writes(self, type_: str) -> None:
        own = SCHEMA["$defs"][type_]
        described = fields(RECORD_TYPES[type_])
        required = {key for key, (_, is_required) in described.items() if is_required == "required"}

        assert {*SCHEMA["properties"], *own["properties"]} == set(described)
        assert {*SCHEMA["required"], *own["required"]} == required

    def test_takes_everything_the_recorder_writes(self, tmp_path: Path) -> None:
        record_everything(tmp_path)
        validator = Draft202012Validator(SCHEMA)
        seen = set()
        for record in read_log(tmp_path):
            validator.validate(json.loads(record.line))
            seen.add(record.type)

        assert seen == set(RECORD_TYPES)

    def test_takes_the_records_of_the_corpus(self) -> None:
        validator = Draft202012Validator(SCHEMA)
        # Readable, though no writer of this format may write them.
        beyond = {"wrong-types", "key-order", "negative-step", "spaces", "duplicate-keys", "escaped-head"}
        beyond |= {"spelt-numbers", "unknown-keys", "deep-beside", "huge-numbers", "lone-surrogate"}
        for path in corpus():
            if path.stem not in beyond:
                for record in read_log(path):
                    assert [*validator.iter_errors(depthless(record.line))] == [], path.name

    @pytest.mark.parametrize(
        "record",
        [
            {"run_id": "r", "step": 1, "type": "event", "ts": 1, "name": 5, "data": None},
            {"run_id": "r", "step": 1, "type": "event", "ts": 1, "name": "n"},
            {"run_id": 1, "step": 1, "type": "later", "ts": 1},
            {"run_id": "r", "step": 1.5, "type": "later", "ts": 1},
            {"run_id": "r", "step": 0, "type": "run_start", "ts": 1, "format": 2},
            {"run_id": "r", "step": 0, "type": "run_end", "ts": 1, "status": "fine"},
            {"run_id": "r", "step": 1, "type": "later", "ts": 1, "degraded": ["tired"]},
            {"run_id": "r", "step": 1, "type": "later"},
            [],
        ],
    )
    def test_refuses_what_is_none(self, record: object) -> None:
        assert not Draft202012Validator(SCHEMA).is_valid(record)

    def test_takes_a_type_and_keys_of_a_later_version(self) -> None:
        record = {"run_id": "r", "step": 1, "type": "later", "ts": 1, "anything": [1]}

        assert Draft202012Validator(SCHEMA).is_valid(record)


def corpus() -> Iterator[Path]:
    for expected in sorted((ROOT / "tests/conformance").glob("*.jsonl.expected.json")):
        if json.loads(expected.read_bytes())["error"] is None:
            yield expected.with_name(expected.name.removesuffix(".expected.json"))


def depthless(line: bytes) -> Any:
    """Decode a line, without what is nested deeper than a decoder follows."""
    from agent_step_log._mending import mended

    return json.loads(mended(line, is_deep=line.count(b"[") > 1000))


def record_everything(folder: Path) -> None:
    """Record every kind of step, well and badly ended, plain and measured, by two writers."""
    path = folder / "log.jsonl"
    with StepLog(
        path, "r", agent="a", agent_version="1", task_type="t", environment="ci", metadata={"k": 1}
    ) as log:
        log.record_llm_call(
            "m", 1, 2, "end_turn", 3.5, provider="p", usage={"x": 1}, tool_calls=[{"id": "1"}]
        )
        log.record_llm_call(None)
        log.record_tool_call("t", {"a": {1, 2}}, float("nan"), 1, error=ValueError("no"))
        log.record_tool_call("t", inferred=True, tool_call_id="c", attrs={"k": "v"})
        with log.agent("planner", "plan"), log.llm_call("m", provider="p") as call:
            call.update(input_tokens=1, output_tokens=1, stop_reason="x", ttft_ms=1, attempt=2, unknown=1)
        failing(log)
        cycle: list[object] = []
        cycle.append(cycle)
        log.event("odd", [cycle, "\ud800", 10**5000, object(), "x" * 2_000_000])
        log.tool_call("never ended")
        with StepLog(path, "r") as second, second.tool_call("t"):
            second.event("e")
    StepLog(folder / "ok.jsonl", "ok").close()
    StepLog(folder / "error.jsonl", "error").close("error", "why")
    StepLog(folder / "cancelled.jsonl", "cancelled").close("cancelled", KeyboardInterrupt())


def failing(log: StepLog) -> None:
    with pytest.raises(RuntimeError), log.agent("worker"), log.tool_call("t"):
        raise RuntimeError("broken")
