from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_step_log.errors import ImportSourceError
from agent_step_log.importers import _transcripts
from tests.agent_step_log.importers.support import (
    CLAUDE,
    CODEX,
    assert_sound,
    assistant,
    count,
    counts,
    import_claude,
    import_cx,
    meta,
    of_type,
    said,
    text,
    usage,
    user,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.agent_step_log.importers.support import Imported

CLAUDE_LINES = [
    *(CLAUDE / "claude-code-log" / "edge_cases.jsonl").read_bytes().splitlines(),
    *(CLAUDE / "entireio-cli" / "9f-e3cfdef74d-0-full.jsonl").read_bytes().splitlines(),
    *(CLAUDE / "codemie" / "agent-50243ee8.jsonl").read_bytes().splitlines(),
    *(CLAUDE / "entireio-cli" / "b2-fb19a19759-0-full.jsonl").read_bytes().splitlines()[4:16],
]
CODEX_LINES = [
    *(CODEX / "codemie" / "turn-spawn-skill.jsonl").read_bytes().splitlines(),
    *(CODEX / "codemie" / "turn-1.jsonl").read_bytes().splitlines(),
    *(CODEX / "codemie" / "rollout-2026-01-02T19-00-00-019b7f95-0000-7000-0000-000000000001.jsonl")
    .read_bytes()
    .splitlines(),
]
STREAM_LINES = (CODEX / "agentcmd" / "stream-output-2.jsonl").read_bytes().splitlines()

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "2026-01-01", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59Z", "tool_result"]),
    st.just([]),
    st.just({}),
    st.just([None, 1, "x", {"type": "tool_use"}, {"type": "tool_result"}]),
    st.just({"type": "text", "input_tokens": -1, "output_tokens": True}),
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    if isinstance(value, dict):
        return [at, *(place for key, item in value.items() for place in places(item, (*at, key)))]
    if isinstance(value, list):
        return [at, *(place for key, item in enumerate(value) for place in places(item, (*at, key)))]
    return [at]


def replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    if not at:
        return new
    copy = value.copy()
    copy[at[0]] = replaced(value[at[0]], at[1:], new)
    return copy


@st.composite
def mutated(draw: st.DrawFn, lines: list[bytes]) -> bytes:
    """A transcript of real lines, some out of order, some with other values, some with other bytes."""
    chosen = draw(st.lists(st.sampled_from(lines), min_size=1, max_size=8))
    written = []
    for line in chosen:
        for _ in range(draw(st.integers(0, 3))):
            try:
                value = json.loads(line)
            except ValueError:
                break
            at = draw(st.sampled_from(places(value)))
            line = json.dumps(replaced(value, at, draw(SCALARS))).encode()
        if draw(st.integers(0, 9)) == 0:
            cut = draw(st.integers(0, len(line)))
            line = line[:cut] + draw(st.binary(max_size=6)) + line[cut + draw(st.integers(0, 3)) :]
        written.append(line)
    return b"\n".join(written) + draw(st.sampled_from([b"", b"\n"]))


def check(content: bytes, importer: Callable[[Path, Path], Imported], suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, f"s{suffix}")
        source.write_bytes(content)
        try:
            imported = importer(source, Path(folder, "out"))
        except ImportSourceError as error:
            assert "is not a" in str(error)  # noqa: PT017  both ways out are right
            return
        for records in imported.runs.values():
            assert_sound(records)


FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)


class TestMutatedTranscripts:
    @FUZZ
    @given(mutated(CLAUDE_LINES))
    def test_claude_import_never_raises_and_writes_sound_records(self, content: bytes) -> None:
        check(content, import_claude, ".jsonl")

    @FUZZ
    @given(mutated(CODEX_LINES))
    def test_rollout_import_never_raises_and_writes_sound_records(self, content: bytes) -> None:
        check(content, import_cx, ".jsonl")

    @FUZZ
    @given(mutated(STREAM_LINES))
    def test_stream_import_never_raises_and_writes_sound_records(self, content: bytes) -> None:
        check(content, import_cx, ".jsonl")

    @settings(FUZZ, max_examples=80)
    @given(
        SCALARS
        | st.lists(SCALARS)
        | st.lists(st.fixed_dictionaries({"type": st.just("user"), "message": SCALARS}))
    )
    def test_web_export_import_never_raises(self, loglines: Any) -> None:
        check(json.dumps({"loglines": loglines}).encode(), import_claude, ".json")


class TestHostileValues:
    @pytest.mark.parametrize("tokens", [-1, 10**30, 1.5, True, "7", None, [1], {"n": 1}])
    def test_count_that_is_none_is_not_known(self, tokens: Any, tmp_path: Path) -> None:
        source = write(tmp_path / "s.jsonl", assistant("a", text("hi"), used=usage(tokens, tokens)))

        (call,) = of_type(import_claude(source, tmp_path / "out").only(), "llm_call")

        assert (call["input_tokens"], call["output_tokens"]) == (None, None)

    def test_part_of_the_prompt_that_is_no_count_makes_the_rest_a_lower_bound(self, tmp_path: Path) -> None:
        source = write(tmp_path / "s.jsonl", assistant("a", text("hi"), used=usage(10, 5, read=-9)))

        (call,) = of_type(import_claude(source, tmp_path / "out").only(), "llm_call")

        assert (call["input_tokens"], call["bounds"]["input_tokens"]) == (10, "lower")
        assert call["usage"]["cache_read_input_tokens"] == -9

    def test_counter_that_is_none_is_no_count(self, tmp_path: Path) -> None:
        bad: Any = {"input_tokens": -4, "output_tokens": 10**40}
        source = write(tmp_path / "r.jsonl", meta(), said("hi"), count(bad), count(counts(3, 1)))

        (call,) = of_type(import_cx(source, tmp_path / "out").only(), "llm_call")

        assert call["input_tokens"] == 3

    def test_deep_nesting_is_skipped_or_cut_never_raised(self, tmp_path: Path) -> None:
        source = write(tmp_path / "s.jsonl", user("go"))
        with source.open("ab") as file:
            for depth in (60, 200, 900, 100_000):
                file.write(b'{"type":"news","sessionId":"s1","n":' + b"[" * depth + b"]" * depth + b"}\n")

        imported = import_claude(source, tmp_path / "out")

        assert imported.report.sessions[0].skipped_lines["nested too deep"] >= 1
        assert_sound(imported.only())

    def test_half_an_emoji_and_stray_bytes_are_replaced(self, tmp_path: Path) -> None:
        source = tmp_path / "s.jsonl"
        lines = [
            json.dumps(user("half \ud83d")).encode(),
            json.dumps(user("byte _")).encode().replace(b"_", b"\xff"),
        ]
        source.write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines) + b"\n")

        records = import_claude(source, tmp_path / "out").only()

        assert [record["data"]["text"] for record in of_type(records, "event")] == ["half �", "byte �"]

    def test_line_longer_than_the_limit_is_skipped_and_the_next_one_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_transcripts, "LINE_LIMIT_BYTES", 1000)
        source = write(tmp_path / "s.jsonl", user("x" * 5000), user("go"))

        imported = import_claude(source, tmp_path / "out")

        (session,) = imported.report.sessions
        assert session.skipped_lines == {"longer than 64 MB": 1}
        (message,) = of_type(imported.only(), "event")
        assert (message["data"], message["attrs"]["source"]) == ({"text": "go"}, {"line": 2})

    def test_reading_stops_at_the_limit_of_a_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_transcripts, "FILE_LIMIT_BYTES", 1000)
        source = write(tmp_path / "s.jsonl", *(user(f"number {number}") for number in range(100)))

        (session,) = import_claude(source, tmp_path / "out").report.sessions

        assert session.notes == ["only the first gigabyte was read"]
        assert session.records < 20

    def test_times_that_are_none_do_not_move_the_run(self, tmp_path: Path) -> None:
        odd = [
            {**user("x"), "timestamp": value}
            for value in ("soon", "1900-01-01", 7, None, "2026-03-01T10:00:00")
        ]
        source = write(tmp_path / "s.jsonl", *odd)

        records = import_claude(source, tmp_path / "out").only()

        assert {record["ts"] for record in records} == {1772359200.0}
