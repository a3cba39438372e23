from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from agent_step_log.errors import ImportSourceError, MissingExtraError
from agent_step_log.importers import find_claude_code, find_codex, import_claude_code, import_codex
from tests.agent_step_log.importers.support import (
    CLAUDE,
    CODEX,
    assert_sound,
    assistant,
    corpus,
    events,
    import_claude,
    import_cx,
    is_transcript,
    of_type,
    result,
    text,
    tool_use,
    user,
    write,
)

ROLLOUT = CODEX / "codemie" / "rollout-2026-01-02T18-39-45-019b7f94-51b4-7593-922e-ba12b5b73b52.jsonl"


@pytest.mark.parametrize("source", corpus("claude-code"), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_claude_file_is_read_or_refused_by_what_it_is(source: Path, tmp_path: Path) -> None:
    if not is_transcript(source):
        with pytest.raises(ImportSourceError, match=r"is not a Claude Code transcript\.$"):
            import_claude(source, tmp_path)
        return
    for records in import_claude(source, tmp_path).runs.values():
        assert_sound(records)


@pytest.mark.parametrize("source", corpus("codex"), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_codex_file_is_read_or_refused_by_what_it_is(source: Path, tmp_path: Path) -> None:
    if not is_transcript(source):
        with pytest.raises(ImportSourceError, match=r"is not a Codex rollout\.$"):
            import_cx(source, tmp_path)
        return
    assert_sound(import_cx(source, tmp_path).only())


class TestDirectory:
    def test_files_that_are_no_transcripts_are_named_and_passed_over(self, tmp_path: Path) -> None:
        report = import_claude(CLAUDE / "codemie", tmp_path).report

        reasons = {skipped.path.name: skipped.reason for skipped in report.skipped_files}
        others = ("LICENSE.upstream", "ORIGIN.md", "expected-metrics.jsonl", "expected-session.json")
        assert reasons == dict.fromkeys(others, "not a transcript")
        assert len(report.sessions) == 5

    def test_transcripts_of_the_other_tool_are_not_taken_for_ones_own(self, tmp_path: Path) -> None:
        assert import_claude_code(CODEX, tmp_path).sessions == []
        assert import_codex(CLAUDE, tmp_path).sessions == []

    def test_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "in.jsonl")

        report = import_claude_code(tmp_path, tmp_path / "out")

        assert [skipped.path.name for skipped in report.skipped_files] == ["in.jsonl"]

    def test_fuller_file_of_a_thread_is_the_one_read(self, tmp_path: Path) -> None:
        report = import_cx(CODEX / "codemie", tmp_path).report

        reasons = {skipped.path.name: skipped.reason for skipped in report.skipped_files}
        reason = "the same thread as turn-2.jsonl, which has as many records or more"
        assert reasons["turn-1.jsonl"] == reason

    def test_session_continued_elsewhere_keeps_both_parts(self, tmp_path: Path) -> None:
        write(tmp_path / "in" / "a" / "s1.jsonl", user("go", 1, uuid="u1"))
        write(tmp_path / "in" / "b" / "s1.jsonl", user("on", 9, uuid="u2"))

        runs = import_claude(tmp_path / "in", tmp_path / "out").runs

        assert [events(records, "user_message")[0]["text"] for records in runs.values()] == ["go", "on"]


class TestBadSource:
    def test_missing_path_is_one_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(ImportSourceError) as caught:
            import_claude_code(tmp_path / "gone", tmp_path / "out")
        message = f"{tmp_path / 'gone'}: no such file or directory, or not one that can be read."
        assert str(caught.value) == message
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        "content", [b"", b"\n\n", b"\x00\xff\xfe", b"42\n", b'{"loglines":', b"[" * 9999]
    )
    @pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
    def test_file_that_is_none_is_refused(self, name: str, content: bytes, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)

        for importer in (import_claude_code, import_codex):
            with pytest.raises(ImportSourceError, match=r": is not a "):
                importer(tmp_path / name, tmp_path / "out")

    def test_titles_alone_are_no_session(self, tmp_path: Path) -> None:
        source = write(tmp_path / "s.jsonl", {"type": "summary", "summary": "Old work", "leafUuid": "u1"})

        with pytest.raises(ImportSourceError, match="is not a Claude Code transcript"):
            import_claude_code(source, tmp_path / "out")

    def test_file_with_a_name_of_only_a_suffix_is_read(self, tmp_path: Path) -> None:
        source = write(tmp_path / ".jsonl", user("go"))

        assert len(import_claude_code(source, tmp_path / "out").sessions) == 1

    def test_nothing_where_the_tool_keeps_them_says_so(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CODEX_HOME", str(tmp_path))
        monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))

        with pytest.raises(
            ImportSourceError, match=r"^Codex: no transcripts where it keeps them; name a file"
        ):
            import_codex(None, tmp_path / "out")
        with pytest.raises(ImportSourceError, match=r"^Claude Code: no transcripts where it keeps them"):
            import_claude_code(None, tmp_path / "out")

    def test_output_that_is_a_file_is_refused_and_kept(self, tmp_path: Path) -> None:
        target = tmp_path / "out"
        target.write_text("mine")

        with pytest.raises(ImportSourceError, match="imported logs need a directory here"):
            import_codex(ROLLOUT, target)
        assert target.read_text() == "mine"


class TestWhereToolsKeepThem:
    def test_both_homes_of_claude_code_are_found(self, tmp_path: Path) -> None:
        for folder in (".claude/projects", ".config/claude/projects"):
            (tmp_path / folder).mkdir(parents=True)

        assert find_claude_code({}, tmp_path) == [
            tmp_path / ".claude" / "projects",
            tmp_path / ".config" / "claude" / "projects",
        ]

    def test_variable_with_commas_takes_their_place(self, tmp_path: Path) -> None:
        for name in ("a/projects", "b/projects", ".claude/projects"):
            (tmp_path / name).mkdir(parents=True)
        environ = {"CLAUDE_CONFIG_DIR": f"{tmp_path / 'a'}, {tmp_path / 'b'},,{tmp_path / 'gone'}"}

        assert find_claude_code(environ, tmp_path) == [
            tmp_path / "a" / "projects",
            tmp_path / "b" / "projects",
        ]

    def test_live_and_archived_rollouts_are_found(self, tmp_path: Path) -> None:
        for name in ("home/sessions", "home/archived_sessions", ".codex/sessions"):
            (tmp_path / name).mkdir(parents=True)
        environ = {"CODEX_HOME": str(tmp_path / "home")}

        assert [path.name for path in find_codex(environ, tmp_path)] == ["sessions", "archived_sessions"]
        assert find_codex({}, tmp_path) == [tmp_path / ".codex" / "sessions"]

    def test_default_source_is_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        day = tmp_path / "sessions" / "2026" / "01" / "02"
        day.mkdir(parents=True)
        (day / ROLLOUT.name).write_bytes(ROLLOUT.read_bytes())
        monkeypatch.setenv("CODEX_HOME", str(tmp_path))

        assert len(import_codex(None, tmp_path / "out").sessions) == 1


class TestCompressedRollouts:
    def packed(self, folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        path = folder / f"{ROLLOUT.name}.zst"
        path.write_bytes(zstandard.compress(ROLLOUT.read_bytes()))
        return path

    def test_compressed_rollout_reads_as_the_plain_one(self, tmp_path: Path) -> None:
        packed = import_cx(self.packed(tmp_path), tmp_path / "a").only()
        plain = import_cx(ROLLOUT, tmp_path / "b").only()

        assert packed[1:] == plain[1:]
        assert packed[0]["metadata"]["source"]["sha256"] == plain[0]["metadata"]["source"]["sha256"]

    def test_plain_one_wins_if_there_are_both(self, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        self.packed(folder)
        (folder / ROLLOUT.name).write_bytes(ROLLOUT.read_bytes())

        (session,) = import_cx(folder, tmp_path / "out").report.sessions

        assert session.source.name == ROLLOUT.name

    def test_what_came_before_damage_is_read(self, tmp_path: Path) -> None:
        lines = ROLLOUT.read_bytes().splitlines(keepends=True)
        whole, cut = zstandard.compress(b"".join(lines[:11])), zstandard.compress(b"".join(lines[11:]))
        path = tmp_path / f"{ROLLOUT.name}.zst"
        path.write_bytes(whole + b"\xff" * 20 + cut)

        (session,) = import_cx(path, tmp_path / "out").report.sessions

        assert session.totals["llm_call_count"] == 1
        assert session.notes == ["the compressed data is damaged; what came before it was read"]

    def test_without_zstandard_the_extra_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "zstandard", None)

        with pytest.raises(MissingExtraError) as caught:
            import_codex(self.packed(tmp_path), tmp_path / "out")
        assert str(caught.value) == "Reading .zst needs 'zstandard': pip install 'agent-step-log[tap]'"


class TestImportingAgain:
    def test_same_input_gives_the_same_bytes_and_touches_nothing(self, tmp_path: Path) -> None:
        first = import_claude_code(CLAUDE / "codemie", tmp_path)
        before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.iterdir()}

        second = import_claude_code(CLAUDE / "codemie", tmp_path)

        assert (first.written, second.written, second.unchanged) == (5, 0, 5)
        assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in tmp_path.iterdir()} == before

    def test_bytes_do_not_depend_on_where_the_transcript_lies_or_when(self, tmp_path: Path) -> None:
        copy = tmp_path / "elsewhere" / ROLLOUT.name
        copy.parent.mkdir()
        copy.write_bytes(ROLLOUT.read_bytes())
        os.utime(copy, (1, 1))

        (there,) = import_codex(copy, tmp_path / "a").sessions
        (here,) = import_codex(ROLLOUT, tmp_path / "b").sessions

        assert there.output.read_bytes() == here.output.read_bytes()

    def test_logs_are_private_and_no_temporary_file_stays(self, tmp_path: Path) -> None:
        import_codex(CODEX, tmp_path / "out")

        modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "out").iterdir()}
        assert modes == {".jsonl": 0o600}


class TestRunEnd:
    def test_finished_session_ends_ok_and_says_that_is_inferred(self, tmp_path: Path) -> None:
        end = import_claude(CLAUDE / "claude-code-log" / "session_b.jsonl", tmp_path).only()[-1]

        assert (end["type"], end["status"], end["attrs"]) == ("run_end", "ok", {"inferred": True})
        assert end["totals"]["llm_call_count"] == 1

    def test_tool_in_flight_at_the_end_leaves_the_run_open(self, tmp_path: Path) -> None:
        records = import_claude(CLAUDE / "agentcmd" / "tool-mcp__happy__change_title.jsonl", tmp_path).only()

        assert [record["type"] for record in records] == ["run_start", "llm_call", "step_start"]
        assert records[2]["tool"] == "mcp__happy__change_title"

    def test_tool_without_a_result_before_the_user_went_on_does_not(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "s.jsonl", assistant("a", tool_use("t1"), at=1), user("never mind", 5), user("bye", 6)
        )

        records = import_claude(source, tmp_path / "out").only()

        assert len(of_type(records, "step_start")) == 1
        assert records[-1]["status"] == "ok"

    def test_session_the_user_interrupted_last_is_cancelled(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "s.jsonl", assistant("a", text("hm")), user([text("[Request interrupted by user]")], 5)
        )

        assert import_claude(source, tmp_path / "out").only()[-1]["status"] == "cancelled"

    def test_headless_result_is_an_error_when_it_says_so_whatever_its_subtype(self, tmp_path: Path) -> None:
        done = {"type": "result", "subtype": "success", "is_error": True, "session_id": "s1", "result": "no"}
        source = write(tmp_path / "s.jsonl", assistant("a", text("hm")), done)

        end = import_claude(source, tmp_path / "out").only()[-1]

        assert (end["status"], end["error"]) == ("error", "no")


class TestRecords:
    def test_tools_in_parallel_are_numbered_by_start_and_written_by_end(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "s.jsonl",
            user("go", 0),
            assistant("a", tool_use("slow"), at=2),
            assistant("a", tool_use("fast"), at=3),
            result("fast", 4),
            result("slow", 9),
        )

        records = import_claude(source, tmp_path / "out").only()

        order = [(record["step"], record.get("tool_call_id")) for record in records[1:-1]]
        assert order == [(1, None), (2, None), (4, "fast"), (3, "slow")]
        durations = {call["tool_call_id"]: call["duration_ms"] for call in of_type(records, "tool_call")}
        assert durations == {"fast": 1000.0, "slow": 7000.0}
        (call,) = of_type(records, "llm_call")
        assert (call["duration_ms"], call["bounds"]["duration_ms"]) == (3000.0, "upper")

    def test_answer_to_nothing_new_took_no_longer_than_since_the_one_before(self, tmp_path: Path) -> None:
        source = write(
            tmp_path / "s.jsonl",
            user("go", 0),
            assistant("a", text("first"), at=10),
            assistant("b", text("second"), request="r2", at=13),
        )

        calls = of_type(import_claude(source, tmp_path / "out").only(), "llm_call")

        assert [call["duration_ms"] for call in calls] == [10000.0, 3000.0]

    def test_every_event_an_import_writes_is_in_the_docs(self, tmp_path: Path) -> None:
        page = (Path(__file__).parents[3] / "docs" / "importers.md").read_text()
        runs = {**import_claude(CLAUDE, tmp_path).runs, **import_cx(CODEX, tmp_path).runs}

        names = {event["name"] for records in runs.values() for event in of_type(records, "event")}
        assert len(names) >= 8
        assert [name for name in names if f"`{name}`" not in page] == []

    def test_error_of_a_tool_is_its_message(self, tmp_path: Path) -> None:
        records = import_claude(CLAUDE / "claude-code-log" / "edge_cases.jsonl", tmp_path).only()

        (call,) = of_type(records, "tool_call")
        assert call["error"] == "Error: Tool execution failed with error: Command not found"
        assert (call["error_type"], call["inferred"]) == ("tool_error", True)

    def test_image_is_named_not_copied(self, tmp_path: Path) -> None:
        records = import_claude(CLAUDE / "agentcmd" / "user-image.jsonl", tmp_path).only()

        (message,) = events(records, "user_message")
        (shown,) = message["attachments"]
        assert (shown["type"], shown["media_type"]) == ("image", "image/png")
        assert shown["size_chars"] > 0

    def test_web_export_is_read(self, tmp_path: Path) -> None:
        source = CLAUDE / "claude-code-transcripts" / "sample_session.json"

        imported = import_claude(source, tmp_path)

        (session,) = imported.report.sessions
        assert session.totals == {"llm_call_count": 15, "tool_call_count": 12, "error_count": 1}
        assert len(events(imported.only(), "user_message")) == 5

    def test_record_of_unknown_type_is_kept_and_counted(self, tmp_path: Path) -> None:
        strange = {"type": "new\u001b thing", "sessionId": "s1", "news": [1]}
        source = write(tmp_path / "s.jsonl", user("go"), strange)

        imported = import_claude(source, tmp_path / "out")

        assert events(imported.only(), "claude_code.new__thing") == [{"news": [1]}]
        assert imported.report.sessions[0].unknown == {"new\u001b thing": 1}

    def test_id_that_is_no_file_name_is_replaced(self, tmp_path: Path) -> None:
        source = write(tmp_path / "s.jsonl", {**user("go"), "sessionId": "../../etc/x"})

        (session,) = import_claude(source, tmp_path / "out").report.sessions

        assert session.output.parent == tmp_path / "out"
        assert session.output.name.startswith("claude-code-")
        assert ".." not in session.output.name

    def test_path_in_a_transcript_is_never_opened(self, tmp_path: Path) -> None:
        trap = tmp_path / "trap"
        os.mkfifo(trap)
        leak: dict[str, Any] = {
            "transcript_path": str(trap),
            "agentId": str(trap),
            "persistedOutputPath": str(trap),
        }
        source = write(
            tmp_path / "s.jsonl", assistant("a", tool_use("t1")), result("t1", 2, toolUseResult=leak, **leak)
        )

        assert len(import_claude(source, tmp_path / "out").report.sessions) == 1

    def test_report_has_a_form_in_json(self, tmp_path: Path) -> None:
        report = import_claude(CLAUDE / "codemie", tmp_path).report

        shown = json.loads(json.dumps(report.to_dict()))
        assert shown["totals"]["llm_call_count"] == 22
        assert shown["bounds"] == {"output_tokens": "lower"}
        assert Path(shown["sessions"][0]["output"]).is_file()
