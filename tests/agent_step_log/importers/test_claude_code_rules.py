from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from tests.agent_step_log.importers.support import (
    CLAUDE,
    assistant,
    corpus,
    events,
    import_claude,
    is_transcript,
    of_type,
    result,
    text,
    tool_use,
    total,
    usage,
    user,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

ENTIRE = CLAUDE / "entireio-cli"
CODEMIE = CLAUDE / "codemie"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def messages_in(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The lines of each API message, by a reading independent of the importer's."""
    found = defaultdict(list)
    for record in lines_of(path):
        if record.get("type") == "assistant":
            found[record["message"]["id"]].append(record)
    return found


class TestC1LinesOfOneMessageAreOneCall:
    def test_real_session_has_as_many_calls_as_messages_not_lines(self, tmp_path: Path) -> None:
        source = ENTIRE / "76-62d755ef9f-2-full.jsonl"
        messages = messages_in(source)

        records = import_claude(source, tmp_path).only()

        assert len(of_type(records, "llm_call")) == len(messages) == 49
        assert sum(len(lines) for lines in messages.values()) == 127

    def test_line_without_request_id_joins_the_call_of_its_message(self, tmp_path: Path) -> None:
        # Made: no shipped file misses the id on some lines of a message only.
        source = write(
            tmp_path / "s.jsonl",
            assistant("a", text("one"), request=None),
            assistant("a", text("two"), request="r1"),
            assistant("a", text("three"), request=None),
        )

        (call,) = of_type(import_claude(source, tmp_path / "out").only(), "llm_call")

        assert call["request_id"] == "r1"
        assert [block["text"] for block in call["output"]] == ["one", "two", "three"]

    def test_same_message_id_of_two_requests_is_two_calls(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "s.jsonl",
            assistant("a", text("one"), request="r1"),
            assistant("a", text("two"), request="r2"),
        )

        assert len(of_type(import_claude(source, tmp_path / "out").only(), "llm_call")) == 2

    def test_lines_without_any_id_are_calls_of_their_own(self, tmp_path: Path) -> None:
        source = CLAUDE / "claude-code-transcripts" / "sample_session.jsonl"

        assert len(of_type(import_claude(source, tmp_path).only(), "llm_call")) == 3


class TestC2UsageIsTheWholeLineWithMostOutput:
    def test_real_message_has_the_final_count_not_the_first(self, tmp_path: Path) -> None:
        # The first three lines of this message say 4 output tokens, the last one 395.
        records = import_claude(CODEMIE / "4c2ddfdc-b619-4525-8d03-1950fb1b0257.jsonl", tmp_path)

        call = of_type(records.runs["claude-code-4c2ddfdc-b619-4525-8d03-1950fb1b0257"], "llm_call")[0]

        assert call["output_tokens"] == 395
        assert call["tool_calls"] is not None
        assert len(call["tool_calls"]) == 3

    def test_line_is_taken_whole_after_a_change_of_model(self, tmp_path: Path) -> None:
        # Made: a field by field maximum would take 900 input tokens from the wrong model.
        source = write(
            tmp_path / "s.jsonl",
            assistant("a", text("one"), used=usage(900, 3), model="first"),
            assistant("a", text("two"), used=usage(100, 50), model="second"),
        )

        (call,) = of_type(import_claude(source, tmp_path / "out").only(), "llm_call")

        assert (call["model"], call["input_tokens"], call["output_tokens"]) == ("second", 100, 50)

    def test_last_line_wins_a_tie(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "s.jsonl",
            assistant("a", text("one"), used=usage(1, 5), stop=None),
            assistant("a", text("two"), used=usage(2, 5), stop="end_turn"),
        )

        (call,) = of_type(import_claude(source, tmp_path / "out").only(), "llm_call")

        assert (call["input_tokens"], call["stop_reason"]) == (2, "end_turn")

    def test_content_is_the_union_of_distinct_blocks(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "s.jsonl",
            assistant("a", text("one"), tool_use("t1")),
            assistant("a", text("one"), tool_use("t1"), tool_use("t2")),
        )

        records = import_claude(source, tmp_path / "out").only()

        (call,) = of_type(records, "llm_call")
        assert call["output"] == [{"type": "text", "text": "one"}]
        assert [asked["id"] for asked in call["tool_calls"]] == ["t1", "t2"]
        assert len(of_type(records, "step_start")) == 2


class TestC3CountWithoutAStopReasonIsALowerBound:
    def test_real_session_of_such_a_version_is_marked(self, tmp_path: Path) -> None:
        imported = import_claude(ENTIRE / "9f-e3cfdef74d-0-full.jsonl", tmp_path)

        calls = of_type(imported.only(), "llm_call")
        assert {call["bounds"]["output_tokens"] for call in calls} == {"lower"}
        assert imported.report.bounds == {"output_tokens": "lower"}

    def test_count_with_a_stop_reason_is_exact(self, tmp_path: Path) -> None:
        source = CLAUDE / "claude-code-log" / "session_b.jsonl"

        (call,) = of_type(import_claude(source, tmp_path).only(), "llm_call")

        assert call["stop_reason"] == "end_turn"
        assert "output_tokens" not in call["bounds"]


class TestC4SidechainReplayIsNotCountedAgain:
    # Made: no shipped file has a replay.
    def test_message_of_the_main_conversation_stays_there(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "s.jsonl",
            assistant("a", text("answer"), request="r1", uuid="u1"),
            user("by the way", isSidechain=True, agentId="btw", uuid="u2"),
            assistant("a", text("answer"), request="r9", isSidechain=True, agentId="btw", uuid="u3"),
            assistant("b", text("aside"), request="r2", isSidechain=True, agentId="btw", uuid="u4"),
        )

        runs = import_claude(source, tmp_path / "out").runs

        assert total(runs["claude-code-s1"], "output_tokens") == 5
        (aside,) = of_type(runs["claude-code-s1-agent-btw"], "llm_call")
        assert aside["request_id"] == "r2"

    def test_replay_in_a_file_of_its_own_is_dropped_too(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "s1.jsonl", assistant("a", text("answer"), request="r1", uuid="u1"))
        write(
            tmp_path / "in" / "s1" / "subagents" / "agent-x.jsonl",
            assistant("a", text("answer"), request="r9", isSidechain=True, agentId="x", uuid="u3"),
            assistant("b", text("aside"), request="r2", isSidechain=True, agentId="x", uuid="u4"),
        )

        imported = import_claude(tmp_path / "in", tmp_path / "out")

        assert imported.report.totals["llm_call_count"] == 2


class TestC5CopiedHistoryHasOneOwner:
    def history(self) -> list[dict[str, Any]]:
        return [
            user("go", 1, uuid="u1"),
            assistant("a", tool_use("t1"), at=2, uuid="u2"),
            result("t1", 3, uuid="u3"),
            assistant("b", text("done"), request="r2", at=4, uuid="u4"),
        ]

    def fork(self, folder: Path) -> None:
        own = [user("more", 9, uuid="u8"), assistant("c", text("yes"), request="r3", at=10, uuid="u9")]
        later = [user("else", 50, uuid="v8"), assistant("d", text("no"), request="r4", at=51, uuid="v9")]
        copied = [{**record, "sessionId": "s0"} for record in [*self.history(), *later]]
        write(folder / "s0.jsonl", *copied)
        write(folder / "s1.jsonl", *self.history(), *own)

    def test_fork_counts_only_what_it_did_itself(self, tmp_path: Path) -> None:
        # Made. The copy sorts first by name; its own records begin later, so it is the copy.
        self.fork(tmp_path / "in")

        imported = import_claude(tmp_path / "in", tmp_path / "out")

        assert [len(of_type(imported.runs[f"claude-code-{s}"], "llm_call")) for s in ("s1", "s0")] == [3, 1]
        assert imported.runs["claude-code-s0"][0]["forked_from"] == {"run_id": "claude-code-s1"}
        assert imported.runs["claude-code-s0"][0]["metadata"]["copied_records"] == 4

    def test_history_appended_again_to_the_same_file_counts_once(self, tmp_path: Path) -> None:
        source = write(tmp_path / "s1.jsonl", *self.history(), *self.history())

        records = import_claude(source, tmp_path / "out").only()

        assert (len(of_type(records, "llm_call")), len(of_type(records, "tool_call"))) == (2, 1)

    def test_copy_with_new_uuids_is_known_by_message_and_request(self, tmp_path: Path) -> None:
        copy = [{**record, "uuid": record["uuid"] + "x", "sessionId": "s2"} for record in self.history()]
        write(tmp_path / "in" / "s1.jsonl", *self.history())
        write(tmp_path / "in" / "s2.jsonl", *copy, user("more", 9, uuid="u9", sessionId="s2"))

        assert import_claude(tmp_path / "in", tmp_path / "out").report.totals["llm_call_count"] == 2

    def test_file_that_is_all_copy_is_named_in_the_report(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "s1.jsonl", *self.history(), user("more", 9, uuid="u9"))
        write(tmp_path / "in" / "backup.jsonl", *self.history())

        report = import_claude(tmp_path / "in", tmp_path / "out").report

        assert [session.source.name for session in report.sessions] == ["s1.jsonl"]
        (skipped,) = report.skipped_files
        assert skipped.path.name == "backup.jsonl"
        assert skipped.reason == "every record in it is a copy of another transcript's"

    def test_real_files_that_share_a_record_count_it_once(self, tmp_path: Path) -> None:
        # edge_cases.jsonl repeats one assistant record of todowrite_examples.jsonl.
        imported = import_claude(CLAUDE / "claude-code-log", tmp_path)

        copies = {s.source.name: s.copied_records for s in imported.report.sessions if s.copied_records}
        assert copies == {"edge_cases.jsonl": 1}


class TestC6OrderIsThatOfTheFile:
    def test_real_session_goes_on_after_its_chain_is_cut_by_a_compaction(self, tmp_path: Path) -> None:
        source = ENTIRE / "76-62d755ef9f-2-full.jsonl"
        records = import_claude(source, tmp_path).only()

        at = [record["attrs"]["source"]["line"] for record in sorted(records[1:-1], key=lambda r: r["step"])]
        assert at == sorted(at)
        assert [data["is_micro"] for data in events(records, "compaction")] == [True, False]
        assert events(records, "compaction")[1]["pre_tokens"] == 155068
        assert len(events(records, "compaction_summary")) == 1

    def test_parent_that_does_not_exist_changes_nothing(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "s.jsonl",
            user("go", 1, uuid="u1", parentUuid="gone"),
            assistant("a", text("done"), at=2, uuid="u2", parentUuid="u2"),
        )

        records = import_claude(source, tmp_path / "out").only()

        assert [record["type"] for record in records] == ["run_start", "event", "llm_call", "run_end"]


class TestC7SubagentIsARunOfItsOwnCountedOnce:
    SESSION = "claude-code-e9fb405b-169f-40eb-9396-7e75076f045d"

    def stage(self, folder: Path) -> Path:
        """Lay a real session and its subagent out as the tool does."""
        session = folder / "e9fb405b-169f-40eb-9396-7e75076f045d.jsonl"
        agent = folder / session.stem / "subagents" / "agent-a485154.jsonl"
        agent.parent.mkdir(parents=True)
        session.write_bytes((CODEMIE / "turn-1.jsonl").read_bytes())
        agent.write_bytes((CODEMIE / "agent-a485154.jsonl").read_bytes())
        return session

    def test_real_subagent_names_the_step_that_started_it(self, tmp_path: Path) -> None:
        runs = import_claude(self.stage(tmp_path / "in"), tmp_path / "out").runs

        head = runs[f"{self.SESSION}-agent-a485154"][0]
        (task,) = [call for call in of_type(runs[self.SESSION], "tool_call") if call["tool"] == "Task"]
        assert (head["parent_run_id"], head["parent_step"]) == (self.SESSION, task["step"])
        assert head["metadata"]["agent_type"] == "solution-architect"
        assert task["attrs"]["child_run_id"] == head["run_id"]

    def test_real_subagent_made_the_tool_calls_its_parent_was_told_of(self, tmp_path: Path) -> None:
        runs = import_claude(self.stage(tmp_path / "in"), tmp_path / "out").runs

        assert len(of_type(runs[f"{self.SESSION}-agent-a485154"], "tool_call")) == 20

    def test_directory_and_named_session_give_the_same_bytes(self, tmp_path: Path) -> None:
        session = self.stage(tmp_path / "in")

        assert (
            import_claude(session, tmp_path / "a").runs == import_claude(tmp_path / "in", tmp_path / "b").runs
        )

    def test_older_layout_beside_the_session_is_found(self, tmp_path: Path) -> None:
        source = CODEMIE / "4c2ddfdc-b619-4525-8d03-1950fb1b0257.jsonl"

        runs = import_claude(source, tmp_path).runs

        name = "claude-code-4c2ddfdc-b619-4525-8d03-1950fb1b0257"
        assert set(runs) == {name, f"{name}-agent-36541525", f"{name}-agent-50243ee8"}

    def test_real_progress_records_stand_in_for_a_missing_file(self, tmp_path: Path) -> None:
        # The parent was told 27 and 37 tool uses; 16 messages of the subagents are in no other record.
        imported = import_claude(ENTIRE / "b2-fb19a19759-0-full.jsonl", tmp_path)

        agents = [s for s in imported.report.sessions if s.parent_run_id]
        assert [session.totals["tool_call_count"] for session in agents] == [27, 37]
        assert sum(session.totals["llm_call_count"] for session in agents) == 16
        assert all("rebuilt from progress records" in session.notes[0] for session in agents)

    def test_progress_records_are_not_counted_beside_the_file(self, tmp_path: Path) -> None:
        # Made: the progress record has another uuid, so only its subagent's id tells.
        answer = assistant("a", text("found"), isSidechain=True, agentId="x", uuid="u5")
        wrapped = {**assistant("a", text("found"), request=None), "uuid": "u6"}
        progress = {"type": "progress", "sessionId": "s1", "uuid": "u7", "parentToolUseID": "t1"}
        data = {"type": "agent_progress", "agentId": "x", "message": wrapped}
        write(
            tmp_path / "in" / "s1.jsonl",
            assistant("m", tool_use("t1", "Task", prompt="look"), uuid="u1"),
            {**progress, "data": data},
            result("t1", 5, uuid="u9"),
        )
        write(tmp_path / "in" / "s1" / "subagents" / "agent-x.jsonl", user("look", **_side()), answer)

        imported = import_claude(tmp_path / "in", tmp_path / "out")

        assert imported.report.totals["llm_call_count"] == 2
        assert imported.runs["claude-code-s1-agent-x"][0]["parent_step"] == 2

    def test_sidechain_between_the_lines_is_a_run_started_by_its_prompt(self, tmp_path: Path) -> None:
        # Made: versions before 2.0 named no agent.
        side: dict[str, Any] = {"isSidechain": True}
        source = write(
            tmp_path / "s1.jsonl",
            assistant("m", tool_use("t1", "Task", prompt="look"), uuid="u1"),
            user("look", 2, uuid="s1", **side),
            assistant("a", text("found"), request="r2", at=3, uuid="s2", parentUuid="s1", **side),
            result("t1", 5, uuid="u2"),
        )

        runs = import_claude(source, tmp_path / "out").runs

        assert runs["claude-code-s1-agent-side-s1"][0]["parent_step"] == 2
        assert len(of_type(runs["claude-code-s1"], "llm_call")) == 1

    def test_file_beside_the_transcript_names_the_caller(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "s1.jsonl", assistant("m", tool_use("t1", "Task"), uuid="u1"))
        folder = tmp_path / "in" / "s1" / "subagents"
        write(folder / "agent-x.jsonl", user("look", **_side()))
        write(folder / "agent-x.meta.json", {"toolUseId": "t1"})

        runs = import_claude(tmp_path / "in", tmp_path / "out").runs

        assert runs["claude-code-s1-agent-x"][0]["parent_step"] == 2

    def test_subagent_without_any_record_makes_the_totals_a_lower_bound(self, tmp_path: Path) -> None:
        source = CLAUDE / "agentcmd" / "full-session-askuserquestion.jsonl"

        (session,) = import_claude(source, tmp_path).report.sessions

        assert session.bounds == {"input_tokens": "lower", "output_tokens": "lower"}
        note = "the transcript of 1 subagent is not here: what it used is missing from the totals"
        assert session.notes == [note]


def _side() -> dict[str, Any]:
    return {"isSidechain": True, "agentId": "x", "uuid": "u4"}


class TestC8WhatIsNoCallIsNotCounted:
    def failure(self) -> dict[str, Any]:
        return assistant(
            "z", text("API Error: 500"), used=usage(0, 0), model="<synthetic>", at=9, isApiErrorMessage=True
        )

    def test_api_error_is_an_event_and_no_call(self, tmp_path: Path) -> None:
        # Made like the records of the larger collection; no shipped session has one.
        source = write(tmp_path / "s.jsonl", assistant("a", text("hi")), self.failure())

        records = import_claude(source, tmp_path / "out").only()

        assert len(of_type(records, "llm_call")) == 1
        assert events(records, "api_error") == [{"text": "API Error: 500", "error": None}]

    def test_session_that_ends_in_one_ended_in_an_error(self, tmp_path: Path) -> None:
        source = write(tmp_path / "s.jsonl", user("go"), self.failure())

        end = import_claude(source, tmp_path / "out").only()[-1]

        assert (end["status"], end["error"], end["error_type"]) == ("error", "API Error: 500", "api_error")

    def test_session_that_went_on_after_one_did_not(self, tmp_path: Path) -> None:
        source = write(tmp_path / "s.jsonl", self.failure(), assistant("a", text("hi"), at=20))

        assert import_claude(source, tmp_path / "out").only()[-1]["status"] == "ok"

    def test_web_searches_no_usage_counts_are_on_the_tool_call(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "s.jsonl",
            assistant("a", tool_use("t1", "WebSearch", query="geese")),
            result("t1", 2, toolUseResult={"searchCount": 2, "durationSeconds": 1.5}),
        )

        (call,) = of_type(import_claude(source, tmp_path / "out").only(), "tool_call")

        assert call["attrs"]["web_search_requests"] == 2
        assert call["duration_ms"] == 1500.0
        assert "bounds" not in call

    def test_report_says_that_side_calls_are_missing(self, tmp_path: Path) -> None:
        report = import_claude(CLAUDE / "claude-code-log" / "session_b.jsonl", tmp_path).report

        assert "does not record its side calls" in report.notes[0]


class TestC9CacheWritesAreSplitOnlyWhereTheSplitAddsUp:
    def test_real_split_is_kept(self, tmp_path: Path) -> None:
        records = import_claude(ENTIRE / "9f-e3cfdef74d-0-full.jsonl", tmp_path).only()

        splits = [call["attrs"]["cache_write_split"] for call in of_type(records, "llm_call")]
        assert splits[0] == {"5m": 0, "1h": 25980}
        assert all(
            split["1h"] == call["cache_write_tokens"]
            for split, call in zip(splits, of_type(records, "llm_call"), strict=True)
        )

    @pytest.mark.parametrize(
        "detail",
        [
            {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 30},
            {"ephemeral_1h_input_tokens": 100},
            {"ephemeral_5m_input_tokens": -5, "ephemeral_1h_input_tokens": 105},
            "100",
            None,
        ],
    )
    def test_split_that_does_not_add_up_is_the_shorter_and_flagged(self, tmp_path: Path, detail: Any) -> None:
        used = usage(1, 1, 0, 100, cache_creation=detail)
        source = write(tmp_path / "s.jsonl", assistant("a", text("hi"), used=used))

        (call,) = of_type(import_claude(source, tmp_path / "out").only(), "llm_call")

        assert call["attrs"]["cache_write_split"] == {"5m": 100, "assumed": True}


class TestC10UnfinishedLineIsALiveTail:
    def test_half_a_line_at_the_end_is_not_damage_and_the_run_is_open(self, tmp_path: Path) -> None:
        source = write(tmp_path / "s.jsonl", user("go"), assistant("a", text("hi")))
        with source.open("ab") as file:
            file.write(b'{"type":"assistant","message":{"id":"b","conte')

        imported = import_claude(source, tmp_path / "out")

        assert imported.report.sessions[0].skipped_lines == {}
        assert [record["type"] for record in imported.only()] == ["run_start", "event", "llm_call"]

    def test_complete_bad_line_is_counted_and_reading_goes_on(self, tmp_path: Path) -> None:
        source = write(tmp_path / "s.jsonl", user("go"))
        with source.open("ab") as file:
            file.write(b'{"type":"assis\n[1]\n' + json.dumps(assistant("a", text("hi"))).encode() + b"\n")

        imported = import_claude(source, tmp_path / "out")

        assert imported.report.sessions[0].skipped_lines == {"not JSON": 1, "not an object": 1}
        assert imported.only()[-1]["type"] == "run_end"

    def test_real_last_line_that_only_lacks_its_newline_is_read(self, tmp_path: Path) -> None:
        source = ENTIRE / "9f-e3cfdef74d-0-full.jsonl"
        assert not source.read_bytes().endswith(b"\n")

        records = import_claude(source, tmp_path).only()

        assert max(r["attrs"]["source"]["line"] for r in records if "attrs" in r and r["step"]) == 23
        assert records[-1]["type"] == "run_end"

    def test_real_lines_that_are_no_objects_are_counted(self, tmp_path: Path) -> None:
        (session,) = import_claude(CLAUDE / "claude-code-log" / "edge_cases.jsonl", tmp_path).report.sessions

        assert session.skipped_lines == {"not an object": 3}
        assert session.left_out["malformed user"] == 2


@pytest.mark.parametrize(
    "source",
    [path for path in corpus("claude-code") if path.name.endswith("-full.jsonl")],
    ids=lambda path: path.name,
)
class TestIndependentCounts:
    def expected(self, source: Path) -> dict[str, int]:
        metadata = json.loads(
            source.with_name(source.name.replace("-full.jsonl", "-metadata.json")).read_text()
        )
        usage: dict[str, int] = metadata["token_usage"]
        return usage

    def test_totals_are_what_another_program_counted(self, source: Path, tmp_path: Path) -> None:
        # Every one of these counts covers its transcript from the first line, those too whose
        # metadata names a later line as the start of the checkpoint.
        expected = self.expected(source)
        imported = import_claude(source, tmp_path)

        session = imported.report.sessions[0]
        cached = expected["cache_creation_tokens"] + expected["cache_read_tokens"]
        assert session.totals["input_tokens"] == expected["input_tokens"] + cached
        assert session.totals["cache_write_tokens"] == expected["cache_creation_tokens"]
        assert session.totals["cache_read_tokens"] == expected["cache_read_tokens"]
        assert session.totals["output_tokens"] == expected["output_tokens"]

    def test_calls_are_as_many_but_for_those_that_were_none(self, source: Path, tmp_path: Path) -> None:
        made_up = {i for i, m in messages_in(source).items() if m[0]["message"]["model"] == "<synthetic>"}

        session = import_claude(source, tmp_path).report.sessions[0]

        assert session.totals["llm_call_count"] == self.expected(source)["api_call_count"] - len(made_up)


class TestCountsPerRecordOfAnotherProgram:
    def test_each_call_is_the_fullest_of_the_records_counted_for_it(self, tmp_path: Path) -> None:
        # That program counts every record by itself; for each message, C2 must pick one of its rows.
        name = "4c2ddfdc-b619-4525-8d03-1950fb1b0257"
        rows = {row["recordId"]: row["tokens"] for row in lines_of(CODEMIE / "expected-metrics.jsonl")}
        expected = {}
        for path in (CODEMIE / f"{name}.jsonl", CODEMIE / "agent-50243ee8.jsonl"):
            for message, lines in messages_in(path).items():
                counted = [rows[line["uuid"]] for line in lines if line["uuid"] in rows]
                expected[message] = max(counted, key=lambda tokens: tokens["output"])

        runs = import_claude(CODEMIE / f"{name}.jsonl", tmp_path).runs

        calls = {
            call["attrs"]["message_id"]: call for run in runs.values() for call in of_type(run, "llm_call")
        }
        assert len(expected) == 8
        for message, tokens in expected.items():
            parts = [tokens.get(key, 0) for key in ("input", "cacheCreation", "cacheRead")]
            assert calls[message]["input_tokens"] == sum(parts)
            assert calls[message]["output_tokens"] == tokens["output"]


def test_every_shipped_claude_transcript_is_read() -> None:
    names = {path.name for path in corpus("claude-code") if is_transcript(path)}
    assert len(names) >= 17
