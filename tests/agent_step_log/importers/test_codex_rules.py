from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent_step_log.importers.support import (
    CODEX,
    corpus,
    count,
    counts,
    event,
    events,
    import_cx,
    item,
    meta,
    of_type,
    rollout,
    said,
    total,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

CODEMIE = CODEX / "codemie"
V77 = CODEMIE / "rollout-2026-01-02T18-39-45-019b7f94-51b4-7593-922e-ba12b5b73b52.jsonl"
V125 = CODEMIE / "rollout-2026-05-11T11-26-55-019e1625-789d-76c0-80ab-3724b5ddb799.jsonl"
FAILING = CODEMIE / "rollout-2026-01-02T19-00-00-019b7f95-0000-7000-0000-000000000001.jsonl"


def payloads(path: Path, kind: str) -> list[dict[str, Any]]:
    """The payloads of one type, by a reading independent of the importer's."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    return [line["payload"] for line in lines if line["payload"].get("type") == kind]


def final_total(path: Path) -> dict[str, int]:
    infos = [payload["info"] for payload in payloads(path, "token_count") if payload["info"]]
    whole: dict[str, int] = infos[-1]["total_token_usage"]
    return whole


def spent(response: str, fresh: int, out: int, thread: str = "t1", turn: str = "n1") -> dict[str, Any]:
    payload = {"response_id": response, "thread_id": thread, "turn_id": turn, "usage": counts(fresh, out)}
    return rollout("token_usage_record", payload, 5)


class TestX1OwnUsageRecordsAreBelievedOverCounters:
    # Made: no shipped rollout is of a version that writes them.
    def test_response_is_counted_once_and_the_counter_not_at_all(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "r.jsonl",
            meta(),
            event("task_started", turn_id="n1"),
            said("one"),
            spent("resp1", 100, 10),
            count(counts(100, 10), counts(100, 10)),
            spent("resp1", 100, 10),
            event("task_complete", turn_id="n1"),
        )

        (call,) = of_type(import_cx(source, tmp_path / "out").only(), "llm_call")

        assert (call["input_tokens"], call["output_tokens"], call["request_id"]) == (100, 10, "resp1")

    def test_record_of_another_thread_is_not_this_ones(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "r.jsonl", meta(), said("one"), spent("x", 900, 90, thread="other"), spent("y", 5, 1)
        )

        assert total(import_cx(source, tmp_path / "out").only(), "input_tokens") == 5

    def test_turn_without_one_is_counted_by_its_counter(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "r.jsonl",
            meta(),
            event("task_started", turn_id="n0"),
            said("old"),
            count(counts(50, 5), counts(50, 5)),
            event("task_started", turn_id="n1"),
            said("new"),
            spent("resp1", 100, 10),
            count(counts(150, 15), counts(100, 10)),
            event("task_complete", turn_id="n1"),
        )

        calls = of_type(import_cx(source, tmp_path / "out").only(), "llm_call")

        assert [call["input_tokens"] for call in calls] == [50, 100]


class TestX2UnchangedTotalIsARepetition:
    def test_real_rollout_counts_each_answer_once(self, tmp_path: Path) -> None:
        lasts = [p["info"]["last_token_usage"] for p in payloads(V77, "token_count") if p["info"]]

        records = import_cx(V77, tmp_path).only()

        assert sum(last["input_tokens"] for last in lasts) == 37286
        assert [call["input_tokens"] for call in of_type(records, "llm_call")] == [7266, 7546, 7662]

    def test_answer_said_to_have_used_more_than_the_total_grew_is_a_lower_bound(self, tmp_path: Path) -> None:
        # Hand-made upstream: its second total is 76 above the first, its second answer used 1100.
        calls = of_type(import_cx(CODEMIE / "turn-2.jsonl", tmp_path).only(), "llm_call")

        assert [call["input_tokens"] for call in calls] == [1024, 76]
        assert calls[1]["bounds"]["input_tokens"] == "lower"
        assert "input_tokens" not in calls[0]["bounds"]

    def test_count_of_nothing_is_no_call(self, tmp_path: Path) -> None:
        source = write(tmp_path / "r.jsonl", meta(), event("token_count", info=None), count(None))

        assert of_type(import_cx(source, tmp_path / "out").only(), "llm_call") == []


class TestX3HistoryOfTheParentIsNotTheForks:
    # Made: no shipped rollout is a fork.
    def turn(self, name: str, at: int, whole: dict[str, int], last: dict[str, int]) -> list[dict[str, Any]]:
        return [
            event("task_started", at, turn_id=name),
            event("user_message", at, message=f"prompt {name}"),
            said(f"answer {name}", at + 1),
            count(whole, last, at + 2),
            event("task_complete", at + 3, turn_id=name),
        ]

    def parent(self) -> list[dict[str, Any]]:
        first = self.turn("n1", 10, counts(100, 10), counts(100, 10))
        return [*first, *self.turn("n2", 20, counts(300, 30), counts(200, 20))]

    def test_turns_the_parent_has_are_left_out_and_its_totals_taken_off(self, tmp_path: Path) -> None:
        own = self.turn("n3", 40, counts(700, 70), counts(400, 40))
        write(tmp_path / "in" / "p.jsonl", meta("p"), *self.parent())
        write(tmp_path / "in" / "c.jsonl", meta("c", forked_from_id="p"), *self.parent(), *own)

        imported = import_cx(tmp_path / "in", tmp_path / "out")

        child = imported.runs["codex-c"]
        assert child[0]["forked_from"] == {"run_id": "codex-p"}
        assert [call["input_tokens"] for call in of_type(child, "llm_call")] == [400]
        assert events(child, "user_message") == [{"text": "prompt n3"}]
        assert imported.report.totals["input_tokens"] == 700

    def test_subagent_that_counts_from_nothing_is_counted_in_full(self, tmp_path: Path) -> None:
        spawn = {"subagent": {"thread_spawn": {"parent_thread_id": "p"}}}
        own = self.turn("n3", 40, counts(40, 4), counts(40, 4))
        write(tmp_path / "in" / "p.jsonl", meta("p"), *self.parent())
        write(tmp_path / "in" / "c.jsonl", meta("c", source=spawn), *self.parent(), *own)

        child = import_cx(tmp_path / "in", tmp_path / "out").runs["codex-c"]

        assert child[0]["parent_run_id"] == "codex-p"
        assert [call["input_tokens"] for call in of_type(child, "llm_call")] == [40]
        assert child[-1]["totals"]["input_tokens"] == 40
        assert "bounds" not in child[-1]["totals"]

    def test_history_without_turn_ids_is_told_by_its_counts(self, tmp_path: Path) -> None:
        def nameless(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
            kept = [record for record in records if record["payload"]["type"] not in ("task_started",)]
            return [r for r in kept if r["payload"]["type"] != "task_complete"]

        own = self.turn("n3", 40, counts(700, 70), counts(400, 40))
        late = item("function_call_output", 31, call_id="c9", output="after the last count")
        own.insert(0, late)
        write(tmp_path / "in" / "p.jsonl", meta("p"), *nameless(self.parent()), late)
        write(tmp_path / "in" / "c.jsonl", meta("c", forked_from_id="p"), *nameless([*self.parent(), *own]))

        child = import_cx(tmp_path / "in", tmp_path / "out").runs["codex-c"]

        assert [call["input_tokens"] for call in of_type(child, "llm_call")] == [400]
        assert events(child, "user_message") == [{"text": "prompt n3"}]
        assert events(child, "tool_result") == []

    def test_fork_whose_parent_is_missing_is_kept_as_an_upper_bound(self, tmp_path: Path) -> None:
        source = write(tmp_path / "c.jsonl", meta("c", forked_from_id="gone"), *self.parent())

        (session,) = import_cx(source, tmp_path / "out").report.sessions

        assert session.totals["input_tokens"] == 300
        assert session.bounds == {"input_tokens": "upper", "output_tokens": "upper"}
        assert session.notes == [
            "its parent's rollout is not here: some of what it counts may be the parent's"
        ]

    def test_threads_that_name_each_other_as_parent_are_imported(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "a.jsonl", meta("a", forked_from_id="b"), *self.parent())
        write(tmp_path / "in" / "b.jsonl", meta("b", forked_from_id="a"), *self.parent())
        write(tmp_path / "in" / "c.jsonl", meta("c", forked_from_id="c"), *self.parent())

        assert len(import_cx(tmp_path / "in", tmp_path / "out").report.sessions) == 3


class TestX4PartsAreNotCountedBesideTheWhole:
    def test_real_cached_and_reasoning_tokens_are_inside(self, tmp_path: Path) -> None:
        (session,) = import_cx(V125, tmp_path).report.sessions

        whole = final_total(V125)
        assert session.totals["input_tokens"] + session.totals["output_tokens"] == whole["total_tokens"]
        assert session.totals["cache_read_tokens"] == whole["cached_input_tokens"]
        assert session.totals["reasoning_tokens"] == whole["reasoning_output_tokens"]


class TestX5TotalThatFallsIsNoTotal:
    def test_sums_are_left_out_and_the_report_says_so(self, tmp_path: Path) -> None:
        # Made: no shipped rollout has one.
        source = write(
            tmp_path / "r.jsonl",
            meta(),
            said("one"),
            count(counts(100, 10), counts(100, 10)),
            said("two"),
            count(counts(40, 4), counts(40, 4)),
        )

        imported = import_cx(source, tmp_path / "out")

        (session,) = imported.report.sessions
        assert session.totals == {"llm_call_count": 2, "tool_call_count": 0, "error_count": 0}
        assert session.notes == ["the running total of tokens falls: the sums of this run are left out"]
        fallen = of_type(imported.only(), "llm_call")[1]
        assert (fallen["input_tokens"], fallen["bounds"]["input_tokens"]) == (40, "upper")


class TestX6ModelIsThatOfTheLatestTurn:
    def test_change_of_model_shows_from_the_next_answer_on(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "r.jsonl",
            meta(),
            rollout("turn_context", {"model": "small"}),
            said("one"),
            count(counts(1, 1)),
            rollout("turn_context", {"model": "large"}),
            said("two"),
            count(counts(2, 2)),
        )

        calls = of_type(import_cx(source, tmp_path / "out").only(), "llm_call")

        assert [call["model"] for call in calls] == ["small", "large"]

    def test_real_rollout_names_its_model_on_every_call(self, tmp_path: Path) -> None:
        calls = of_type(import_cx(V125, tmp_path).only(), "llm_call")

        assert {call["model"] for call in calls} == {"gpt-5.5"}


class TestX7WhatIsSaidTwiceIsShownOnce:
    def test_real_prompts_and_answers_appear_once(self, tmp_path: Path) -> None:
        records = import_cx(V125, tmp_path).only()

        prompts = [payload["message"] for payload in payloads(V125, "user_message")]
        answers = [payload["message"] for payload in payloads(V125, "agent_message")]
        texts = [
            block["text"]
            for call in of_type(records, "llm_call")
            for block in call.get("output") or []
            if block["type"] == "text"
        ]
        assert [data["text"] for data in events(records, "user_message")] == prompts
        assert texts == answers

    def test_event_without_an_item_is_shown(self, tmp_path: Path) -> None:
        source = write(tmp_path / "r.jsonl", meta(), event("agent_message", message="only here"))

        (call,) = of_type(import_cx(source, tmp_path / "out").only(), "llm_call")

        assert call["output"] == [{"type": "text", "text": "only here"}]
        assert call["input_tokens"] is None

    def test_text_the_tool_put_in_is_context_not_a_prompt(self, tmp_path: Path) -> None:
        records = import_cx(V77, tmp_path).only()

        assert len(events(records, "user_message")) == 1
        assert [data["role"] for data in events(records, "context_message")] == ["user", "user"]


class TestX8AnyOriginatorIsRead:
    @pytest.mark.parametrize("originator", ["codex_vscode", "my-own-tool", "", None, 7])
    def test_originator_does_not_decide(self, originator: Any, tmp_path: Path) -> None:
        source = write(tmp_path / "r.jsonl", meta(originator=originator), said("hi"), count(counts(1, 1)))

        assert total(import_cx(source, tmp_path / "out").only(), "input_tokens") == 1


class TestX9TokensBelongToALoopStep:
    def test_real_tool_calls_have_none_and_the_steps_add_up(self, tmp_path: Path) -> None:
        records = import_cx(V125, tmp_path).only()

        assert all("input_tokens" not in call for call in of_type(records, "tool_call"))
        assert total(records, "input_tokens") == final_total(V125)["input_tokens"]
        assert len(of_type(records, "llm_call")) == 66

    def test_answers_that_share_a_count_are_one_call(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "r.jsonl",
            meta(),
            item("function_call", 1, name="shell", arguments="{}", call_id="c1"),
            item("function_call_output", 2, call_id="c1", output="ok"),
            said("and then", 3),
            count(counts(50, 5), counts(50, 5), 4),
        )

        (call,) = of_type(import_cx(source, tmp_path / "out").only(), "llm_call")

        assert call["tool_calls"] == [{"id": "c1", "name": "shell"}]
        assert call["output"] == [{"type": "text", "text": "and then"}]

    def test_answer_no_count_covers_has_no_tokens_and_the_sum_is_a_lower_bound(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "r.jsonl", meta(), said("one"), count(counts(50, 5), counts(50, 5)), said("two")
        )

        imported = import_cx(source, tmp_path / "out")

        assert of_type(imported.only(), "llm_call")[1]["output_tokens"] is None
        assert imported.report.sessions[0].bounds == {"input_tokens": "lower", "output_tokens": "lower"}


@pytest.mark.parametrize(
    "source",
    [p for p in corpus("codex") if p.name.startswith("rollout") or p.name == "turn-spawn-skill.jsonl"],
    ids=lambda path: path.name,
)
class TestProvidersOwnTotal:
    def test_sums_are_the_last_total_the_rollout_names(self, source: Path, tmp_path: Path) -> None:
        whole = final_total(source)

        (session,) = import_cx(source, tmp_path).report.sessions

        assert session.totals["input_tokens"] == whole["input_tokens"]
        assert session.totals["output_tokens"] == whole["output_tokens"]
        assert session.totals["cache_read_tokens"] == whole["cached_input_tokens"]


class TestTools:
    def test_real_command_has_the_exit_code_and_duration_of_its_end(self, tmp_path: Path) -> None:
        ends = {payload["call_id"]: payload for payload in payloads(V125, "exec_command_end")}

        calls = {
            call.get("tool_call_id"): call for call in of_type(import_cx(V125, tmp_path).only(), "tool_call")
        }

        assert len(ends) == 43
        for call_id, end in ends.items():
            took = end["duration"]["secs"] * 1000 + end["duration"]["nanos"] / 1e6
            assert calls[call_id]["duration_ms"] == round(took, 3)
            assert (calls[call_id]["error"] is not None) == (end["exit_code"] != 0)
            assert "bounds" not in calls[call_id]
        # Its output record says only that it is still running.
        assert calls["call_Y2p6KmqwoTtpi6atpDPuxC5M"]["output"].startswith("---\nname: using-superpowers")

    def test_real_exit_code_is_not_an_error_of_waiting_as_well(self, tmp_path: Path) -> None:
        calls = of_type(import_cx(V125, tmp_path).only(), "tool_call")

        waiting = [call["error"] for call in calls if call["tool"] == "write_stdin" and call["error"]]
        assert len(waiting) == 1
        assert waiting[0].startswith("write_stdin failed: stdin is closed")

    def test_exit_code_in_a_json_string_is_an_error(self, tmp_path: Path) -> None:
        calls = of_type(import_cx(FAILING, tmp_path).only(), "tool_call")

        message = "exit code 1: cat: nonexistent.txt: No such file or directory"
        assert [call["error"] for call in calls] == [None, message, None]
        assert [call["duration_ms"] for call in calls] == [100.0, 50.0, 10.0]

    def test_command_still_running_when_last_heard_of_took_at_least_so_long(self, tmp_path: Path) -> None:
        output = "Chunk ID: a\nWall time: 1.5 seconds\nProcess running with session ID 7\nOutput:\n"
        source = write(
            tmp_path / "r.jsonl",
            meta(),
            item("function_call", name="exec_command", arguments='{"cmd":"sleep 9"}', call_id="c1"),
            item("function_call_output", 2, call_id="c1", output=output),
        )

        (call,) = of_type(import_cx(source, tmp_path / "out").only(), "tool_call")

        assert (call["duration_ms"], call["bounds"]) == (1500.0, {"duration_ms": "lower"})
        assert call["input"] == {"cmd": "sleep 9"}

    def test_real_search_at_the_provider_is_a_tool_call_of_unknown_duration(self, tmp_path: Path) -> None:
        calls = of_type(import_cx(V125, tmp_path).only(), "tool_call")

        searches = [call for call in calls if call["tool"] == "web_search"]
        assert len(searches) == len(payloads(V125, "web_search_call")) == 3
        assert {call["duration_ms"] for call in searches} == {None}

    def test_every_real_call_has_its_record(self, tmp_path: Path) -> None:
        records = import_cx(V125, tmp_path).only()

        asked = payloads(V125, "function_call") + payloads(V125, "custom_tool_call")
        ids = {call.get("tool_call_id") for call in of_type(records, "tool_call")} - {None}
        assert ids == {payload["call_id"] for payload in asked}

    def test_call_without_output_is_in_flight_and_the_run_open(self, tmp_path: Path) -> None:
        (session,) = import_cx(CODEX / "agentcmd" / "function-shell.jsonl", tmp_path).report.sessions

        records = [json.loads(line) for line in session.output.read_bytes().splitlines()]
        assert [record["type"] for record in records] == ["run_start", "llm_call", "step_start"]
        assert records[2]["input"]["command"] == ["zsh", "-lc", "ls"]

    def test_real_subagent_not_here_makes_the_totals_a_lower_bound(self, tmp_path: Path) -> None:
        (session,) = import_cx(CODEMIE / "turn-spawn-skill.jsonl", tmp_path).report.sessions

        note = "the rollout of 1 subagent is not here: what it used is missing from the totals"
        assert session.notes == [note]
        assert session.bounds["input_tokens"] == "lower"

    def test_subagent_names_the_step_that_spawned_it(self, tmp_path: Path) -> None:
        spawn = {"subagent": {"thread_spawn": {"parent_thread_id": "spawn-test-uuid"}}}
        folder = tmp_path / "in"
        folder.mkdir()
        (folder / "p.jsonl").write_bytes((CODEMIE / "turn-spawn-skill.jsonl").read_bytes())
        write(folder / "c.jsonl", meta("child-thread-uuid", source=spawn), said("hi"), count(counts(1, 1)))

        runs = import_cx(folder, tmp_path / "out").runs

        (call,) = [
            c for c in of_type(runs["codex-spawn-test-uuid"], "tool_call") if c["tool"] == "spawn_agent"
        ]
        head = runs["codex-child-thread-uuid"][0]
        assert (head["parent_run_id"], head["parent_step"]) == ("codex-spawn-test-uuid", call["step"])


class TestTurns:
    def test_real_turn_ends_carry_the_durations_codex_measured(self, tmp_path: Path) -> None:
        ends = events(import_cx(V125, tmp_path).only(), "turn_end")

        assert ends[0] == {"duration_ms": 15481, "ttft_ms": 4127}

    def test_aborted_turn_ends_the_run_cancelled(self, tmp_path: Path) -> None:
        records = import_cx(CODEX / "agentcmd" / "event-turn-aborted.jsonl", tmp_path).only()

        assert events(records, "interrupted") == [{"reason": "interrupted"}]
        assert records[-1]["status"] == "cancelled"

    def test_turn_that_is_not_over_leaves_the_run_open(self, tmp_path: Path) -> None:
        source = write(tmp_path / "r.jsonl", meta(), event("task_started", turn_id="n1"), said("hi"))

        assert import_cx(source, tmp_path / "out").only()[-1]["type"] != "run_end"

    def test_grown_rollout_replaces_its_log(self, tmp_path: Path) -> None:
        source = tmp_path / "rollout.jsonl"
        source.write_bytes((CODEMIE / "turn-1.jsonl").read_bytes())
        import_cx(source, tmp_path / "out")
        source.write_bytes((CODEMIE / "turn-2.jsonl").read_bytes())

        imported = import_cx(source, tmp_path / "out")

        assert imported.report.sessions[0].status == "written"
        assert len(list((tmp_path / "out").iterdir())) == 1
        expected = json.loads((CODEMIE / "expected-conversation.jsonl").read_text().splitlines()[1])
        last = of_type(imported.only(), "llm_call")[-1]
        assert last["output"][0]["text"] == expected["payload"]["history"][1]["message"]


class TestExecStream:
    def test_real_stream_is_one_call_for_the_turn_and_its_tools(self, tmp_path: Path) -> None:
        records = import_cx(CODEX / "agentcmd" / "stream-output-2.jsonl", tmp_path).only()

        (call,) = of_type(records, "llm_call")
        (tool,) = of_type(records, "tool_call")
        assert (call["input_tokens"], call["cache_read_tokens"], call["output_tokens"]) == (6040, 4992, 129)
        assert (call["duration_ms"], call["attrs"]["covers"]) == (None, "turn")
        assert (tool["tool"], tool["input"], tool["error"]) == (
            "command_execution",
            {"command": "bash -lc ls"},
            None,
        )

    def test_time_is_the_one_in_the_threads_id(self, tmp_path: Path) -> None:
        records = import_cx(CODEX / "agentcmd" / "stream-output-1.jsonl", tmp_path).only()

        assert {record["ts"] for record in records} == {0x019A2D7A41C4 / 1000}

    def test_turn_that_never_ended_leaves_the_run_open(self, tmp_path: Path) -> None:
        records = import_cx(CODEX / "agentcmd" / "stream-output-multi-1.jsonl", tmp_path).only()

        assert [record["type"] for record in records] == ["run_start"]

    def test_failed_turn_ends_the_run_in_an_error(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "s.jsonl",
            {"type": "thread.started", "thread_id": "t1"},
            {"type": "turn.started"},
            {"type": "turn.failed", "error": {"message": "stream disconnected"}},
        )

        end = import_cx(source, tmp_path / "out").only()[-1]

        assert (end["status"], end["error"]) == ("error", "stream disconnected")

    def test_command_that_failed_and_one_still_running_are_told_apart(self, tmp_path: Path) -> None:
        failed = {"id": "i1", "type": "command_execution", "command": "false", "exit_code": 1}
        running = {"id": "i2", "type": "command_execution", "command": "sleep 9", "status": "in_progress"}
        source = write(
            tmp_path / "s.jsonl",
            {"type": "turn.started"},
            {"type": "item.completed", "item": failed},
            {"type": "item.started", "item": running},
        )

        records = import_cx(source, tmp_path / "out").only()

        assert [record["type"] for record in records] == ["run_start", "tool_call", "step_start"]
        assert records[1]["error"] == "exit code 1"
