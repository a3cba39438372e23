"""``agent-step-log diff``: which runs are meant, what is shown, and the exit status."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent_stack.conftest import WHOLE_RUN
from tests.agent_stack.test_cli_hostile import HOSTILE
from tests.agent_stack.wire_tapes import whole_run, write_tape

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli, WriteLog

RUN = "run_0193e2a51c4b7d3f9a6be1d2"


def changed(**edits: dict[str, Any]) -> list[dict[str, Any]]:
    """`WHOLE_RUN` with keys of the records that end its steps replaced: ``step5={"output": …}``."""
    records = copy.deepcopy(WHOLE_RUN)
    for record in records:
        if record["type"] not in ("run_start", "run_end", "step_start"):
            record.update(edits.get(f"step{record['step']}", {}))
    return records


@pytest.fixture
def pair(write_log: WriteLog) -> tuple[Path, Path]:
    """Two runs that differ in the outcome of one tool."""
    other = changed(step5={"output": "w.py:4", "duration_ms": 500.0})
    return write_log("one.jsonl", *WHOLE_RUN, run_id="one"), write_log("two.jsonl", *other, run_id="two")


class TestExitStatus:
    def test_is_0_for_runs_that_did_the_same(self, cli: Cli, write_log: WriteLog) -> None:
        one = write_log("one.jsonl", *WHOLE_RUN, run_id="one")
        two = write_log("two.jsonl", *changed(step5={"duration_ms": 9.0}), run_id="two")
        result = cli("diff", one, two)
        assert (result.code, result.err) == (0, "")
        assert "the runs did the same" in result.out

    def test_is_1_for_runs_that_did_not(self, cli: Cli, pair: tuple[Path, Path]) -> None:
        result = cli("diff", *pair)
        assert (result.code, result.err) == (1, "")

    def test_is_2_when_there_is_nothing_to_compare(self, cli: Cli, logs: Path) -> None:
        result = cli("diff", logs, "elsewhere/none.jsonl")
        assert result.code == 2
        assert result.err.count("\n") == 1


class TestWhichRun:
    def test_a_source_may_name_its_run(self, cli: Cli, logs: Path) -> None:
        shape = cli("diff", f"{logs}:aaaa0001", f"{logs}:{RUN}bbbb0002", "--json").json()
        assert (shape["a"]["run_id"], shape["b"]["run_id"]) == (f"{RUN}aaaa0001", f"{RUN}bbbb0002")

    def test_a_run_is_looked_for_in_the_default_source(self, cli: Cli, logs: Path) -> None:
        shape = cli("diff", "aaaa0001", "support-4711", "--json").json()
        assert (shape["a"]["run_id"], shape["b"]["status"]) == (f"{RUN}aaaa0001", "error")

    def test_a_source_alone_means_its_last_run(self, cli: Cli, logs: Path) -> None:
        assert cli("diff", logs, logs, "--json").json()["a"]["run_id"] == "nightly-eval/support-4711"

    def test_an_id_no_run_has_is_answered_with_the_nearest(self, cli: Cli, logs: Path) -> None:
        result = cli("diff", f"{logs}:aaaa0002x", f"{logs}:bbbb0002")
        assert result.code == 2
        assert f"no run 'aaaa0002x' in it; the nearest: {RUN}" in result.err

    def test_an_id_of_several_runs_is_answered_with_them(self, cli: Cli, logs: Path) -> None:
        result = cli("diff", f"{logs}:run_", f"{logs}:bbbb0002")
        assert result.code == 2
        assert (
            f"{logs}: 2 runs match 'run_': {RUN}aaaa0001, {RUN}bbbb0002; give more of the id." in result.err
        )

    def test_what_is_no_path_needs_a_default_source(self, cli: Cli) -> None:
        result = cli("diff", "aaaa0001", "bbbb0002")
        assert result.code == 2
        assert "aaaa0001 is no file or directory" in result.err

    def test_runs_of_different_agents_compare(self, cli: Cli, logs: Path) -> None:
        result = cli("diff", f"{logs}:aaaa0001", f"{logs}:bbbb0002")
        assert result.code == 1
        assert ["agent", "researcher", "→", "deployer"] in [line.split() for line in result.out.splitlines()]


class TestView:
    def test_names_the_first_divergence_with_its_fields(self, cli: Cli, pair: tuple[Path, Path]) -> None:
        out = cli("diff", *pair).out
        assert "first divergence, after 4 steps the same: output drift" in out
        assert "A step 5  ● grep" in out
        assert "- w.py:3" in out
        assert "+ w.py:4" in out

    def test_folds_what_is_the_same(self, cli: Cli, pair: tuple[Path, Path]) -> None:
        out = cli("diff", *pair).out
        assert "┄ 4 steps the same (1 to 4 of A)" in out
        assert "┄" not in cli("diff", *pair, "--all").out

    def test_shows_totals_with_their_differences(self, cli: Cli, pair: tuple[Path, Path]) -> None:
        out = cli("diff", *pair).out
        line = next(line for line in out.splitlines() if "in tools" in line)
        assert line.split() == ["in", "tools", "654", "ms", "854", "ms", "+200", "ms", "(+31", "%)"]
        assert "≥1.2k" in out  # one call did not tell its tokens

    def test_only_shows_steps_of_a_class(self, cli: Cli, pair: tuple[Path, Path]) -> None:
        assert "no such steps" in cli("diff", *pair, "--only", "only-a").out
        shape = cli("diff", *pair, "--only", "output", "--json").json()
        assert [each["a"]["step"] for each in shape["pairs"]] == [5]

    def test_of_a_long_list_shows_the_first_rows(self, cli: Cli, write_log: WriteLog) -> None:
        def run(word: str) -> list[dict[str, Any]]:
            steps = [
                {"type": "tool_call", "step": n, "at": n, "tool": "t", "input": {word: n}, "output": n}
                for n in range(1, 251)
            ]
            return [WHOLE_RUN[0], *({**step, "error": None, "duration_ms": 1} for step in steps)]

        pair = write_log("one.jsonl", *run("a")), write_log("two.jsonl", *run("b"))
        assert "50 more rows (--all)" in cli("diff", *pair).out
        assert "more rows" not in cli("diff", *pair, "--all").out

    def test_of_a_huge_text_shows_what_is_around_the_change(self, cli: Cli, write_log: WriteLog) -> None:
        def run(word: str) -> Any:
            text = "\u202ex\n" * 1_000_000 + f"the {word} is here"
            return changed(step5={"output": text})

        pair = write_log("one.jsonl", *run("cat")), write_log("two.jsonl", *run("dog"))
        out = cli("diff", *pair).out
        assert "- the cat is here" in out
        assert "+ the dog is here" in out
        assert len(out) < 10_000

    @pytest.mark.parametrize("columns", [40, 60, 80, 120])
    def test_fits_the_terminal(self, cli: Cli, pair: tuple[Path, Path], columns: int) -> None:
        out = cli("diff", *pair, "--all", columns=columns).out
        assert max(map(len, out.splitlines())) <= columns

    def test_compares_the_messages_of_two_requests(
        self, cli: Cli, write_log: WriteLog, tmp_path: Path
    ) -> None:
        one, two = whole_run()[1:3]
        for name, exchange, tokens in (("one", one, 10), ("two", two, 20)):
            tape = write_tape(tmp_path / name, exchange, run_id=name)
            place = {"tape": tape.name, "n": 1}
            call = {"type": "llm_call", "step": 1, "model": "m", "input_tokens": tokens, "output_tokens": 1}
            more = {"stop_reason": "end_turn", "duration_ms": 1.0, "exchange": place}
            write_log(f"{name}/log.jsonl", WHOLE_RUN[0], {**call, **more}, run_id=name)
        out = cli("diff", tmp_path / "one" / "log.jsonl", tmp_path / "two" / "log.jsonl").out
        assert "requests" in out
        assert "unchanged" in out
        shape = cli("diff", tmp_path / "one" / "log.jsonl", tmp_path / "two" / "log.jsonl", "--json").json()
        requests = shape["first_divergence"]["requests"]
        assert requests["messages"]
        assert {change["kind"] for change in requests["messages"]} <= {
            "added",
            "dropped",
            "changed",
            "extended",
        }


class TestJson:
    def test_has_the_documented_keys(self, cli: Cli, pair: tuple[Path, Path]) -> None:
        result = cli("diff", *pair, "--json")
        shape = result.json()
        assert result.code == 1
        assert shape["is_same"] is False
        assert shape["counts"]["output"] == 1
        first = shape["first_divergence"]
        assert (first["kind"], first["common"], first["a"]["step"]) == ("output", 4, 5)
        assert first["changes"] == [
            {"path": "output", "kind": "changed", "before": "w.py:3", "after": "w.py:4"}
        ]
        assert [each["kind"] for each in shape["pairs"]] == ["output"]
        assert len(cli("diff", *pair, "--json", "--all").json()["pairs"]) == 7


class TestHostileText:
    @pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
    def test_does_not_reach_the_terminal(self, cli: Cli, write_log: WriteLog, text: str) -> None:
        def run(mark: str) -> list[dict[str, Any]]:
            value = {text: [text + mark, mark]}
            call = {"type": "tool_call", "step": 1, "tool": text, "input": value, "output": mark + text}
            event = {"type": "event", "step": 2, "name": text, "data": mark + text}
            head = {**WHOLE_RUN[0], "agent": text + mark, "environment": mark + text}
            end = {"type": "run_end", "status": mark + text, "error": mark + text, "error_type": text}
            return [head, {**call, "error": mark + text, "duration_ms": 1.0}, event, end]

        pair = write_log("one.jsonl", *run("1"), run_id=text), write_log("two.jsonl", *run("2"), run_id=text)
        for more in ((), ("--full",), ("--all",), ("--json",)):
            result = cli("diff", *pair, *more)
            assert result.code == 1
            shown = result.out.replace("\n", "")
            assert all(char.isprintable() or char == " " for char in shown)

    def test_in_a_run_id_does_not_reach_it_either(self, cli: Cli, logs: Path) -> None:
        result = cli("diff", f"{logs}:\x1b]0;owned\x07", str(logs))
        assert result.code == 2
        assert "\x1b" not in result.err
