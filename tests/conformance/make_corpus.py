"""The conformance corpus: log files of every kind, and what a reader has to make of each.

    python tests/conformance/make_corpus.py            writes the files beside this script

The expectations are composed together with the bytes, piece by piece, and never by
asking a reader: a case is a list of pieces, each a record, bytes that are lost, or
bytes nobody mentions. Running the script again gives the same bytes (of the `.zst`
files: the same text, as their compression depends on the library's version).
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parent
T0 = 1767225600.0  # 2026-01-01: long silent, so a run without an end reads as interrupted
NEWLINE = b"\n"


@dataclass
class Rec:
    """A record a reader has to give back. *keys* are those of its head and its writer."""

    line: bytes
    keys: tuple[str, str | None, int, str]


@dataclass
class Lost:
    """Bytes a reader has to report, with the reason it gives."""

    line: bytes
    reason: str


@dataclass
class Silent:
    """Bytes a reader neither gives back nor reports: newlines, blanks, an unfinished last line."""

    line: bytes


Piece = Rec | Lost | Silent


@dataclass
class Case:
    """One file (or, with *others*, a set of files read as one) and its reading.

    Attributes:
        about: What the case is, in a sentence.
        pieces: The bytes, in order.
        verify: What `verify` finds: ``[kind, is an error, step]``.
        runs: Run id to status.
        error: Name of the error that reading raises, after the records and damage before it.
        values: ``[index of the record, key, value]``: what single keys read as.
        others: Further files of the set, in the order they are read before this one.
        data: The bytes as stored, where they are not those of the pieces (compressed files).
        cut: The file ends early: reported with length 0 at the end of its text.
    """

    about: str
    pieces: list[Piece]
    verify: Sequence[tuple[str, bool, int | None]] = ()
    runs: dict[str, str] = field(default_factory=dict)
    error: str | None = None
    values: list[tuple[int, str, Any]] = field(default_factory=list)
    others: dict[str, list[Piece]] = field(default_factory=dict)
    data: bytes | None = None
    cut: bool = False


def rec(type_: str, step: int, *, run: str = "r1", writer: str | None = None, **keys: Any) -> Rec:
    """Build a record as the recorder lays it out: the head first, no spaces, not escaped to ASCII."""
    ts = keys.pop("ts", T0 + step)
    fields = {"run_id": run, "step": step, "type": type_, "ts": ts, **keys}
    if writer is not None:
        fields["writer"] = writer
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return Rec(text.encode(), (run, writer, step, type_))


def raw(line: bytes, *, run: str = "r1", writer: str | None = None, step: int, type_: str) -> Rec:
    """Build a record from bytes that the recorder would not write like this."""
    return Rec(line, (run, writer, step, type_))


def start(run: str = "r1", writer: str | None = None, format_: int = 1) -> Rec:
    """Build the header of a run whose process nobody here can ask."""
    process = {
        "pid": 4242,
        "host": "elsewhere.invalid",
        "boot_id": "b00",
        "started": 12.5,
        "argv0": "agent.py",
    }
    recorder = {"name": "make_corpus", "version": "1"}
    return rec(
        "run_start", 0, run=run, writer=writer, ts=T0, format=format_, process=process, recorder=recorder
    )


def end(run: str = "r1", writer: str | None = None, **keys: Any) -> Rec:
    """Build the last record of a run."""
    return rec("run_end", 0, run=run, writer=writer, ts=T0 + 100, status="ok", **keys)


def llm(step: int, **keys: Any) -> Rec:
    """Build a model call."""
    given = {
        "model": "m",
        "input_tokens": 10,
        "output_tokens": 2,
        "stop_reason": "end_turn",
        "duration_ms": 5.5,
    }
    return rec("llm_call", step, **{**given, **keys})


def tool(step: int, **keys: Any) -> Rec:
    """Build a tool call."""
    given = {"tool": "t", "input": {"q": "x"}, "output": "found", "error": None, "duration_ms": 1.25}
    return rec("tool_call", step, **{**given, **keys})


def begin(step: int, of: str = "tool_call", **keys: Any) -> Rec:
    """Build the beginning of a measured step."""
    return rec("step_start", step, of=of, tool="t", input={"q": "x"}, **keys)


def event(step: int, **keys: Any) -> Rec:
    """Build an event."""
    return rec("event", step, **{"name": "note", "data": None, **keys})


def lines(*records: Piece) -> list[Piece]:
    """End each piece with a newline."""
    return [piece for record in records for piece in (record, Silent(NEWLINE))]


def torn(record: Rec, size: int) -> bytes:
    """Return the first *size* bytes of a record, counted from its end if negative."""
    return record.line[:size]


def whole_cases() -> dict[str, Case]:
    """Build the logs with nothing wrong in them."""
    ok = {"r1": "ok"}
    measured = lines(
        start(),
        begin(1, ts=T0 + 1),
        event(2, parent=1),
        tool(1, ts=T0 + 3, start_ts=T0 + 1),
        llm(3),
        end(totals={"total_steps": 2}, health={"written": 6}),
    )
    unicode = tool(
        1, tool="naïve 工具", input={"😀": "\u202eabc"}, output='tab\tquote"back\\slash\u0000\u001b[31m'
    )
    return {
        "empty": Case("A file without a byte is a log without a record.", []),
        "only-newline": Case("Blank lines are skipped in silence.", [Silent(b"\n")]),
        "only-blanks": Case("Blank lines are skipped in silence.", [Silent(b"\n \t \n\r\n\n   ")]),
        "header-only": Case(
            "A run that was killed before its first step.",
            lines(start()),
            verify=[("interrupted", False, None)],
            runs={"r1": "interrupted"},
        ),
        "whole": Case("Every kind of record, measured and plain.", measured, runs=ok),
        "no-trailing-newline": Case(
            "The last record is whole and only its newline is missing: it counts.",
            [*lines(start(), llm(1)), end()],
            runs=ok,
        ),
        "blank-lines": Case(
            "Blank lines between records mean nothing.",
            [*lines(start()), Silent(b"\n\n  \n"), *lines(llm(1)), Silent(b"\r\n"), *lines(end())],
            runs=ok,
        ),
        "unicode": Case(
            "Text is UTF-8; what JSON must escape is escaped, everything else may stand as it is.",
            lines(start(), unicode, end()),
            runs=ok,
            values=[
                (1, "tool", "naïve 工具"),
                (1, "input", {"😀": "\u202eabc"}),
                (1, "output", 'tab\tquote"back\\slash\u0000\u001b[31m'),
            ],
        ),
        "error": Case(
            "A step that failed, with its class and frames, and a run that ended with it.",
            lines(
                start(),
                tool(
                    1,
                    output=None,
                    error="no such file",
                    error_type="FileNotFoundError",
                    error_frames=[{"file": "a.py", "line": 3, "function": "read", "code": "open(name)"}],
                ),
                rec(
                    "run_end",
                    0,
                    ts=T0 + 9,
                    status="error",
                    error="no such file",
                    error_type="FileNotFoundError",
                ),
            ),
            runs={"r1": "error"},
            values=[(1, "error_type", "FileNotFoundError")],
        ),
        "two-runs": Case(
            "Two runs of two processes in one file, their lines mixed.",
            lines(
                start("r1"),
                start("r2", "w2"),
                llm(1, run="r1"),
                llm(1, run="r2", writer="w2"),
                tool(2, run="r2", writer="w2"),
                tool(2, run="r1"),
                end("r1"),
                end("r2", "w2"),
            ),
            runs={"r1": "ok", "r2": "ok"},
        ),
        "two-writers": Case(
            "One run, two processes: each numbers its own steps, and a parent may be the other's.",
            lines(
                start(),
                begin(1, of="agent_call"),
                start(writer="c0ffee00"),
                llm(1, writer="c0ffee00", parent=1, parent_writer=""),
                llm(2, parent=1),
                tool(2, writer="c0ffee00", parent=1),
                rec(
                    "agent_call", 1, ts=T0 + 5, agent="a", input=None, output=None, error=None, duration_ms=9
                ),
                end(writer="c0ffee00"),
                end(),
            ),
            runs=ok,
        ),
        "out-of-order": Case(
            "Two threads passed each other between taking a number and writing: order by step, not by line.",
            lines(start(), llm(2, ts=T0 + 1), llm(1, ts=T0 + 1), llm(4, ts=T0 + 2), llm(3, ts=T0 + 2), end()),
            runs=ok,
        ),
    }


def unfinished_cases() -> dict[str, Case]:
    """Build the logs of writers that were killed."""
    gone = {"r1": "interrupted"}
    interrupted = ("interrupted", False, None)
    cases = {
        "interrupted": Case(
            "Killed between two steps: the run has no end.",
            lines(start(), llm(1), tool(2)),
            verify=[interrupted],
            runs=gone,
        ),
        "in-flight": Case(
            "Killed inside a tool: a beginning with nothing behind it.",
            lines(start(), llm(1), begin(2)),
            verify=[interrupted, ("unfinished", False, 2)],
            runs=gone,
        ),
        "gap-in-hand": Case(
            "Killed while three threads recorded: a number was given out and its line never came.",
            lines(start(), llm(1), llm(3)),
            verify=[interrupted, ("gap", False, 2)],
            runs=gone,
        ),
    }
    record = tool(2, input={"path": 'a "quoted" ü'}, output=[1, 2.5, None, {"k": "v"}])
    places = {
        "first-byte": 1,
        "in-head-key": 5,
        "after-run-id": record.line.index(b',"step"'),
        "in-number": record.line.index(b',"type"'),
        "after-head": record.line.index(b',"ts"'),
        "after-colon": record.line.index(b'"input":') + 8,
        "in-string": record.line.index(b"quoted"),
        "after-backslash": record.line.index(b'\\"quoted') + 1,
        "in-character": record.line.index("ü".encode()) + 1,
        "in-array": record.line.index(b",null"),
        "before-brace": -1,
    }
    for name, size in places.items():
        cases[f"torn-tail-{name}"] = Case(
            "The last line was not finished: left out in silence; `verify` mentions it.",
            [*lines(start(), llm(1)), Silent(torn(record, size))],
            verify=[interrupted, ("damage", False, None)],
            runs=gone,
        )
    cases["torn-only"] = Case(
        "The first write of all was cut: a log without a record, and no error.",
        [Silent(torn(start(), 40))],
        verify=[("damage", False, None)],
    )
    cases["garbage-tail"] = Case(
        "Bytes behind the last newline that are not the beginning of a record are damage.",
        [*lines(start(), end()), Lost(b"\x00" * 512, "not JSON")],
        verify=[("damage", True, None)],
        runs={"r1": "ok"},
    )
    return cases


def torn_cases() -> dict[str, Case]:
    """Build the logs with torn records inside."""
    ok = {"r1": "ok"}
    damage = ("damage", True, None)
    big = tool(2, output="x" * 5000, input={"say": 'a "b" c'})
    first, second = torn(big, 4096), torn(tool(3, writer="w2", output="y" * 200), 150)
    gap = ("gap", True, 2)
    return {
        "torn-closed": Case(
            "A torn record that the next writer closed off with a newline.",
            [*lines(start(), llm(1), Lost(first, "torn"), llm(3)), *lines(end())],
            verify=[damage, gap],
            runs=ok,
        ),
        "torn-early": Case(
            "Cut a few bytes into the line, and closed off.",
            lines(start(), llm(1), Lost(b'{"ru', "torn"), end()),
            verify=[damage],
            runs=ok,
        ),
        "torn-glued": Case(
            "The next record stands behind a torn one, on the same line: it is saved.",
            [*lines(start(), llm(1)), Lost(first, "torn"), *lines(llm(3), end())],
            verify=[damage, gap],
            runs=ok,
        ),
        "torn-torn-glued": Case(
            "Two torn records and a whole one on one line: the last is saved.",
            [*lines(start(), llm(1)), Lost(first + second, "torn"), *lines(llm(3), end())],
            verify=[damage, gap],
            runs=ok,
        ),
        "torn-glued-without-newline": Case(
            "Only a newline proves that what the line ends with was written as a record.",
            [*lines(start(), llm(1)), Silent(first + tool(3).line)],
            verify=[("damage", False, None), ("interrupted", False, None)],
            runs={"r1": "interrupted"},
        ),
        "whole-glued": Case(
            "Cut exactly before its newline: both records of the line are whole.",
            [*lines(start(), llm(1)), llm(2), *lines(llm(3), end())],
            runs=ok,
        ),
        "whole-glued-four": Case(
            "The same, several times over.",
            [start(), llm(1), llm(2), *lines(end())],
            runs=ok,
        ),
        "whole-glued-beside-blank-lines": Case(
            "As many records as lines, and not one to each: counting them proves nothing.",
            [start(), llm(1), Silent(b"\n\n"), *lines(llm(2)), Silent(b"\n"), llm(3), *lines(end())],
            runs=ok,
        ),
        "two-lines-one-object": Case(
            "An object that goes on in the next line is no record, beside a line that holds two.",
            [
                *lines(start()),
                Lost(b'{"run_id":"r1","step":1,', "torn"),
                Silent(NEWLINE),
                Lost(b'"type":"event","ts":1}', "not JSON"),
                Silent(NEWLINE),
                llm(1),
                *lines(end()),
            ],
            verify=[damage, damage],
            runs=ok,
        ),
        "whole-torn-glued": Case(
            "A whole record, a torn one and a whole one on one line.",
            [*lines(start()), llm(1), Lost(first, "torn"), *lines(llm(3), end())],
            verify=[damage, gap],
            runs=ok,
        ),
        "newline-flipped": Case(
            "One damaged byte where a newline was: both records are whole, the byte is reported.",
            [*lines(start()), llm(1), Lost(b"\x0b", "not JSON"), *lines(llm(2), end())],
            verify=[damage],
            runs=ok,
        ),
        "newlines-flipped": Case(
            "Two damaged newlines in a row: three records share a line.",
            [llm(1), Lost(b"\x8a", "not JSON"), llm(2), Lost(b"J", "not JSON"), *lines(llm(3))],
            verify=[damage, damage],
            runs={"r1": "unknown"},
        ),
        "byte-flipped-in-record": Case(
            "A damaged record is torn from its own newline: the next one stands alone.",
            lines(start(), Lost(llm(1).line.replace(b'"model"', b'"mod\x02l"'), "torn"), llm(2), end()),
            verify=[damage, ("gap", True, 1)],
            runs=ok,
        ),
        "head-flipped": Case(
            "A damaged head: the line is no record, and no beginning of one either.",
            lines(start(), Lost(b"\x5b" + llm(1).line[1:], "not JSON"), llm(2), end()),
            verify=[damage, ("gap", True, 1)],
            runs=ok,
        ),
        "garbage-before": Case(
            "Bytes in front of a record on its line: a hole the file system filled with zeros.",
            [*lines(start()), Lost(b"\x00" * 100, "not JSON"), *lines(llm(1), end())],
            verify=[damage],
            runs=ok,
        ),
        "garbage-behind": Case(
            "Bytes behind a record on its line.",
            [*lines(start()), llm(1), Lost(b"oops", "not JSON"), *lines(Silent(b""), end())],
            verify=[damage],
            runs=ok,
        ),
        **nested_cases(),
    }


def nested_cases() -> dict[str, Case]:
    """Build torn lines whose payload holds records: those are text of the torn one and no records."""
    ok = {"r1": "ok"}
    inner = tool(7, run="forged")
    as_text = tool(2, output=inner.line.decode() + "\n" + inner.line.decode())
    as_object = tool(2, output=[json.loads(inner.line), json.loads(llm(8, run="forged").line)])
    found = [("damage", True, None), ("gap", True, 2)]
    cut = as_object.line.index(b'"ts"', as_object.line.index(b'"step":8'))
    return {
        "nested-text-torn": Case(
            "A record quoted in a torn record's text is not a record.",
            lines(start(), llm(1), Lost(torn(as_text, -40), "torn"), end()),
            verify=[found[0]],
            runs=ok,
        ),
        "nested-object-torn": Case(
            "A record held as an object by a torn record is not a record.",
            lines(start(), llm(1), Lost(torn(as_object, -20), "torn"), end()),
            verify=[found[0]],
            runs=ok,
        ),
        "nested-object-torn-inside": Case(
            "The same, torn inside the second of the objects.",
            lines(start(), llm(1), Lost(torn(as_object, cut), "torn"), end()),
            verify=[found[0]],
            runs=ok,
        ),
        "nested-object-torn-glued": Case(
            "The same, and a real record glued behind: only that one is saved.",
            [*lines(start(), llm(1)), Lost(torn(as_object, cut), "torn"), *lines(llm(3), end())],
            verify=found,
            runs=ok,
        ),
        "nested-in-glued": Case(
            "The glued record itself holds records: it is saved whole, they are its payload.",
            [
                *lines(start(), llm(1)),
                Lost(torn(as_object, cut), "torn"),
                *lines(tool(3, output=json.loads(as_object.line)), end()),
            ],
            verify=found,
            runs=ok,
        ),
        "nested-in-tail": Case(
            "An unfinished last line that ends with a whole object: without a newline it proves nothing.",
            [*lines(start(), llm(1)), Silent(torn(event(2, data=json.loads(inner.line)), -1))],
            verify=[("damage", False, None), ("interrupted", False, None)],
            runs={"r1": "interrupted"},
        ),
    }


def hostile_cases() -> dict[str, Case]:
    """Build lines that are JSON, or nearly, and not what the recorder writes."""
    ok = {"r1": "ok"}
    damage = ("damage", True, None)
    head = b'{"run_id":"r1","step":1,"type":"tool_call","ts":1767225601.0'
    rest = b',"tool":"t","input":null,"output":%s,"error":null,"duration_ms":1}'
    deep = b"[" * 5000 + b"]" * 5000

    def one(line: bytes) -> Rec:
        return raw(line, step=1, type_="tool_call")

    def around(about: str, *pieces: Piece, **more: Any) -> Case:
        return Case(about, [*lines(start()), *pieces, *lines(end())], **{"runs": ok, **more})

    def single(about: str, line: bytes, **more: Any) -> Case:
        return around(about, *lines(one(line)), **more)

    return {
        "crlf": Case(
            "A carriage return before the newline is blank space.",
            [
                piece
                for record in (start(), llm(1), end())
                for piece in (Rec(record.line + b"\r", record.keys), Silent(NEWLINE))
            ],
            runs=ok,
        ),
        "byte-order-mark": Case(
            "A byte order mark is damage of three bytes; the record behind it is saved.",
            [Lost(b"\xef\xbb\xbf", "not JSON"), *lines(start(), end())],
            verify=[damage],
            runs=ok,
        ),
        "spaces": single(
            "Blank space between tokens is allowed to other writers.",
            b' { "run_id" : "r1", "step": 1, "type": "tool_call", "ts": 1767225601, "tool": "t" } ',
        ),
        "key-order": single(
            "So is another order of keys; such a line cannot be saved from damage, but it is read.",
            b'{"tool":"t","ts":1767225601.5,"type":"tool_call","step":1,"run_id":"r1"}',
            values=[(1, "ts", 1767225601.5)],
        ),
        "duplicate-keys": single(
            "Of a key met twice the last counts.",
            head + b',"tool":"first","tool":"last"}',
            values=[(1, "tool", "last")],
        ),
        "escaped-head": single(
            "The run id may be escaped: it is the same run.",
            b'{"run_id":"\\u0072\\u0031","step":1,"type":"tool_call","ts":1767225601.0,"tool":"t"}',
        ),
        "wrong-types": single(
            "A key of the wrong type is left out, the record stays; a number for a name is kept as text.",
            head
            + b',"tool":17,"input":1,"output":2,"error":false,"duration_ms":"soon","attrs":[],"parent":1.5}',
            values=[
                (1, "tool", "17"),
                (1, "input", 1),
                (1, "duration_ms", None),
                (1, "attrs", None),
                (1, "parent", None),
                (1, "error", None),
            ],
        ),
        "spelt-numbers": single(
            "Where a number is expected a string may spell it, and 3.0 is a whole number.",
            b'{"run_id":"r1","step":"1","type":"tool_call","ts":"1767225601.5","tool":"t","input":1,"output":"2",'
            b'"duration_ms":" 2.50","parent":3.0,"attempt":"1e3",'
            b'"start_ts":"+1","parent_step":"01","ttft_ms":true,'
            b'"input_tokens":"9007199254740993","output_tokens":"2.5","cache_read_tokens":"2 "}',
            values=[
                (1, "ts", 1767225601.5),
                (1, "output", "2"),
                (1, "duration_ms", 2.5),
                (1, "parent", 3),
                (1, "attempt", 1000),
                (1, "start_ts", None),
                (1, "parent_step", None),
                (1, "ttft_ms", 1),
                (1, "input_tokens", 9007199254740993),
                (1, "output_tokens", None),
                (1, "cache_read_tokens", None),
            ],
        ),
        "wrong-head-types": around(
            "Without a run, a step, a type and a time a line is no record.",
            *lines(
                Lost(b'{"run_id":1,"step":1,"type":"tool_call","ts":1}', "not a record"),
                Lost(b'{"run_id":"r1","step":"one","type":"tool_call","ts":1}', "not a record"),
                Lost(b'{"run_id":"r1","step":[1],"type":"tool_call","ts":1}', "not a record"),
                Lost(b'{"run_id":"r1","step":1.5,"type":"tool_call","ts":1}', "not a record"),
                Lost(b'{"run_id":"r1","step":1,"type":null,"ts":1}', "not a record"),
                Lost(b'{"run_id":"r1","step":1,"type":"tool_call","ts":"now"}', "not a record"),
                Lost(b'{"run_id":"r1","step":1,"type":"tool_call"}', "not a record"),
            ),
            verify=[damage] * 7,
        ),
        "other-json": around(
            "JSON that is no object, or no record.",
            *lines(
                Lost(b"{}", "not a record"),
                Lost(b"[]", "not a record"),
                Lost(b"null", "not a record"),
                Lost(b"17", "not a record"),
                Lost(b'"text"', "not a record"),
                Lost(b'{"level":"info","msg":"hello"}', "not a record"),
            ),
            verify=[damage] * 6,
        ),
        "control-characters": around(
            "A control character that is not escaped is not JSON.",
            *lines(Lost(head + rest % b'"\x1b[31m\x07"', "torn"), Lost(head + rest % b'"a\x00b"', "torn")),
            verify=[damage, damage],
        ),
        "invalid-utf8": around(
            "Bytes that are not UTF-8 are damage, and not replaced in silence.",
            *lines(Lost(head + rest % b'"caf\xe9"', "torn"), Lost(head + rest % b'"\xed\xa0\x80"', "torn")),
            verify=[damage, damage],
        ),
        "terminal-attack": single(
            "Escape sequences and bidirectional overrides are text; whoever shows them neutralises them.",
            head + rest % '"\\u001b]0;owned\\u0007\u202egnp.exe\u2066"'.encode(),
            values=[(1, "output", "\x1b]0;owned\x07\u202egnp.exe\u2066")],
        ),
        "lone-surrogate": single(
            "The escape of half a character reads as U+FFFD; a pair and an escaped backslash are no halves.",
            head + rest % b'"\\ud800|\\ud83d\\ude00|\\\\ud800|\\udc00"',
            values=[(1, "output", "\ufffd|\U0001f600|\\ud800|\ufffd")],
        ),
        "huge-numbers": single(
            "A number no float holds, or with thousands of digits, is read as the text of its digits.",
            head
            + b',"tool":"t","input":1e999,"output":'
            + b"9" * 5000
            + b',"attrs":{"fits":'
            + b"8" * 30
            + b"}}",
            values=[(1, "input", "1e999"), (1, "output", "9" * 5000), (1, "attrs", {"fits": int("8" * 30)})],
        ),
        "huge-step": around(
            "A step number beyond 64 bits is still a number.",
            *lines(
                raw(b'{"run_id":"r1","step":%d,"type":"x","ts":1767225601}' % 2**70, step=2**70, type_="x")
            ),
            verify=[("gap", True, 1)],
        ),
        "negative-step": around(
            "A negative step numbers nothing.",
            *lines(raw(b'{"run_id":"r1","step":-5,"type":"x","ts":1767225601}', step=-5, type_="x")),
        ),
        "not-a-number": around(
            "NaN and Infinity are not JSON.",
            *lines(Lost(head + rest % b"NaN", "torn"), Lost(head + rest % b"-Infinity", "torn")),
            verify=[damage, damage],
        ),
        "deep": single(
            "Nested deeper than a reader follows: the record is read, what is too deep is cut from it.",
            head + rest % deep,
        ),
        "deep-beside": single(
            "The same in a key nobody knows.",
            head + b',"tool":"t","input":"kept","vendor":' + deep + b"}",
            values=[(1, "input", "kept"), (1, "tool", "t")],
        ),
        "unknown-type": around(
            "A type of a later version is kept, takes a number, and ends what has its number.",
            *lines(
                begin(1, of="handoff"),
                rec("handoff", 1, ts=T0 + 2, to="other", duration_ms=3),
                rec("checkpoint", 2, blob="x"),
            ),
        ),
        "unknown-keys": single(
            "Keys of a later version are kept and disturb nothing.",
            head
            + b',"tool":"t","vendor":{"a":[1,2]},"line":"no field of the format","agent-step-log:line":5}',
            values=[(1, "tool", "t")],
        ),
        "odd-run-ids": Case(
            "A run id is any string.",
            lines(
                *(
                    rec("event", 1, run=run, name="n", data=None)
                    for run in ("", "../../etc", 'a"b\\', "\u0000", "工")
                )
            ),
            runs=dict.fromkeys(("", "../../etc", 'a"b\\', "\u0000", "工"), "unknown"),
        ),
    }


def numbering_cases() -> dict[str, Case]:
    """Build logs whose bytes are whole and whose numbers are not."""
    ok = {"r1": "ok"}
    return {
        "gap": Case(
            "A closed run wrote everything it numbered: a missing number is a lost record.",
            lines(start(), llm(1), llm(4), llm(6), end()),
            verify=[("gap", True, 2), ("gap", True, 5)],
            runs=ok,
        ),
        "duplicate": Case(
            "A number met twice that is no beginning and ending.",
            lines(start(), llm(1), llm(2), llm(2), tool(2), end()),
            verify=[("duplicate", True, 2), ("duplicate", True, 2)],
            runs=ok,
        ),
        "ended-twice": Case(
            "A step that ended twice.",
            lines(start(), begin(1), tool(1), tool(1), end()),
            verify=[("duplicate", True, 1)],
            runs=ok,
        ),
        "unfinished-step": Case(
            "The run was closed with a step still open.",
            lines(start(), begin(1), llm(2), end()),
            verify=[("unfinished", False, 1)],
            runs=ok,
        ),
        "writer-missing-number": Case(
            "Each writer has numbers of its own: the gap is the second one's.",
            lines(start(), llm(1), start(writer="w2"), llm(2, writer="w2"), end(writer="w2"), end()),
            verify=[("gap", True, 1)],
            runs=ok,
        ),
        "dropped": Case(
            "The recorder itself counted what it could not write.",
            lines(start(), llm(1), llm(3), end(health={"written": 3, "dropped": 1})),
            verify=[("gap", True, 2), ("lost", True, None)],
            runs=ok,
        ),
        "negative": Case(
            "Figures that cannot be.",
            lines(start(), llm(1, duration_ms=-3), llm(2, input_tokens=-1), end()),
            verify=[("negative", True, 1), ("negative", True, 2)],
            runs=ok,
        ),
        "clock-backwards": Case(
            "The clock was set back by an hour.",
            lines(start(), llm(1), llm(2, ts=T0 - 3600), end()),
            verify=[("clock", True, 2)],
            runs=ok,
        ),
    }


def foreign_cases() -> dict[str, Case]:
    """Build files a reader has to refuse."""
    png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde"
    first, second, rest = png.split(NEWLINE)
    text = b"2026-01-01 12:00:00 INFO started"
    return {
        "future": Case(
            "A later version wrote it: a named error that says what to upgrade.",
            [*lines(start(format_=2), rec("event", 1, name="n", data=None))],
            error="LogTooNewError",
        ),
        "future-later-run": Case(
            "The file began in this format: what stands before the later run is given, then the error.",
            lines(start(), llm(1), start("r2", "w2", format_=2), llm(1, run="r2", writer="w2")),
            error="LogTooNewError",
        ),
        "not-a-log-text": Case(
            "Lines of another program.",
            lines(Lost(text, "not JSON"), Lost(text, "not JSON")),
            error="LogFormatError",
        ),
        "not-a-log-json": Case(
            "Records of another program.",
            lines(Lost(b'{"level":"info","msg":"hello"}', "not a record")),
            error="LogFormatError",
        ),
        "not-a-log-png": Case(
            "A picture.",
            [*lines(Lost(first, "not JSON"), Lost(second, "not JSON")), Lost(rest, "not JSON")],
            error="LogFormatError",
        ),
    }


def gzip_of(text: bytes) -> bytes:
    """Return a gzip file of *text* in stored blocks: the same bytes with every version of zlib."""
    blocks = b""
    for at in range(0, len(text), 65535):
        block = text[at : at + 65535]
        is_last = at + 65535 >= len(text)
        blocks += struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF) + block
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    return header + blocks + struct.pack("<II", zlib.crc32(text), len(text))


def zstd_of(text: bytes) -> bytes:
    """Return one zstd frame of *text*."""
    import zstandard

    return zstandard.ZstdCompressor(level=3).compress(text)


def text_of(pieces: list[Piece]) -> bytes:
    """Return the bytes of *pieces*."""
    return b"".join(piece.line for piece in pieces)


def compressed_cases() -> dict[str, Case]:
    """Build compressed logs: offsets are those of the text."""
    ok = {"r1": "ok"}
    gone = {"r1": "interrupted"}
    found = [("damage", True, None), ("interrupted", False, None)]
    first, second = lines(start(), llm(1)), lines(llm(2), end())
    lost = tool(2, output="z" * 400)
    begun = [*first, Lost(torn(lost, 300), "torn")]
    frames = zstd_of(text_of(first)) + zstd_of(text_of(second))
    return {
        "whole.jsonl.gz": Case(
            "A whole log, gzip.", first + second, runs=ok, data=gzip_of(text_of(first + second))
        ),
        "members.jsonl.gz": Case(
            "Two gzip members in one file.",
            first + second,
            runs=ok,
            data=gzip_of(text_of(first)) + gzip_of(text_of(second)),
        ),
        "truncated.jsonl.gz": Case(
            "A gzip file cut in the middle of a record: what is before it is read.",
            begun,
            verify=[found[0], *found],
            runs=gone,
            data=gzip_of(text_of([*first, *lines(lost)]))[: 10 + 5 + len(text_of(begun))],
            cut=True,
        ),
        "checksum.jsonl.gz": Case(
            "A gzip file whose checksum is wrong: its text is given, and that it is damaged is said.",
            first,
            verify=found,
            runs=gone,
            data=gzip_of(text_of(first))[:-8] + b"\x00" * 8,
            cut=True,
        ),
        "not-gzip.jsonl.gz": Case(
            "A file that is called .gz and is none.",
            [],
            error="LogFormatError",
            data=text_of(first),
            cut=True,
        ),
        "whole.jsonl.zst": Case("Two zstd frames in one file.", first + second, runs=ok, data=frames),
        "truncated.jsonl.zst": Case(
            "The second zstd frame is cut: the first is read.",
            first,
            verify=found,
            runs=gone,
            data=frames[: len(zstd_of(text_of(first))) + 20],
            cut=True,
        ),
        "garbage.jsonl.zst": Case(
            "Bytes behind a whole zstd frame that are no frame.",
            first,
            verify=found,
            runs=gone,
            data=zstd_of(text_of(first)) + b"no frame at all",
            cut=True,
        ),
    }


def rotated_cases() -> dict[str, Case]:
    """Build a set of files one log was rotated into."""
    return {
        "rotated.jsonl": Case(
            "A log and the files it was rotated into are read as one, oldest first.",
            lines(llm(4), end()),
            runs={"r1": "ok"},
            others={
                "rotated.000001.jsonl": lines(start(), llm(1), begin(2)),
                "rotated.000002.jsonl": lines(tool(2), llm(3)),
            },
        )
    }


def corpus() -> dict[str, Case]:
    """Return every case by the name of its file."""
    plain = {
        **whole_cases(),
        **unfinished_cases(),
        **torn_cases(),
        **hostile_cases(),
        **numbering_cases(),
        **foreign_cases(),
    }
    return {f"{name}.jsonl": case for name, case in plain.items()} | compressed_cases() | rotated_cases()


def reading_of(name: str, case: Case) -> dict[str, Any]:
    """Return the expected reading of a case, as its `.expected.json` states it."""
    records: list[Any] = []
    damage: list[Any] = []
    for file, pieces in [*case.others.items(), (name, case.pieces)]:
        offset = 0
        for piece in pieces:
            if type(piece) is Rec:
                records.append(piece.keys)
            elif type(piece) is Lost:
                damage.append([file, offset, len(piece.line), piece.reason])
            offset += len(piece.line)
        if case.cut:
            damage.append([file, offset, 0, "cut"])
    if case.error == "LogTooNewError":
        # Reading ends where the later format begins.
        newer = next(i for i, piece in enumerate(case.pieces) if b'"format":2' in piece.line)
        records = [piece.keys for piece in case.pieces[:newer] if type(piece) is Rec]
    return {
        "about": case.about,
        "files": [*case.others, name],
        "records": records,
        "values": case.values,
        "damage": damage,
        "error": case.error,
        "runs": case.runs,
        "verify": sorted(case.verify, key=json.dumps),
    }


def files() -> dict[str, bytes]:
    """Return every file of the corpus by its name."""
    made: dict[str, bytes] = {}
    for name, case in corpus().items():
        for other, pieces in case.others.items():
            made[other] = text_of(pieces)
        made[name] = case.data if case.data is not None else text_of(case.pieces)
        expected = json.dumps(reading_of(name, case), indent=1, ensure_ascii=True)
        made[f"{name}.expected.json"] = expected.encode() + NEWLINE
    return made


if __name__ == "__main__":
    for _name, _data in files().items():
        (FOLDER / _name).write_bytes(_data)
