"""`agent-step-log find`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_stack._queries.texts import Text, find_in_logs
from tests.agent_stack.conftest import T0
from tests.agent_stack.wire_tapes import RUN, whole_run, write_tape

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog

AT_80 = """\
run_0193e2a51c4b7d3f9a6be1d2aaaa0001  2023-11-14
       3 ● read_file   input.path   «x.py»
       3 ● read_file   error        No such file: '«x.py»'
2 places in 1 run
"""


def tool(step: int = 1, **more: Any) -> dict[str, Any]:
    whole = {"type": "tool_call", "step": step, "tool": "t", "input": None, "output": None, "error": None}
    return {**whole, "duration_ms": 1.0, **more}


def found(cli: Cli, *arguments: Any) -> list[tuple[int | None, str, str]]:
    hits = cli("find", *arguments, "--json").json_lines()
    return [(hit["step"], hit["where"], hit["found"]) for hit in hits]


class TestFind:
    def test_shows_run_step_field_and_the_words_around(self, cli: Cli, logs: Path) -> None:
        result = cli("find", "x.py", logs, columns=80)
        assert (result.code, result.out) == (0, AT_80)

    def test_looks_into_inputs_outputs_errors_events_and_headers(self, cli: Cli, logs: Path) -> None:
        assert found(cli, "look around", logs) == [(4, "input", "look around")]
        assert found(cli, "Opening", logs) == [(2, "output[0].text", "Opening")]
        assert found(cli, "no key", logs) == [(0, "error", "no key")]
        assert found(cli, "Find the", logs) == [(1, "data.text", "Find the")]
        assert found(cli, "T-7", logs) == [(0, "metadata.ticket", "T-7")]

    def test_what_was_in_flight_is_found_in_its_beginning(self, cli: Cli, logs: Path) -> None:
        [hit] = cli("find", "prod", logs, "--json").json_lines()
        assert (hit["step"], hit["type"], hit["name"], hit["where"]) == (2, "tool_call", "deploy", "input.to")

    def test_is_literal_and_minds_case_unless_told(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", tool(input="a.b"), tool(2, input="axb"), tool(3, input="A.B"))
        assert [hit[0] for hit in found(cli, "a.b", log)] == [1]
        assert [hit[0] for hit in found(cli, "a.b", log, "-i")] == [1, 3]
        assert [hit[0] for hit in found(cli, "a.b", log, "--regex")] == [1, 2]
        assert [hit[0] for hit in found(cli, "^a.b$", log, "--regex", "-i")] == [1, 2, 3]

    def test_undoes_the_escapes_of_json(self, cli: Cli, tmp_path: Path) -> None:
        text = 'say "hi"\n\ttab / é 😀'
        line = {"run_id": "r", "step": 1, "type": "event", "ts": T0, "name": "n", "data": text}
        (tmp_path / "a.jsonl").write_text(json.dumps(line).replace("/", "\\/") + "\n")
        for part in ('"hi"', "\n\ttab", "tab / é", "😀"):
            assert found(cli, part, "a.jsonl") == [(1, "data", part)]

    def test_an_escape_that_was_not_needed_hides_nothing(self, cli: Cli, tmp_path: Path) -> None:
        line = '{"run_id":"r","step":1,"type":"event","ts":1.0,"name":"n","data":"s\\u0065cret"}\n'
        (tmp_path / "a.jsonl").write_text(line)
        assert found(cli, "secret", "a.jsonl") == [(1, "data", "secret")]

    def test_letters_that_are_others_in_another_case(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", tool(input="\u212aelvin"))  # the sign of the unit, not a K
        assert found(cli, "kelvin", log, "-i") == [(1, "input", "\u212aelvin")]

    def test_keys_and_numbers_are_text_too(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", tool(input={"port": 8080, "deep": [{"flag": True}]}))
        assert found(cli, "8080", log) == [(1, "input.port", "8080")]
        assert found(cli, "port", log) == [(1, "input.port", "port")]
        assert found(cli, "true", log) == [(1, "input.deep[0].flag", "true")]

    def test_never_joins_two_values(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", tool(input=["ab", "cd"]))
        assert found(cli, "b.*c", log, "--regex") == []

    def test_counts_how_often_a_field_holds_it(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", tool(output="ha ha ha"))
        assert cli("find", "ha", log, "--json").json()["matches"] == 3
        assert "«ha» ha ha  ×3" in cli("find", "ha", log).out  # noqa: RUF001

    def test_only_what_was_written_in_a_time(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", *(tool(n, input="x", at=n * 86_400) for n in (1, 2, 3)))
        assert [hit[0] for hit in found(cli, "x", log, "--since", "2023-11-16")] == [2, 3]
        assert [hit[0] for hit in found(cli, "x", log, "--until", "2023-11-16")] == [1, 2]

    def test_nothing_found_is_said_beside_the_output(self, cli: Cli, logs: Path) -> None:
        result = cli("find", "zebra", logs)
        assert (result.code, result.out, result.err) == (0, "", f"'zebra' is nowhere in {logs}.\n")

    def test_obeys_nothing_of_what_it_shows(self, cli: Cli, write_log: WriteLog) -> None:
        log = write_log("a.jsonl", tool(output="\x1b[2J needle \u202e\x07", tool="\x1b]0;t"))
        out = cli("find", "needle", log).out
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "␛[2J «needle» \\u202e" in out

    @pytest.mark.parametrize("columns", [80, 120])
    def test_lines_fit_the_screen(self, cli: Cli, write_log: WriteLog, columns: int) -> None:
        log = write_log(
            "a.jsonl", tool(output="日本語 " * 200 + "needle" + " 日本語" * 200, tool="名前" * 20)
        )
        from agent_stack._safe import width

        lines = cli("find", "needle", log, columns=columns).out.splitlines()
        assert "«needle»" in lines[1]
        assert max(map(width, lines)) <= columns


class TestTapes:
    def test_prompts_and_answers_of_the_tape_beside_a_log(self, cli: Cli, logs: Path) -> None:
        write_tape(logs, *whole_run())
        hits = cli("find", "nightly job", logs, "--json").json_lines()
        assert [(hit["run_id"], hit["type"], hit["exchange"]) for hit in hits] == [(RUN, "exchange", 1)]
        assert hits[0]["where"] == "request.messages[0].content"
        [hit] = cli("find", "I will read", logs, "--json").json_lines()
        assert hit["where"] == "response"

    def test_one_tape_alone(self, cli: Cli, logs: Path) -> None:
        tape = write_tape(logs, *whole_run())
        assert "#1 request" in cli("find", "nightly job", tape).out

    def test_an_answer_that_the_log_has_is_shown_once(
        self, cli: Cli, write_log: WriteLog, tmp_path: Path
    ) -> None:
        answer = {"type": "llm_call", "step": 2, "model": "m", "output": "I will read the log."}
        write_log("d/a.jsonl", answer, run_id=RUN)
        write_tape(tmp_path / "d", *({**each, "step": 2} for each in whole_run()[:1]))
        assert found(cli, "I will read", "d") == [(2, "output", "I will read")]


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["", "d"], "there is no text to look for."),
            (
                ["(", "--regex"],
                "'(' is no regular expression: missing ), unterminated subpattern at position 0.",
            ),
            (["x", "nowhere"], "nowhere: no such file or directory."),
            (
                ["x", "--since", "soon"],
                "Invalid value for '--since': 'soon' is no time: give a date (2026-05-01)",
            ),
        ],
    )
    def test_is_one_sentence(self, cli: Cli, logs: Path, arguments: list[str], sentence: str) -> None:
        result = cli("find", *arguments)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"agent-step-log: {sentence}")
        assert result.err.count("\n") == 1


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    value=st.recursive(
        st.text() | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    ),
    wanted=st.text(min_size=1, max_size=4),
    any_case=st.booleans(),
    is_escaped=st.booleans(),
)
def test_finds_what_looking_at_every_string_finds(
    tmp_path: Path, value: Any, wanted: str, any_case: bool, is_escaped: bool
) -> None:
    def strings(item: Any) -> list[str]:
        if isinstance(item, dict):
            return [text for key, each in item.items() for text in (key, *strings(each))]
        if isinstance(item, list):
            return [text for each in item for text in strings(each)]
        return [] if item is None else [str(item).lower() if isinstance(item, bool) else str(item)]

    line = json.dumps(
        {"run_id": "r", "step": 1, "type": "event", "ts": 1.0, "name": "n", "data": value},
        ensure_ascii=is_escaped,
    )
    if "\\ud" in line or any("\ud800" <= char <= "\udfff" for char in line + wanted):
        return  # no text
    log = tmp_path / "a.jsonl"
    log.write_text(line + "\n", encoding="utf-8")
    text = Text(wanted, any_case=any_case)
    expected = any(text.pattern.search(each) for each in strings(value))
    assert bool(list(find_in_logs(str(log), text))) == expected
