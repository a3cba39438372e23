"""Batches over real runs of every importer, their answers held to the raw files.

The figures in these tests were read in the source file by eye, and where a few lines can read
them, the test does. `message 21` is the place in the file's own list, from 0.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.agent_stack.conftest import Cli

DATA = Path(__file__).parents[1] / "data"
TRAJECTORIES = DATA / "trajectories"
CLAUDE_CODE = DATA / "transcripts" / "claude-code"
TAU = TRAJECTORIES / "tau-bench-excerpt.json"


@pytest.fixture
def session(cli: Cli) -> Any:
    """Import a file, do commands on its run, and return the exit status and an object for each command."""

    def run(kind: str, source: Path, commands: str, run_id: str | None = None) -> tuple[int, list[Any]]:
        imported = cli("import", kind, source, "--into", "logs")
        assert (imported.code, imported.err) == (0, "")
        which = [run_id] if run_id is not None else []
        done = cli("replay", "logs", *which, "-x", commands, "--json")
        assert done.err == ""
        return done.code, done.json_lines()

    return run


@cache
def loaded(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def roles(context: dict[str, Any]) -> list[str]:
    return [message["role"] for message in context["messages"]]


def column(table: dict[str, Any], place: int = 0) -> list[Any]:
    return [row["values"][place] for row in table["rows"]]


class TestClaudeCode:
    """A subagent that read a command line's sources; one of its 20 tool calls failed."""

    SOURCE = CLAUDE_CODE / "codemie" / "agent-a485154.jsonl"

    @pytest.fixture
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.SOURCE.read_text(encoding="utf-8").splitlines()]

    def test_the_first_failing_tool_and_what_the_model_saw_before_it(
        self, session: Any, lines: list[dict[str, Any]]
    ) -> None:
        # Record 33 alone has is_error: the answer to the Read of record 30, which that of records 28 to 32
        # asked for. Before it the model saw the answers to those of records 20 to 23.
        (failed,) = lines[33]["message"]["content"]
        assert failed["is_error"]
        (asked,) = lines[30]["message"]["content"]
        seen = [block["content"] for line in lines[24:28] for block in line["message"]["content"]]

        commands = (
            "catch error; c; p error; p input.file_path; p tool_call_id; runtil model; ctx -d; p tokens"
        )
        code, told = session("claude-code", self.SOURCE, commands)

        assert code == 1
        _, stopped, error, path, call_id, call, context, tokens = told
        assert (stopped["row"]["name"], stopped["hits"][0]["detail"]) == ("Read", "tool_error")
        assert error["value"] == failed["content"] == "<tool_use_error>File does not exist.</tool_use_error>"
        assert path["value"] == asked["input"]["file_path"]
        assert call_id["value"] == asked["id"] == failed["tool_use_id"]
        assert call["row"]["type"] == "llm_call"
        assert roles(context) == ["assistant", *["tool"] * 4]
        assert [message["content"] for message in context["messages"][1:]] == seen
        usage = lines[32]["message"]["usage"]
        into = usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
        assert tokens["value"] == into + usage["output_tokens"] == 39_543

    def test_every_tool_in_the_order_it_was_asked_for(
        self, session: Any, lines: list[dict[str, Any]]
    ) -> None:
        asked = [
            (block["name"], block["id"])
            for line in lines
            if line["type"] == "assistant"
            for block in line["message"]["content"]
            if block["type"] == "tool_use"
        ]

        _, (table, end, state) = session(
            "claude-code", self.SOURCE, "log tool, tool_call_id if type == 'tool_call'; goto end; state"
        )

        assert sorted(zip(column(table), column(table, 1), strict=True)) == sorted(asked)
        assert end["row"]["type"] == "llm_call"
        assert (state["totals"]["tool_calls"], state["totals"]["errors"]) == (20, 1)

    def test_the_file_it_wrote_is_the_one_it_was_asked_for(self, session: Any) -> None:
        # Another session of 23 records: "write a file about geese in docs", and the one Write of record 16.
        source = CLAUDE_CODE / "entireio-cli" / "9f-e3cfdef74d-0-full.jsonl"

        commands = "break at tool:Write; c; p input.file_path; turn -1; p data.text; goto end; files; state"
        code, told = session("claude-code", source, commands)

        assert code == 1
        path, said, files, state = told[2], told[4], told[6], told[7]
        assert path["value"] == "/Users/alex/workspace/cli/.worktrees/3/docs/geese.md"
        assert said["value"] == "write a file about geese in docs"
        assert (files["files"][-1]["path"], files["files"][-1]["how"]) == (path["value"], "written")
        # The totals its own tool stated in the metadata beside it, of four calls.
        assert (state["totals"]["llm_calls"], state["totals"]["output_tokens"]) == (4, 443)
        assert state["totals"]["input_tokens"] == 8 + 52_959 + 118_997


class TestSubagents:
    """A session whose Task (record 5 of its file) started the subagent above, in a file of its own."""

    SOURCE = CLAUDE_CODE / "codemie" / "turn-1.jsonl"

    def test_into_the_subagent_to_its_failure_and_back_to_its_result(self, session: Any) -> None:
        records = [json.loads(line) for line in self.SOURCE.read_text(encoding="utf-8").splitlines()]
        (result,) = records[6]["message"]["content"]

        commands = "until tool == 'Task'; where; in; catch error; c; p input.file_path; up; p tool_call_id; n"
        code, told = session("claude-code", self.SOURCE, commands, "076f045d")

        assert code == 1
        task, _, entered, _, failed, path, back, call_id, following = told
        assert task["row"]["name"] == "Task"
        assert entered["run_id"] == f"{task['run_id']}-agent-a485154"
        assert entered["row"]["name"] == "user_message"
        assert (failed["run_id"], failed["row"]["name"]) == (entered["run_id"], "Read")
        assert path["value"].endswith("src/agents/core/registry.ts")
        assert (back["run_id"], back["row"]) == (task["run_id"], task["row"])
        assert call_id["value"] == result["tool_use_id"]
        assert following["row"]["type"] == "llm_call"


class TestSweAgent:
    """GPT-4 on an issue of pydicom: it reproduces the bug, breaks the file three times, and mends it."""

    SOURCE = TRAJECTORIES / "pydicom__pydicom-1458.traj"

    def test_the_first_command_that_failed_and_what_the_model_saw_before_it(self, session: Any) -> None:
        # The format tells of no failure. Step 2 prints the first traceback; the model had seen the system's
        # words, the issue, and two commands with their outputs (messages 0 and 2 to 6 of the history).
        steps, history = loaded(self.SOURCE)["trajectory"], loaded(self.SOURCE)["history"]

        code, (moved, command, output, context) = session(
            "trajectory", self.SOURCE, 'until output ~ "^Traceback"; p input.command; p output; ctx'
        )

        assert (code, moved["end"], moved["row"]["name"]) == (0, "arrived", "bash")
        assert command["value"] == steps[2]["action"] == "python reproduce_bug.py\n"
        assert output["value"].strip() == steps[2]["observation"].strip()
        assert roles(context) == ["system", "user", "assistant", "tool", "assistant", "tool"]
        contents = [message["content"] for message in context["messages"]]
        assert contents[:2] == [history[0]["content"], history[2]["content"]]
        assert contents[3].strip() == steps[0]["observation"].strip()
        assert contents[5].strip() == steps[1]["observation"].strip()

    def test_the_edits_that_broke_the_file(self, session: Any) -> None:
        broken = [
            step["action"].strip()
            for step in loaded(self.SOURCE)["trajectory"]
            if step["observation"].startswith("Your proposed edit has introduced new syntax error(s)")
        ]

        _, (table,) = session(
            "trajectory",
            self.SOURCE,
            'log input.command if tool == "edit" and output contains "introduced new syntax error"',
        )

        assert [command.strip() for command in column(table)] == broken
        assert len(broken) == 3

    def test_the_first_command_after_which_the_script_ran(self, session: Any) -> None:
        # Steps 2 and 9 run it; between them stand the edits.
        code, (_, first, second, output, back) = session(
            "trajectory",
            self.SOURCE,
            'break at tool:bash if input.command contains "reproduce_bug.py"; c; c; p output; rc',
        )

        assert code == 1
        assert second["row"]["step"] - first["row"]["step"] == 2 * (9 - 2)
        assert output["value"].strip() == "Script completed successfully, no errors. Result: True"
        assert back["row"] == first["row"]


class TestMiniSweAgent:
    def test_the_first_failing_command_and_what_the_model_saw_before_it(self, session: Any) -> None:
        # Message 9 alone has returncode 1; message 8 asked for it.
        source = TRAJECTORIES / "mini-excerpt.traj.json"
        messages = loaded(source)["messages"]
        failing = messages[8]["tool_calls"][0]

        commands = (
            "catch error; c; p error; p input.command; p tool_call_id; ctx; -n; p tokens; p cost; p model"
        )
        code, told = session("trajectory", source, commands)

        assert code == 1
        _, stopped, error, command, call_id, context, _, tokens, cost, model = told
        assert (stopped["row"]["name"], error["value"]) == ("bash", "exit code 1")
        assert command["value"] == json.loads(failing["function"]["arguments"])["command"]
        assert call_id["value"] == failing["id"]
        assert roles(context) == ["system", "user", *["assistant", "tool"] * 3]
        assert [context["messages"][place]["content"] for place in (3, 5, 7)] == [
            messages[place]["extra"]["raw_output"] for place in (3, 5, 7)
        ]
        assert tokens["value"] == messages[8]["extra"]["response"]["usage"]["total_tokens"] == 13_614
        assert cost["value"] == pytest.approx(messages[8]["extra"]["cost"])
        assert model["value"] == messages[8]["extra"]["response"]["model"]

    def test_exit_codes_of_a_bare_list_are_read_in_its_words(self, session: Any) -> None:
        # <returncode>1</returncode> begins messages 3 (no such file) and 17 (division by zero).
        source = TRAJECTORIES / "github_issue.traj.json"
        failed = [
            place
            for place, message in enumerate(loaded(source))
            if message["content"].startswith("<returncode>1")
        ]
        assert failed == [3, 17]

        code, told = session("trajectory", source, "catch error; c; p output; c; p output; c")

        assert code == 1
        assert [told[2]["value"], told[4]["value"]] == [loaded(source)[place]["content"] for place in failed]
        # Each message is a step, from 1.
        assert [told[1]["row"]["step"], told[3]["row"]["step"]] == [4, 18]
        assert told[5]["end"] == "end"


class TestTau2:
    """An agent books a flight with the wrong sum, is told so, and books again."""

    SOURCE = TRAJECTORIES / "tau2-booking-excerpt.json"

    @pytest.fixture
    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = loaded(self.SOURCE)["simulations"][0]["messages"]
        return found

    def test_the_first_failing_tool_and_what_the_model_saw_before_it(
        self, session: Any, messages: list[dict[str, Any]]
    ) -> None:
        # Message 21 alone has error true; message 20 asked for it, and saw messages 0 to 19.
        code, told = session(
            "trajectory", self.SOURCE, "catch error; c; p error; p input.payment_methods; ctx; ctx -d"
        )

        assert code == 1
        _, stopped, error, paid, context, difference = told
        assert stopped["row"]["name"] == "book_reservation"
        assert error["value"] == messages[21]["content"]
        assert paid["value"] == messages[20]["tool_calls"][0]["arguments"]["payment_methods"]
        # The simulated user is a model as well; the agent hears its words as those of a user.
        assert roles(context) == [message["role"] for message in messages[:20]]
        said = [each["content"] for each in context["messages"] if each["role"] in ("user", "tool")]
        assert said == [each["content"] for each in messages[:20] if each["role"] in ("user", "tool")]
        # Since the agent's last answer (message 18) there is that answer and what the user said to it.
        assert roles(difference) == ["assistant", "user"]
        assert difference["dropped"] == 0

    def test_what_the_simulated_user_saw(self, session: Any, messages: list[dict[str, Any]]) -> None:
        # Before message 19: the words of both, with the roles turned round, and no tool of the agent's.
        words = [message for message in messages[:19] if message["role"] != "tool" and message["content"]]

        _, (_, _, context) = session(
            "trajectory", self.SOURCE, 'goto end; runtil agent == "user" and input_tokens == 1219; ctx'
        )

        turned = {"user": "assistant", "assistant": "user"}
        assert roles(context) == [turned[message["role"]] for message in words]

    def test_tokens_and_cost_are_those_the_harness_counted(
        self, session: Any, messages: list[dict[str, Any]]
    ) -> None:
        simulation = loaded(self.SOURCE)["simulations"][0]

        _, (_, state, table) = session(
            "trajectory", self.SOURCE, "goto end; state; log data.value if event == 'score'"
        )

        usage = [message["usage"] for message in messages if message.get("usage")]
        assert state["totals"]["input_tokens"] == sum(each["prompt_tokens"] for each in usage)
        assert state["totals"]["output_tokens"] == sum(each["completion_tokens"] for each in usage)
        assert state["totals"]["cost_usd"] == pytest.approx(
            simulation["agent_cost"] + simulation["user_cost"]
        )
        assert column(table) == [simulation["reward_info"]["reward"]] == [0.0]


class TestInspect:
    def test_the_call_at_which_the_agent_began_to_turn_in_circles(self, session: Any) -> None:
        # The archive's sample calls bash with {"cmd": "ls"} five times; the third call's model event was sent
        # messages 0 to 4 of the pool (input_refs [[0, 5]]).
        code, (_, stopped, given, context) = session(
            "trajectory", TRAJECTORIES / "log_message_deduplication.eval", "catch loop; c; p input; ctx"
        )

        assert code == 1
        assert stopped["hits"][0]["detail"] == "the same call 3 times"
        assert given["value"] == {"cmd": "ls"}
        assert roles(context) == ["user", "assistant", "tool", "assistant", "tool"]
        assert context["messages"][0]["content"] == "Guess the number"
        assert context["messages"][2]["content"].split()[:3] == ["bin", "boot", "dev"]

    def test_the_first_failing_call_and_the_one_that_went_through(self, session: Any) -> None:
        code, told = session(
            "trajectory",
            TRAJECTORIES / "retry-2-then-success.eval",
            "catch error; c; p error; ctx; c; until model and not error; p output; p status",
        )

        assert code == 1
        assert told[1]["row"]["type"] == "llm_call"
        assert told[2]["value"] == "_Transient('transient')"
        assert told[3]["messages"] == [{"role": "user", "content": "hello"}]
        assert told[5]["row"]["step"] - told[1]["row"]["step"] == 2
        assert told[6]["value"] == [{"type": "text", "text": "ok"}]

    def test_every_failing_tool_in_its_kind(self, session: Any) -> None:
        source = TRAJECTORIES / "log_tool_call_error.json"
        failed = [message["error"] for message in loaded(source)["samples"][0]["messages"]]

        code, (_, last, kind, _, first, table) = session(
            "trajectory",
            source,
            "catch error; goto end; p error_type; rc; p error_type; log error_type, error if error",
        )

        assert code == 1
        assert last["row"]["name"] == "bash"
        assert kind["value"] == failed[-1]["type"] == "output_limit"
        assert first["value"] == failed[-2]["type"] == "unknown"
        assert column(table) == [each["type"] for each in failed]
        assert column(table, 1) == [each["message"] for each in failed]

    def test_a_grader_saw_what_it_was_sent_and_not_the_dialogue(self, session: Any) -> None:
        (source,) = TRAJECTORIES.glob("2024-11-05*.json")
        sample = loaded(source)["samples"][0]
        calls = [event for event in sample["events"] if event["event"] == "model"]

        def texts(event: dict[str, Any]) -> list[str]:
            found = []
            for message in event["input"]:
                key = message["content"].removeprefix("attachment://")
                found.append(sample["attachments"].get(key, message["content"]))
            return found

        _, (_, answered, tokens, _, graded, score) = session(
            "trajectory",
            source,
            "until model; ctx; p tokens; n; ctx; log data.value if event == 'score'",
        )

        assert [message["content"] for message in answered["messages"]] == texts(calls[0])
        assert [message["content"] for message in graded["messages"]] == texts(calls[1])
        assert "You are comparing a submitted answer" in graded["messages"][0]["content"]
        assert tokens["value"] == calls[0]["output"]["usage"]["total_tokens"] == 99
        assert column(score) == ["C"]


class TestAtif:
    SOURCE = TRAJECTORIES / "atif-hand-made.json"

    def test_what_the_model_saw_before_its_last_answer(self, session: Any) -> None:
        # The results stand in the file the other way round (c2 before c1).
        commands = (
            "goto end; ctx; p tokens; p output[0].text; runtil tool == 'bash'; p input.command; p output"
        )
        code, told = session("trajectory", self.SOURCE, commands)

        assert code == 0
        _, context, tokens, answer, _, command, output = told
        assert roles(context) == ["user", "assistant", "tool", "tool", "system"]
        contents = [message["content"] for message in context["messages"]]
        assert (contents[0], contents[2:]) == (
            "Make the tests pass.",
            ["test_a.py", "/app", "context compacted"],
        )
        assert (tokens["value"], answer["value"]) == (153, "Done.")
        assert (command["value"], output["value"]) == ("pwd", "/app")

    def test_cost_is_the_format_s_own(self, session: Any) -> None:
        # Step 2 says 0.01, step 4 nothing.
        _, (table, _, state) = session("trajectory", self.SOURCE, "log cost if model; goto end; state")

        assert column(table) == [0.01, None]
        assert (state["totals"]["cost_usd"], state["totals"]["is_cost_whole"]) == (0.01, False)


def dialogues() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = loaded(TAU)
    return found


@pytest.mark.parametrize("dialogue", dialogues(), ids=lambda each: f"{each['task_id']}-{each['trial']}")
class TestTauBench:
    def replayed(self, cli: Cli, dialogue: dict[str, Any], line: str) -> tuple[int, str]:
        cli("import", "trajectory", TAU, "--into", "logs")
        done = cli("replay", "logs", f"{dialogue['task_id']}-{dialogue['trial']}", "-x", line, columns=200)
        assert done.err == ""
        return done.code, done.out

    def test_the_first_failing_tool(self, cli: Cli, dialogue: dict[str, Any]) -> None:
        # The first message of a tool that begins with "Error:", as the benchmark writes it.
        failed = [
            message["content"]
            for message in dialogue["traj"]
            if message["role"] == "tool" and message["content"].startswith("Error:")
        ]

        code, out = self.replayed(cli, dialogue, "catch error; c; pp error")

        assert code == (1 if failed else 0)
        assert all(first in out for first in failed[:1])

    def test_what_the_model_saw_first(self, cli: Cli, dialogue: dict[str, Any]) -> None:
        code, out = self.replayed(cli, dialogue, "until type == 'llm_call'; ctx")

        assert code == 0
        assert "2 messages" in out
        assert "1 system" in out
        assert "2 user" in out

    def test_every_tool_call_in_order(self, cli: Cli, dialogue: dict[str, Any]) -> None:
        asked = [
            call["function"]["name"]
            for message in dialogue["traj"]
            for call in message.get("tool_calls") or []
        ]

        _, out = self.replayed(cli, dialogue, "log step if type == 'tool_call'")

        assert [line.split()[1] for line in out.splitlines()[1:]] == asked
