"""Snapshots of runs: what is in one, what changed between two, and the fixture that holds a test to it."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_step_log import StepLog, read_run
from agentsnap import Snapshot, compare, scrub, snapshot
from agentsnap.errors import SnapshotError

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["pytester"]


def tool(name: str, output: Any = None, error: str | None = None, **arguments: Any) -> dict[str, Any]:
    step = {"type": "tool_call", "tool": name, "input": arguments, "output": output, "error": error}
    return {key: value for key, value in step.items() if value is not None}


def llm(model: str = "m", *asked: str, stop: str = "end_turn", **more: Any) -> dict[str, Any]:
    step = {"type": "llm_call", "model": model, "stop_reason": stop, **more}
    return {**step, "tools_asked": list(asked)} if asked else step


def run(*steps: dict[str, Any], **more: Any) -> Snapshot:
    return Snapshot(steps=list(steps), **more)


def changes(old: Snapshot, new: Snapshot, **settings: Any) -> list[tuple[str, str, str]]:
    return [(each.kind, each.step, each.detail) for each in compare(old, new, **settings).changes]


class TestTaking:
    def test_what_a_run_did_is_in_it_and_what_differs_every_time_is_not(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl", "run-1") as log:
            with log.llm_call("m", input="hello") as call:
                call.update(stop_reason="tool_use", input_tokens=9, request_id="r", output="hi")
                call.update(tool_calls=[{"id": "t1", "name": "search"}])
            with log.agent("planner", "plan it") as agent:
                with log.tool_call("search", {"q": "x"}, tool_call_id="t1") as step:
                    step.output = ["found"]
                log.event("feedback", 1)
                agent.output = "planned"
            log.record_tool_call("fetch", {"page": 2}, error=ValueError("no such page"))

        assert snapshot(tmp_path / "log.jsonl").to_dict() == {
            "format": 1,
            "status": "ok",
            "steps": [
                {
                    "type": "llm_call",
                    "model": "m",
                    "input": "hello",
                    "output": "hi",
                    "stop_reason": "tool_use",
                    "tools_asked": ["search"],
                },
                {
                    "type": "agent_call",
                    "agent": "planner",
                    "input": "plan it",
                    "output": "planned",
                    "steps": [
                        {"type": "tool_call", "tool": "search", "input": {"q": "x"}, "output": ["found"]}
                    ],
                },
                {
                    "type": "tool_call",
                    "tool": "fetch",
                    "input": {"page": 2},
                    "error": "no such page",
                    "error_type": "ValueError",
                },
            ],
        }

    def test_a_log_in_use_a_run_and_a_path_give_the_same(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        with StepLog(path, "one") as log:
            log.record_tool_call("search", {"q": 1})
        with StepLog(path, "two") as log:
            log.record_tool_call("other")
            assert snapshot(log).steps == [{"type": "tool_call", "tool": "other"}]

        one = snapshot(path, "one")
        assert one == snapshot(read_run(path, "one"))
        assert one.steps == [tool("search", q=1)]

    def test_a_failed_run_and_an_unfinished_step_say_so(self, tmp_path: Path) -> None:
        path = tmp_path / "log.jsonl"
        log = StepLog(path)
        step = log.tool_call("slow", {"n": 1})
        log.close(error=ValueError("why"))
        taken = snapshot(path)
        step.end()

        assert (taken.status, taken.error) == ("error", "why")
        assert taken.steps == [
            {"type": "tool_call", "tool": "slow", "input": {"n": 1}, "status": "unfinished"}
        ]

    def test_a_normaliser_sees_every_value_with_its_key(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl") as log:
            log.record_tool_call("t", {"at": 17.5, "q": "x", "ids": [1, None]}, "out", error="it failed")
        seen: list[tuple[str | None, Any]] = []

        def normalize(key: str | None, value: Any) -> Any:
            seen.append((key, value))
            return "<time>" if key == "at" else value

        (step,) = snapshot(tmp_path / "log.jsonl", normalize=normalize).steps
        assert step["input"] == {"at": "<time>", "q": "x", "ids": [1, None]}
        assert sorted(seen, key=str) == sorted(
            [
                ("at", 17.5),
                ("q", "x"),
                ("ids", 1),
                ("ids", None),
                ("output", "out"),
                ("error", "it failed"),
            ],
            key=str,
        )

    @pytest.mark.parametrize(
        ("text", "scrubbed"),
        [
            ("id 123e4567-e89b-12d3-a456-426614174000.", "id <uuid>."),
            ("at 2026-01-31T12:00:01.5Z and 2026-01-31 12:00", "at <time> and <time>"),
            ("<Thing at 0x7f3a5c2b1d90>", "<Thing at <address>>"),
            ("/tmp/pytest-of-me/pytest-12/test_x0/run.jsonl", "<tmp>/run.jsonl"),
            ("/tmp/tmpab12cd34/x", "<tmp>"),
            ("toolu_01A09q90qw90lq917835lq9", "<id>"),
            ("2026-01-31, page 12, 0x1f, /tmp, run_all", "2026-01-31, page 12, 0x1f, /tmp, run_all"),
        ],
    )
    def test_scrub_takes_out_what_differs_every_time(self, text: str, scrubbed: str) -> None:
        assert scrub(None, text) == scrubbed

    def test_scrub_leaves_what_is_no_text(self) -> None:
        assert [scrub("k", value) for value in (1, None, True, 2.5)] == [1, None, True, 2.5]

    def test_long_texts_are_cut_and_still_told_apart(self, tmp_path: Path) -> None:
        with StepLog(tmp_path / "log.jsonl") as log:
            log.record_tool_call("t", "x" * 10_000 + "a")
            log.record_tool_call("t", "x" * 10_000 + "b")

        one, other = (step["input"] for step in snapshot(tmp_path / "log.jsonl").steps)
        assert len(one) < 4100
        assert "10,001 characters" in one
        assert one != other


class TestKeeping:
    def test_the_file_reads_well_and_comes_back(self, tmp_path: Path) -> None:
        taken = run(tool("search", "gefunden: ü", q="x"), status="ok")
        taken.save(tmp_path / "deep" / "s.json")

        assert (tmp_path / "deep" / "s.json").read_text(encoding="utf-8") == (
            "{\n"
            '  "format": 1,\n'
            '  "status": "ok",\n'
            '  "steps": [\n'
            "    {\n"
            '      "input": {\n'
            '        "q": "x"\n'
            "      },\n"
            '      "output": "gefunden: ü",\n'
            '      "tool": "search",\n'
            '      "type": "tool_call"\n'
            "    }\n"
            "  ]\n"
            "}\n"
        )
        assert Snapshot.load(tmp_path / "deep" / "s.json") == taken
        assert os.listdir(tmp_path / "deep") == ["s.json"]

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=8,
        )
    )
    @settings(max_examples=60, deadline=None)
    def test_any_value_comes_back_as_it_was(self, value: Any) -> None:
        taken = run({"type": "tool_call", "tool": "t", "input": value})
        back = json.loads(taken.to_json().encode("utf-8", "backslashreplace"))

        assert Snapshot(back["status"], back["steps"]) == taken
        assert not compare(taken, Snapshot(back["status"], back["steps"]))

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("{", "is no snapshot: it is not JSON (line 1: "),
            ("[]", 'is no snapshot: it has no list "steps".'),
            ('{"steps": 3, "format": 1}', 'is no snapshot: it has no list "steps".'),
            ('{"steps": [], "format": 2}', "is a snapshot in format 2; this version reads 1."),
            ('{"steps": [{"tool": 1}], "format": 1}', 'is no snapshot: a step is an object with a "type".'),
            ('{"steps": [{"type": "x", "steps": 1}], "format": 1}', 'a step is an object with a "type".'),
            ("[" * 100_000, "is no snapshot: it is not JSON ("),
        ],
    )
    def test_what_is_no_snapshot_is_said_so(self, text: str, said: str, tmp_path: Path) -> None:
        (tmp_path / "s.json").write_text(text)
        with pytest.raises(SnapshotError) as told:
            Snapshot.load(tmp_path / "s.json")

        assert str(told.value).startswith(f"{tmp_path / 's.json'}: ")
        assert said in str(told.value)

    def test_who_reads_while_others_write_finds_a_whole_one(self, tmp_path: Path) -> None:
        path = tmp_path / "s.json"
        run().save(path)
        going = threading.Event()
        going.set()
        failures: list[BaseException] = []

        def write(name: str) -> None:
            while going.is_set():
                run(*[tool(name, "x" * 500) for _ in range(50)]).save(path)

        writers = [threading.Thread(target=write, args=[name]) for name in ("one", "two")]
        for writer in writers:
            writer.start()
        try:
            for _ in range(200):
                names = {step["tool"] for step in Snapshot.load(path).steps}
                assert len(names) <= 1
        except BaseException as error:
            failures.append(error)
        finally:
            going.clear()
            for writer in writers:
                writer.join()

        assert failures == []
        assert os.listdir(tmp_path) == ["s.json"]


class TestComparing:
    def test_alike_is_no_change(self) -> None:
        one = run(llm("m", "search"), tool("search", q="x"), llm())

        assert not compare(one, run(llm("m", "search"), tool("search", q="x"), llm()))
        assert compare(one, one).report() == "The two runs are alike."

    def test_arguments_changed_names_the_place_inside(self) -> None:
        old = run(tool("search", q="paris", opts={"n": [1, 2]}))
        new = run(tool("search", q="rome", opts={"n": [1, 3]}))

        assert changes(old, new) == [
            ("arguments changed", "tool_call search", '\nq: "paris" -> "rome"\nopts.n[1]: 2 -> 3')
        ]

    def test_a_key_that_came_and_one_that_went(self) -> None:
        assert changes(run(tool("t", a=1)), run(tool("t", b=2))) == [
            ("arguments changed", "tool_call t", "\na: 1 -> (nothing)\nb: (nothing) -> 2")
        ]

    def test_another_tool_in_the_place_of_one(self) -> None:
        old = run(tool("a"), tool("search", q=1), tool("z"))
        new = run(tool("a"), tool("lookup", q=1), tool("z"))

        assert changes(old, new) == [("tool changed", "tool_call lookup", '"search" -> "lookup"')]

    def test_a_step_missing_and_one_added(self) -> None:
        old = run(tool("a"), tool("search", q=1), tool("z"))

        assert changes(old, run(tool("a"), tool("z"))) == [("step missing", "tool_call search", '{"q": 1}')]
        assert changes(run(tool("a"), tool("z")), old) == [("step added", "tool_call search", '{"q": 1}')]

    def test_one_more_of_many_alike_is_one_change(self) -> None:
        old = run(*[tool("search", page=page) for page in range(6)])
        new = run(*[tool("search", page=page) for page in (0, 1, 99, 2, 3, 4, 5)])

        assert changes(old, new) == [("step added", "tool_call search", '{"page": 99}')]

    def test_reordered_is_said_once_for_two_that_changed_places(self) -> None:
        old, new = run(tool("a", n=1), tool("b", n=2)), run(tool("b", n=2), tool("a", n=1))
        (change,) = compare(old, new).changes

        assert (change.kind, {change.old_place, change.new_place}) == ("reordered", {1, 2})

    def test_a_step_that_moved_with_other_arguments_is_both(self) -> None:
        old = run(tool("a", n=1), tool("b"), tool("c"))
        new = run(tool("b"), tool("c"), tool("a", n=2))

        assert [(kind, step) for kind, step, _ in changes(old, new)] == [
            ("reordered", "tool_call a"),
            ("arguments changed", "tool_call a"),
        ]

    def test_errors_that_come_go_and_change(self) -> None:
        fine, failed, other = run(tool("t", "ok")), run(tool("t", error="no")), run(tool("t", error="never"))

        assert changes(fine, failed) == [("new error", "tool_call t", '"no"')]
        assert changes(failed, fine) == [("error gone", "tool_call t", '"no"')]
        assert changes(failed, other) == [("error changed", "tool_call t", '"no" -> "never"')]

    def test_output_drift_shows_where_the_texts_part(self) -> None:
        begin = "word " * 100
        ((kind, _, detail),) = changes(run(tool("t", begin + "paris")), run(tool("t", begin + "rome")))

        assert kind == "output drift"
        assert detail.endswith('paris" -> ..."word word word word word rome" (from character 501)')

    def test_a_model_that_changed_and_an_answer_that_did(self) -> None:
        old = run(llm("m-1", "search"))

        assert changes(old, run(llm("m-2", "search"))) == [
            ("model changed", "llm_call m-2", '"m-1" -> "m-2"')
        ]
        assert changes(old, run(llm("m-1", "fetch"))) == [
            ("answer changed", "llm_call m-1", 'tools asked: [0]: "search" -> "fetch"')
        ]
        assert changes(run(llm()), run(llm(stop="max_tokens"))) == [
            ("answer changed", "llm_call m", 'stop reason: "end_turn" -> "max_tokens"')
        ]

    def test_steps_inside_an_agent_are_found_there(self) -> None:
        def inside(*steps: dict[str, Any]) -> Snapshot:
            return run({"type": "agent_call", "agent": "planner", "steps": list(steps)}, tool("z"))

        assert changes(inside(tool("a", n=1)), inside(tool("a", n=2))) == [
            ("arguments changed", "tool_call a in planner", "n: 1 -> 2")
        ]
        assert [kind for kind, _, _ in changes(inside(tool("a")), run(tool("z")))] == [
            "step missing",
            "step missing",
        ]

    def test_the_end_of_the_run_counts(self) -> None:
        assert changes(run(), run(status="error", error="why")) == [
            ("status changed", "run", "ok -> error"),
            ("new error", "run", '"why"'),
        ]

    def test_kinds_may_be_ignored(self) -> None:
        old, new = run(tool("t", "a", n=1)), run(tool("t", "b", n=1))

        assert changes(old, new, ignore={"output drift"}) == []
        with pytest.raises(ValueError, match="no such kind of change: typos; there are step missing, "):
            compare(old, new, ignore={"typos"})  # type: ignore[arg-type]

    def test_the_report_is_for_people_and_for_any_terminal(self) -> None:
        old = run(tool("a"), tool("search", "found", q="x", n=1), tool("gone"), llm())
        new = run(tool("search", "found \x1b[31m\u202e", q="y", n=2), tool("a"), llm(stop="refusal"))

        assert compare(old, new).report().splitlines() == [
            "  step 1 (was 2), tool_call search: reordered",
            "  step 1 (was 2), tool_call search: arguments changed:",
            '      q: "x" -> "y"',
            "      n: 1 -> 2",
            '  step 1 (was 2), tool_call search: output drift: "found" -> "found \\u001b[31m\\u202e"',
            "  step 3 of before, tool_call gone: step missing",
            '  step 3 (was 4), llm_call m: answer changed: stop reason: "end_turn" -> "refusal"',
        ]

    def test_a_report_of_runs_that_have_nothing_in_common_is_bounded(self) -> None:
        old, new = run(*[tool("a") for _ in range(300)]), run(*[tool("b") for _ in range(300)])

        assert len(str(compare(old, new)).splitlines()) == 51
        assert str(compare(old, new)).endswith("  and 250 more changes")

    @given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
    @settings(max_examples=150, deadline=None)
    def test_every_step_of_both_is_accounted_for(self, left: list[str], right: list[str]) -> None:
        old, new = run(*[tool(name) for name in left]), run(*[tool(name) for name in right])
        found = compare(old, new)
        kinds = [change.kind for change in found.changes]

        assert bool(found) == (left != right)
        assert len(left) - kinds.count("step missing") == len(right) - kinds.count("step added")
        assert set(kinds) <= {"step missing", "step added", "tool changed", "reordered"}


AGENT = """
from agent_step_log import StepLog

def test_agent(run_snapshot, tmp_path):
    with StepLog(tmp_path / "run.jsonl") as log:
        log.record_tool_call("search", {"q": %r}, "found")
    run_snapshot.check(log)
"""


class TestFixture:
    @pytest.fixture(autouse=True)
    def _not_on_ci(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CI", raising=False)

    def outcome(self, pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
        options = ("-p", "agentsnap.testing", "-p", "no:cacheprovider", "-p", "no:xdist")
        return pytester.runpytest_inprocess(*options, *arguments)

    def test_a_missing_one_is_written_named_and_held_to(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_it=AGENT % "paris")
        first = self.outcome(pytester)
        first.assert_outcomes(passed=1)
        first.stdout.fnmatch_lines(["*run snapshots written*", "__snapshots__/test_it.test_agent.run.json"])
        kept = pytester.path / "__snapshots__" / "test_it.test_agent.run.json"
        before = kept.read_bytes()

        self.outcome(pytester).assert_outcomes(passed=1)
        assert kept.read_bytes() == before

    def test_a_run_that_changed_fails_with_what_and_with_what_to_do(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_it=AGENT % "paris")
        self.outcome(pytester)
        pytester.makepyfile(test_it=AGENT % "rome")
        changed = self.outcome(pytester)

        changed.assert_outcomes(failed=1)
        changed.stdout.fnmatch_lines(
            [
                "The run is not the one in __snapshots__/test_it.test_agent.run.json:",
                '  step 1, tool_call search: arguments changed: q: "paris" -> "rome"',
                "*keep it: pytest --update-run-snapshots 'test_it.py::test_agent'",
            ]
        )
        assert "Traceback" not in changed.stdout.str()

        self.outcome(pytester, "--update-run-snapshots").assert_outcomes(passed=1)
        self.outcome(pytester).assert_outcomes(passed=1)

    def test_on_ci_a_missing_one_fails_and_is_not_written(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CI", "true")
        pytester.makepyfile(test_it=AGENT % "paris")
        missing = self.outcome(pytester)

        missing.assert_outcomes(failed=1)
        missing.stdout.fnmatch_lines(["There is no snapshot at __snapshots__/test_it.test_agent.run.json."])
        assert not (pytester.path / "__snapshots__").exists()

    def test_one_that_can_not_be_read_fails_until_it_is_written_anew(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(test_it=AGENT % "paris")
        self.outcome(pytester)
        kept = pytester.path / "__snapshots__" / "test_it.test_agent.run.json"
        kept.write_text("<<<<<<< HEAD\n")
        broken = self.outcome(pytester)

        broken.assert_outcomes(failed=1)
        broken.stdout.fnmatch_lines(["*is no snapshot: it is not JSON*"])
        self.outcome(pytester, "--update-run-snapshots").assert_outcomes(passed=1)
        assert json.loads(kept.read_bytes())["format"] == 1

    def test_several_in_one_test_have_names_and_parameters_files_of_their_own(
        self, pytester: pytest.Pytester
    ) -> None:
        pytester.makepyfile(
            test_it="""
            import pytest
            from agentsnap import Snapshot

            class TestAgents:
                @pytest.mark.parametrize("where", ["a/b", "a b", "../x"])
                def test_two(self, run_snapshot, where):
                    run_snapshot.check(Snapshot())
                    run_snapshot.check(Snapshot(error=where), "second")
                    with pytest.raises(ValueError, match="has checked 'second' already"):
                        run_snapshot.check(Snapshot(), "second")
            """
        )
        self.outcome(pytester).assert_outcomes(passed=3)
        self.outcome(pytester).assert_outcomes(passed=3)

        names = sorted(os.listdir(pytester.path / "__snapshots__"))
        assert len(names) == 6
        assert all(name.startswith("test_it.TestAgents.test_two.") for name in names)

    def test_it_ignores_and_normalises_as_it_is_told(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            test_it="""
            import os
            from agent_step_log import StepLog
            from agentsnap import scrub

            def test_agent(run_snapshot, tmp_path):
                with StepLog(tmp_path / "run.jsonl") as log:
                    log.record_tool_call("save", {"to": str(tmp_path / "x")}, os.urandom(8).hex())
                run_snapshot.check(log, normalize=scrub, ignore={"output drift"})
            """
        )
        self.outcome(pytester).assert_outcomes(passed=1)
        self.outcome(pytester).assert_outcomes(passed=1)

    def test_what_a_worker_of_xdist_writes_is_named_at_the_end(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            test_it="""
            import pytest
            from agentsnap import Snapshot

            @pytest.mark.parametrize("n", range(3))
            def test_many(run_snapshot, n):
                run_snapshot.check(Snapshot(error=str(n)))
            """
        )
        options = ("-p", "agentsnap.testing", "-p", "no:cacheprovider", "-n", "1")
        written = pytester.runpytest_inprocess(*options)
        written.assert_outcomes(passed=3)
        written.stdout.fnmatch_lines(["*run snapshots written*", "__snapshots__/test_it.test_many*"])

        assert len(os.listdir(pytester.path / "__snapshots__")) == 3
        self.outcome(pytester).assert_outcomes(passed=3)
