"""What holds for every log: any records, cut or damaged anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent_step_log import Damage, Record, repair, verify
from agent_step_log._reader import read_file
from tests.agent_step_log.loglines import end, line, llm, payloads, records, start, tool

if TYPE_CHECKING:
    from collections.abc import Iterator

# One folder for all examples: making one each costs more than the reading.
_folder = TemporaryDirectory()
FOLDER = Path(_folder.name)
PIECES = b'{"run_id":" r","step":1 ,"type":" x" ,"ts":1 } \n " \\ [ 1'.split(b" ")
HEADER = start()  # keeps any damaged rest from reading as "no log at all"
logs = st.lists(records(), min_size=1, max_size=6).map(lambda lines: [HEADER, *lines])


def read_bytes(data: bytes, *, report_unfinished: bool = True) -> tuple[list[Record], list[Damage]]:
    path = FOLDER / "log.jsonl"
    path.write_bytes(data)
    damage: list[Damage] = []
    found = list(read_file(path, on_damage=damage.append, report_unfinished=report_unfinished))
    return found, damage


def assert_every_byte_is_accounted_for(data: bytes, found: list[Record], damage: list[Damage]) -> None:
    """Records and damage cover the file in order, without overlap; between them stands blank space only."""
    stretches = [(told.offset, data[told.offset : told.offset + told.length]) for told in damage]
    assert all(len(text) == told.length > 0 for (_, text), told in zip(stretches, damage, strict=True))
    position = 0
    for text in merged(data, [record.line for record in found], stretches):
        at = data.index(text, position)
        assert not data[position:at].strip(b" \t\r\n")
        position = at + len(text)
    assert not data[position:].strip(b" \t\r\n")


def merged(data: bytes, lines: list[bytes], stretches: list[tuple[int, bytes]]) -> Iterator[bytes]:
    """Yield the texts of records and damage in the order of the file."""
    position = 0
    while lines or stretches:
        at = data.find(lines[0], position) if lines else len(data) + 1
        if stretches and stretches[0][0] <= at:
            offset, text = stretches.pop(0)
            position = offset + len(text)
        else:
            text = lines.pop(0)
            position = at + len(text)
        yield text


def lines_of(found: list[Record]) -> list[bytes]:
    return [record.line + b"\n" for record in found]


def is_ordered_part(part: list[bytes], whole: list[bytes]) -> bool:
    """Whether *part* is *whole* with some left out."""
    rest = iter(whole)
    return all(item in rest for item in part)


class TestWholeLogs:
    @given(logs)
    def test_every_record_is_read_back_and_nothing_is_damage(self, log: list[bytes]) -> None:
        found, damage = read_bytes(b"".join(log))

        assert lines_of(found) == log
        assert damage == []

    @given(payloads, payloads)
    def test_a_payload_comes_back_as_it_was_given(self, given_: object, returned: object) -> None:
        data = HEADER + tool(1, input=given_, output=returned)

        _, record = read_bytes(data)[0]

        assert record.input == given_
        assert record.output == returned
        assert record.to_dict() == json.loads(data.splitlines()[1])


class TestCutLogs:
    @given(logs, st.data())
    def test_a_log_cut_anywhere_gives_every_record_before_the_cut(
        self, log: list[bytes], data: st.DataObject
    ) -> None:
        text = b"".join(log)
        cut = data.draw(st.integers(len(HEADER), len(text)))
        whole, ends = [], 0
        for written in log:
            ends += len(written)
            # One whose newline alone is missing is whole, too.
            if ends - 1 <= cut:
                whole.append(written)

        found, damage = read_bytes(text[:cut])

        assert lines_of(found) == whole
        assert all(told.reason == "unfinished" for told in damage)
        assert_every_byte_is_accounted_for(text[:cut], found, damage)
        assert read_bytes(text[:cut], report_unfinished=False)[1] == []

    @given(logs, records(), records(), st.data())
    @example([HEADER], tool(2, output="{"), llm(3), None)
    def test_a_record_glued_behind_a_torn_one_is_read(
        self, log: list[bytes], cut_one: bytes, glued: bytes, data: st.DataObject | None
    ) -> None:
        size = data.draw(st.integers(1, len(cut_one) - 2)) if data is not None else 20
        text = b"".join(log) + cut_one[:size] + glued

        found, damage = read_bytes(text)

        assert lines_of(found) == [*log, glued]
        assert [(told.offset, told.length) for told in damage] == [(len(b"".join(log)), size)]

    @given(logs, st.lists(st.tuples(records(), st.integers(1, 10**6)), min_size=1, max_size=4), records())
    def test_several_torn_records_on_one_line_hide_only_themselves(
        self, log: list[bytes], torn: list[tuple[bytes, int]], glued: bytes
    ) -> None:
        fragments = b"".join(cut_one[: 1 + size % (len(cut_one) - 2)] for cut_one, size in torn)
        text = b"".join(log) + fragments + glued

        found, damage = read_bytes(text)

        assert lines_of(found) == [*log, glued]
        assert_every_byte_is_accounted_for(text, found, damage)

    @given(records(), st.integers(0, 10**6))
    def test_a_torn_record_closed_off_with_a_newline_is_no_record(self, cut_one: bytes, size: int) -> None:
        fragment = cut_one[: 1 + size % (len(cut_one) - 2)]

        found, damage = read_bytes(HEADER + fragment + b"\n" + end())

        assert lines_of(found) == [HEADER, end()]
        assert [told.length for told in damage] == [len(fragment)]

    @given(st.integers(1, 10**6), st.sampled_from(["text", "object", "list"]), st.booleans())
    def test_a_record_held_by_a_torn_one_is_never_brought_to_life(
        self, size: int, form: str, is_glued: bool
    ) -> None:
        inner = line("tool_call", 7, run="forged", tool="t", data={"deep": [1]})
        held = json.loads(inner)
        outer = tool(1, output={"text": inner.decode() * 2, "object": held, "list": [held, held]}[form])
        size = 1 + size % (len(outer) - 2)
        ends_with_inner = outer[:size].endswith(inner[:-1]) and not is_glued
        text = HEADER + outer[:size] + (llm(2) if is_glued else b"\n" + llm(2))

        found, _ = read_bytes(text)

        # A line torn exactly behind the object it held, then closed off, is the one place where
        # the bytes are those of a torn record with a whole one glued to it: docs/format.md.
        assert [record.run_id for record in found] == ["r", *["forged"] * ends_with_inner, "r"]

    @given(st.integers(1, 10**6))
    def test_without_a_newline_not_even_there(self, size: int) -> None:
        inner = json.loads(line("tool_call", 7, run="forged"))
        outer = line("event", 1, name="n", data=inner)

        found, _ = read_bytes(HEADER + outer[: 1 + size % (len(outer) - 2)])

        assert lines_of(found) == [HEADER]


class TestDamagedLogs:
    @given(logs, st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=6))
    def test_flipped_bytes_lose_only_the_lines_they_are_in(
        self, log: list[bytes], flips: list[tuple[int, int]]
    ) -> None:
        text = bytearray(b"".join(log))
        for place, mask in flips:
            text[len(HEADER) + place % (len(text) - len(HEADER))] ^= mask
        damaged = bytes(text)

        found, damage = read_bytes(damaged)

        assert is_ordered_part(untouched(log, damaged), lines_of(found))
        assert_every_byte_is_accounted_for(damaged, found, damage)
        for record in found:  # nothing is made up: each is in the file, from a head to its end
            assert json.loads(record.line)["run_id"] == record.run_id
            assert record.line in damaged

    @given(logs, st.lists(st.integers(0, 10**6), min_size=1, max_size=4), st.integers(0, 255))
    def test_newlines_turned_into_other_bytes_lose_nothing(
        self, log: list[bytes], places: list[int], byte: int
    ) -> None:
        text = bytearray(b"".join(log))
        ends = [i for i in range(len(text) - 1) if text[i] == 10]
        for place in places:
            text[ends[place % len(ends)]] = byte

        found, damage = read_bytes(bytes(text))

        assert lines_of(found) == log
        assert all(told.length == 1 for told in damage)
        assert_every_byte_is_accounted_for(bytes(text), found, damage)

    @given(logs, st.lists(st.tuples(st.integers(0, 6), st.binary(max_size=40)), min_size=1, max_size=4))
    def test_lines_of_garbage_between_hide_nothing(
        self, log: list[bytes], garbage: list[tuple[int, bytes]]
    ) -> None:
        text = list(log)
        for place, junk in garbage:
            text.insert(1 + place % len(text), junk + b"\n")
        data = b"".join(text)

        found, damage = read_bytes(data)

        assert is_ordered_part(log, lines_of(found))
        assert_every_byte_is_accounted_for(data, found, damage)

    @given(st.binary(max_size=300))
    def test_any_bytes_at_all_are_read_without_an_error(self, junk: bytes) -> None:
        data = HEADER + junk

        found, damage = read_bytes(data)

        assert_every_byte_is_accounted_for(data, found, damage)

    @given(st.lists(st.sampled_from(PIECES), max_size=40))
    @settings(max_examples=300)
    def test_any_pieces_of_records_are_read_without_an_error(self, pieces: list[bytes]) -> None:
        data = HEADER + b"".join(pieces)

        found, damage = read_bytes(data)

        assert_every_byte_is_accounted_for(data, found, damage)


class TestRepairedLogs:
    @given(logs, st.data())
    def test_a_repaired_log_holds_the_same_records_and_no_damage(
        self, log: list[bytes], data: st.DataObject
    ) -> None:
        text = bytearray(b"".join(log))
        for _ in range(data.draw(st.integers(0, 5))):
            text[data.draw(st.integers(len(HEADER), len(text) - 1))] = data.draw(st.integers(0, 255))
        del text[data.draw(st.integers(len(HEADER), len(text))) :]
        before, damage = read_bytes(bytes(text))
        damaged, clean = FOLDER / "a.jsonl", FOLDER / "b.jsonl"
        damaged.write_bytes(text)

        report = repair(damaged, clean, replace=True)

        assert damaged.read_bytes() == text
        assert [p for p in verify(clean).problems if p.kind == "damage"] == []
        after, none = read_bytes(clean.read_bytes())
        assert none == []
        assert lines_of(after) == lines_of(before)
        assert report.kept == len(before)
        assert [(d.offset, d.length, d.reason) for d in report.dropped] == [
            (d.offset, d.length, d.reason) for d in damage
        ]


def untouched(log: list[bytes], damaged: bytes) -> list[bytes]:
    """Return the lines whose every byte still stands where it stood."""
    kept, position = [], 0
    for written in log:
        if damaged[position : position + len(written)] == written:
            kept.append(written)
        position += len(written)
    return kept


def test_hypothesis_payloads_are_what_the_encoder_writes() -> None:
    """The lines of these tests are built by the standard library; the recorder's encoder must agree."""
    value = {"a": [1, 2.5, None, True, 'ü\u0000"\\\n'], "b": {}, "c": []}
    theirs = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    assert msgspec.json.decode(theirs) == msgspec.json.decode(msgspec.json.encode(value)) == value
