"""Values: docs/values.md row by row, hostile classes, and the bounds."""

from __future__ import annotations

import hashlib
import json
import math
import re
import subprocess
import sys
import time
import tracemalloc
import uuid
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_step_log import StepLog, read_log
from agent_step_log._records import Event, ToolCall
from agent_step_log._values import MAX_RECORD_BYTES, encode_record, error_text, json_text, plain, type_name

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs/values.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (.+?) \| (.+?) \| `(.+?)` \| `(.+?)` \|(?: (\w+) \|)?$", re.MULTILINE)


def rows_of(title: str) -> list[tuple[str, ...]]:
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return ROW.findall(section)


VALUES, KEYS, DEGRADED = (rows_of(title) for title in ("Values", "Keys", "What has to give way"))


@pytest.fixture(scope="module")
def example() -> Iterator[dict[str, Any]]:
    """The names the page's examples use, made by running the page's own code."""
    module = ModuleType("example")
    sys.modules["example"] = module
    for code in re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL):
        exec(code, module.__dict__)  # the page's own code
    yield module.__dict__
    del sys.modules["example"]


def record(data: object) -> Event:
    return Event("r", 1, "event", 1.0, "n", data)


def encoded(data: object) -> tuple[Any, list[str]]:
    """Return what *data* reads as, and why it was degraded."""
    line = encode_record(record(data))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert len(line) <= MAX_RECORD_BYTES
    read = msgspec.json.decode(line)
    assert read["step"] == 1
    return read.get("data"), read.get("degraded", [])


def walked(data: object) -> Any:
    """The same beside a value that makes the recorder walk the record."""
    read, reasons = encoded([data, "\ud800"])
    assert reasons == ["text"]
    return read[0]


class TestThePage:
    @pytest.mark.parametrize(
        ("value", "becomes", "code", "text", "_"), VALUES, ids=[row[0] for row in VALUES]
    )
    def test_value(
        self, value: str, becomes: str, code: str, text: str, _: str, example: dict[str, Any]
    ) -> None:
        given_ = eval(code, example)  # the page's own example

        assert encoded(given_) == (json.loads(text), [])
        assert walked(given_) == json.loads(text)
        assert encoded({"in": [given_]}) == ({"in": [json.loads(text)]}, [])

    @pytest.mark.parametrize(("key", "becomes", "code", "text", "_"), KEYS, ids=[row[0] for row in KEYS])
    def test_key(self, key: str, becomes: str, code: str, text: str, _: str, example: dict[str, Any]) -> None:
        given_ = {eval(code, example): 1}

        assert encoded(given_) == ({json.loads(text): 1}, [])
        assert walked(given_) == {json.loads(text): 1}

    @pytest.mark.parametrize(
        ("value", "becomes", "code", "text", "reason"), DEGRADED, ids=[row[0] for row in DEGRADED]
    )
    def test_degraded(
        self, value: str, becomes: str, code: str, text: str, reason: str, example: dict[str, Any]
    ) -> None:
        assert encoded(eval(code, example)) == (json.loads(text), [reason])

    def test_all_of_it_is_run(self) -> None:
        bounds = 5
        titles = 4
        assert PAGE.count("\n| ") == len(VALUES) + len(KEYS) + len(DEGRADED) + bounds + 2 * titles
        assert len(VALUES) > 60

    def test_its_bounds_are_those_of_the_code(self) -> None:
        from agent_step_log import _values

        assert f"strings of {_values._MAX_TEXT:,} characters" in PAGE
        assert f"{_values._MAX_NODES:,} values in a record" in PAGE
        assert f"{_values._MAX_ROOM // 2**20} MiB of values in a record" in PAGE
        assert f"| {_values._MAX_DEPTH} levels |" in PAGE
        assert f"more than {_values._MAX_ARRAY:,} elements" in PAGE
        assert ", ".join(f"`{name}`" for name in _values._PAYLOADS) in PAGE

    def test_keys_that_become_the_same_read_as_the_last_one(self) -> None:
        assert encoded({1: "first", "1": "last"})[0] == {"1": "last"}
        assert walked({1: "first", "1": "last"}) == {"1": "last"}

    def test_a_large_array_shows_its_beginning(self) -> None:
        data, reasons = encoded(numpy.arange(20_000).reshape(2, 10_000))

        assert data == {
            "dtype": "<i8",
            "shape": [2, 10_000],
            "head": [*range(100)],
            "cut": "100 of 20000 elements",
        }
        assert reasons == []

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.floats(), st.lists))
    def test_the_walk_changes_nothing_it_need_not(self, value: object) -> None:
        assert json_text(walked(value)) == json_text(encoded(value)[0])


class TestBounds:
    def test_a_long_string_keeps_its_size_and_hash(self) -> None:
        text = "ü" * 20_000_000

        data, reasons = encoded(text)

        digest = hashlib.sha256(text.encode()).hexdigest()
        assert data == "ü" * 1_048_576 + f"…[cut: 20000000 characters, sha256 {digest}]"
        assert reasons == ["cut"]

    def test_a_string_that_fits_is_not_cut(self) -> None:
        assert encoded("x" * 10_000_000) == ("x" * 10_000_000, [])

    def test_an_integer_of_100000_digits_is_hexadecimal(self) -> None:
        data, reasons = encoded(10**100_000)

        assert int(data, 16) == 10**100_000
        assert reasons == ["number"]

    @pytest.mark.parametrize("depth", [65, 500, 1000, 200_000])
    def test_deep_nesting_is_cut_where_it_must_be(self, depth: int) -> None:
        value: list[Any] = []
        for _ in range(depth):
            value = [value]

        data, reasons = encoded(value)

        levels = 0
        while data:
            data, levels = data[0], levels + 1
            if data == "<cut: too deep>":
                break
        assert (levels, reasons) in ((64, ["depth"]), (depth, []))

    def test_ten_million_references_are_bounded(self) -> None:
        data, reasons = encoded(["x"] * 10_000_000)

        assert reasons == ["cut"]
        assert len(data) == pytest.approx(200_000, abs=20)

    def test_what_is_said_of_the_step_outlives_a_payload_cut(self) -> None:
        call = ToolCall("r", 7, "tool_call", 1.0, "t", ["x" * 1000] * 100_000, {"a": 1}, "the error", 2.5)
        call.attrs = {"k": "v" * 5}

        read = msgspec.json.decode(encode_record(call))

        assert (read["error"], read["duration_ms"], read["step"], read["degraded"]) == (
            "the error",
            2.5,
            7,
            ["cut"],
        )

    @pytest.mark.parametrize(
        "value",
        [
            ["\0" * 300] * 200_000,
            ["x" * 300 for _ in range(200_000)],
            [10**1000] * 20_000,
            {f"{n}" + "k" * 1000: n for n in range(100_000)},
            [1.2345678901234567e-300] * 2_000_000,
            ["\U0001f600" * 1_000_000] * 20,
            [["\ud800" * 100_000]] * 50,
        ],
        ids=["control", "strings", "integers", "keys", "floats", "wide", "surrogates"],
    )
    def test_no_value_makes_a_line_longer_than_the_format_allows(self, value: object) -> None:
        _, reasons = encoded(value)

        assert "cut" in reasons

    def test_memory_of_a_walk_is_bounded(self) -> None:
        value = ["x" * 100] * 5_000_000
        tracemalloc.start()
        try:
            encode_record(record(value))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert peak < 150 * 2**20


BOMB = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from agent_step_log._records import Event
from agent_step_log._values import encode_record

def bomb(width, depth, make=lambda items: items):
    value = make([1] * width)
    for _ in range(depth - 1):
        value = make([value] * width)
    return value

tree = {"id": 1, "children": [], "last": "s"}
for _ in range(40):
    tree = {"id": 1, "children": [tree, tree], "last": "s"}
values = {
    "lists": lambda: bomb(10, 12),
    "wide": lambda: bomb(1000, 4),
    "widest": lambda: bomb(1_000_000, 2),
    "pairs": lambda: bomb(2, 40),
    "tuples": lambda: bomb(10, 12, tuple),
    "dicts": lambda: bomb(10, 12, lambda items: {str(n): item for n, item in enumerate(items)}),
    "between": lambda: bomb(10, 12, lambda items: [0, *items, 0]),
    "tree": lambda: tree,
    "text": lambda: ["x" * 1_000_000] * 200_000,
    "texts": lambda: {"messages": [{"text": "x" * 1_000_000}] * 100_000},
}
value = values[sys.argv[1]]()
began = time.process_time()
line = encode_record(Event("r", 1, "event", 1.0, "n", value))
print(len(line) <= 16 << 20, b'"degraded":["cut"' in line, time.process_time() - began < 30)
"""


class TestBombs:
    @pytest.mark.parametrize(
        "kind",
        ["lists", "wide", "widest", "pairs", "tuples", "dicts", "between", "tree", "text", "texts"],
    )
    def test_shared_parts_that_would_multiply_are_cut_in_bounded_memory(self, kind: str) -> None:
        done = subprocess.run([sys.executable, "-c", BOMB, kind], capture_output=True, text=True)

        assert (done.stdout, done.stderr) == ("True True True\n", "")

    @pytest.mark.parametrize("record_it", ["record_tool_call", "event"])
    def test_the_recorder_takes_one_in_every_way(self, record_it: str, tmp_path: Path) -> None:
        bomb: list[Any] = [1] * 10
        for _ in range(11):
            bomb = [bomb] * 10
        with StepLog(tmp_path / "log.jsonl", "r") as log:
            getattr(log, record_it)("t", bomb)

        records = list(read_log(tmp_path / "log.jsonl"))
        assert records[1].degraded == ["cut"]

    def test_a_table_of_ordinary_size_is_not_taken_for_one(self) -> None:
        rows = [{"id": n, "name": f"n{n}", "tags": ["a", "b"]} for n in range(20_000)]

        data, reasons = encoded({"rows": rows, "matrix": [[1.5] * 700] * 700})

        assert len(data["rows"]) == 20_000
        assert reasons == []

    def test_a_tree_of_ordinary_size_is_not_cut(self) -> None:
        def tree(depth: int) -> dict[str, Any]:
            return {
                "kind": "node",
                "children": [tree(depth - 1) for _ in range(2 * (depth > 0))],
                "at": [1, 2],
            }

        data, reasons = encoded(tree(12))

        assert data["children"][0]["children"][1]["at"] == [1, 2]
        assert reasons == []


class Touched(Exception):  # noqa: N818  it is told by what it says
    """A class under test had its own code run."""


NAMES = (
    "__repr__ __str__ __format__ __iter__ __len__ __hash__ __eq__ __getattr__ __getattribute__ __bool__ "
    "__int__ __float__ __index__ __contains__ __getitem__ __next__ __call__ __reversed__ __dir__ __sizeof__ "
    "__reduce__ __reduce_ex__ __fspath__ __bytes__ __array__ __complex__ __length_hint__ items keys values "
    "isoformat args utcoffset tolist item size shape dtype reshape as_tuple numerator model_dump dict json"
).split()


def hostile(base: type = object, *names: str) -> Any:
    """Make a subclass of *base* whose every method counts as touched, or only *names*."""
    touched: list[str] = []

    def method(name: str) -> Any:
        def touch(self: object, *args: object, **kwargs: object) -> Any:
            touched.append(name)
            raise Touched(name)

        return touch

    namespace = {name: method(name) for name in names or NAMES}
    namespace["prop"] = property(method("prop"))
    return type("Hostile", (base,), {**namespace, "touched": touched, "__module__": "m"})


def touches_of(cls: type) -> list[str]:
    found: list[str] = type.__getattribute__(cls, "touched")
    return found


class TestHostileClasses:
    def test_of_an_unknown_class_nothing_runs(self) -> None:
        cls = hostile()
        value: object = object.__new__(cls)

        assert encoded([value, {"k": value}]) == (["<m.Hostile>", {"k": "<m.Hostile>"}], [])
        assert walked(value) == "<m.Hostile>"
        assert touches_of(cls) == []

    def test_nor_of_its_metaclass(self) -> None:
        meta = hostile(type)
        # Making a class asks its metaclass for some of these; only what comes after counts.
        cls: type = type.__new__(meta, "Odd", (), {"__module__": "m"})
        touches_of(meta).clear()
        value: object = object.__new__(cls)

        assert encoded(value) == ("<m.Odd>", [])
        assert walked(value) == "<m.Odd>"
        assert encoded(cls) == ("m.Odd", [])
        assert touches_of(meta) == []

    @pytest.mark.parametrize(
        ("base", "arguments", "form"),
        [
            (str, ("x",), "x"),
            (int, (5,), 5),
            (float, (1.5,), 1.5),
            (bytes, (b"xy",), "eHk="),
            (bytearray, (b"xy",), "eHk="),
            (list, ([1, 2],), [1, 2]),
            (tuple, ([1, 2],), [1, 2]),
            (dict, ({"a": 1},), {"a": 1}),
            (deque, ([1, 2],), [1, 2]),
            (ValueError, ("bad", 3), {"error_type": "m.Hostile", "args": ["bad", 3]}),
            (numpy.ndarray, ((2,), "i8", numpy.arange(2)), [0, 1]),
            (numpy.float64, (1.5,), 1.5),
        ],
    )
    def test_a_subclass_is_read_by_the_methods_of_its_base(
        self, base: type, arguments: tuple[Any, ...], form: object
    ) -> None:
        names = [name for name in NAMES if name not in ("__getattribute__", "__hash__")]
        cls = hostile(base, *names)
        value: Any = base.__new__(cls, *arguments)
        if base in (list, dict, bytearray, deque):
            base.__init__(value, *arguments)

        assert encoded(value) == (form, [])
        assert walked(value) == form
        assert touches_of(cls) == []

    def test_an_attrs_class_and_a_struct_are_read_from_where_they_keep_their_fields(self) -> None:
        class Sly(msgspec.Struct):
            kept: int = 1

            def __getattribute__(self, name: str) -> Any:
                raise Touched(name)

        assert encoded(Sly()) == ({"kept": 1}, [])
        assert walked(Sly()) == {"kept": 1}

    def test_a_pydantic_model_is_not_asked_to_dump_itself(self) -> None:
        import pydantic

        class Model(pydantic.BaseModel):
            kept: int = 1

            def model_dump(self, **options: Any) -> Any:
                raise Touched

            def __getattr__(self, name: str) -> Any:
                raise Touched(name)

            @pydantic.computed_field
            def costly(self) -> int:
                raise Touched

        assert encoded(Model()) == ({"kept": 1}, [])
        assert walked(Model()) == {"kept": 1}

    def test_what_a_dataclass_overrides_runs_and_its_failure_is_caught(self) -> None:
        # As docs/values.md says. The walk then reads what is stored, and runs nothing.
        @dataclass
        class Lazy:
            loaded: int = 1
            fine: int = 2

        lazy = Lazy()

        def load(self: object) -> int:
            raise Touched

        Lazy.loaded = property(load, lambda self, value: None)  # type: ignore[assignment]

        data, reasons = encoded(lazy)

        assert (data, reasons) == ({"loaded": 1, "fine": 2}, [])

    def test_what_a_set_overrides_runs_and_its_failure_is_caught(self) -> None:
        cls = hostile(set, "__iter__", "__len__", "__contains__")
        value = cls()
        set.add(value, 1)

        assert encoded(value) == ([1], [])

    def test_an_enum_a_uuid_and_a_zone_that_fail_are_named(self) -> None:
        import datetime
        import enum

        def touch(self: object, name: str) -> Any:
            raise Touched(name)

        class Bad(enum.Enum):
            ONE = 1

        member = Bad.ONE
        Bad.__getattribute__ = touch  # type: ignore[method-assign]

        class BadId(uuid.UUID):
            __getattribute__ = touch

        class BadZone(datetime.tzinfo):
            def utcoffset(self, moment: object) -> Any:
                raise Touched

        bad_moment = datetime.datetime(2026, 1, 2, tzinfo=BadZone())  # type: ignore[abstract]
        bad_id = uuid.UUID.__new__(BadId)
        for value in (member, bad_id, bad_moment):
            data, reasons = encoded(value)

            assert data.startswith("<")
            assert reasons == ["value"]

    @pytest.mark.parametrize("marker", ["__dataclass_fields__", "__attrs_attrs__", "__struct_fields__"])
    @pytest.mark.parametrize(
        "claim",
        [5, "x", {"a": 1}, (1, 2), ("a",), [1], None, object()],
        ids=lambda value: type(value).__name__ if " at 0x" in repr(value) else repr(value),
    )
    def test_a_class_that_claims_to_be_of_a_library_does_no_harm(self, marker: str, claim: object) -> None:
        cls = type("Claim", (), {marker: claim, "__module__": "m", "__slots__": ("a",)})

        encoded(cls())
        encoded([cls(), "\ud800"])

    def test_a_class_that_forges_its_name_or_namespace_does_no_harm(self) -> None:
        class Forged:
            __module__ = 5  # type: ignore[assignment]
            __dict__ = property(lambda self: 1 / 0)
            __class__ = property(lambda self: str)

        assert encoded(Forged())[0].startswith("<")
        assert walked(Forged()).startswith("<")

    @pytest.mark.parametrize("failure", [ValueError, RecursionError, MemoryError, StopIteration])
    def test_an_exception_whose_text_fails_is_still_told(self, failure: type[Exception]) -> None:
        class Mute(Exception):  # noqa: N818  it has none
            def __str__(self) -> str:
                raise failure

        assert error_text(Mute()) == f"<message unavailable: {failure.__name__}>"

    def test_a_name_of_a_class_is_read_from_the_class(self) -> None:
        assert type_name(Touched) == f"{__name__}.Touched"
        assert type_name(int) == "int"

    def test_plain_answers_for_anything(self) -> None:
        for value in (object(), hostile(), print, ..., 5, None, "x", math, type):
            assert plain(value) is not None

    def test_a_value_changing_while_it_is_written_is_no_reason_to_fail(self, tmp_path: Path) -> None:
        import threading

        shared: dict[str, Any] = {"k0": [1]}
        stop = threading.Event()

        def change() -> None:
            while not stop.is_set():
                for n in range(50):
                    shared[f"k{n}"] = [n, {"x": [n]}] if n % 7 else {}
                shared.clear()

        other = threading.Thread(target=change)
        other.start()
        try:
            began = time.monotonic()
            with StepLog(tmp_path / "log.jsonl", "r") as log:
                while time.monotonic() - began < 0.5:
                    log.record_tool_call("t", shared, [shared, "\ud800"])
        finally:
            stop.set()
            other.join()

        damage: list[object] = []
        list(read_log(tmp_path / "log.jsonl", on_damage=damage.append))
        assert damage == []
