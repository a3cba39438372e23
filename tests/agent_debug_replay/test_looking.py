"""What the model saw, what was used, which files were touched: from the tape, from records, from steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_debug_replay import Message, Navigator, Replay
from agent_debug_replay._files_touched import files_named
from tests.agent_debug_replay.replay_logs import agent, begun, event, llm, start, tool, write
from tests.agent_stack.wire_tapes import ASK, HISTORY, whole_run, write_tape

if TYPE_CHECKING:
    from pathlib import Path


class TestFromTheTape:
    def log(self, tmp_path: Path, *, with_places: bool = True) -> Path:
        write_tape(tmp_path, *whole_run(), run_id="run-a")
        place: dict[int, Any] = {
            step: {"exchange": {"tape": "run-a.0a1b2c3d.tape.zst", "n": n}} if with_places else {}
            for step, n in ((1, 2), (3, 3))
        }
        return write(
            tmp_path / "run.jsonl", start(), llm(1, 1, **place[1]), tool(2, 2), llm(3, 5, **place[3])
        )

    @pytest.mark.parametrize("with_places", [True, False])
    def test_the_exchange_of_a_model_call(self, tmp_path: Path, with_places: bool) -> None:
        with Replay.open(self.log(tmp_path, with_places=with_places)) as replay:
            first, none, second = (replay.exchange(row) for row in range(3))
        assert first is not None
        assert second is not None
        # Of several attempts the one that counted.
        assert (first.n, none, second.n) == (2, None, 3)

    def test_the_messages_the_model_saw(self, tmp_path: Path) -> None:
        with Replay.open(self.log(tmp_path)) as replay:
            context = replay.context(2)
            before = replay.context(1)
        assert context.source == "tape"
        assert [message.role for message in context.messages] == [
            "system",
            "tools",
            "user",
            "assistant",
            "user",
        ]
        assert context.messages[2:] == tuple(Message(each["role"], each["content"]) for each in HISTORY)
        # A tool's step shows what led to it.
        assert before.row is not None
        assert (before.row.step, before.messages[-1].content) == (1, ASK["content"])

    def test_what_was_added_since_the_call_before(self, tmp_path: Path) -> None:
        with Replay.open(self.log(tmp_path)) as replay:
            added = replay.context(2, difference=True)
        assert (added.added, added.dropped, added.is_difference) == (2, 0, True)
        assert [message.role for message in added.messages] == ["assistant", "user"]

    def test_its_size_by_part(self, tmp_path: Path) -> None:
        with Replay.open(self.log(tmp_path)) as replay:
            size = replay.context_size(2)
        assert size.source == "tape"
        assert size.user == len(ASK["content"])
        assert min(size.tools, size.system, size.assistant, size.tool_output) > 0
        assert size.total == size.user + size.tools + size.system + size.assistant + size.tool_output

    def test_a_tape_named_elsewhere_is_not_opened(self, tmp_path: Path) -> None:
        (tmp_path / "sub").mkdir()
        write_tape(tmp_path, *whole_run(), run_id="run-a", name="x.tape.zst")
        exchange = {"tape": "../x.tape.zst", "n": 2}
        path = write(tmp_path / "sub" / "run.jsonl", start(), llm(1, 1, exchange=exchange))
        with Replay.open(path) as replay:
            assert replay.exchange(0) is None

    @pytest.mark.parametrize("content", [b"", b"no tape", b"\x28\xb5\x2f\xfd\x00\x00"])
    def test_a_damaged_tape_is_none(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "t.tape.zst").write_bytes(content)
        path = write(tmp_path / "run.jsonl", start(), llm(1, 1, exchange={"tape": "t.tape.zst", "n": 1}))
        with Replay.open(path) as replay:
            assert replay.exchange(0) is None
            assert replay.context(0).source == "none"

    def test_what_a_log_calls_an_exchange_may_be_anything(self, tmp_path: Path) -> None:
        odd: list[Any] = [
            7,
            "x",
            {"tape": 3},
            {"tape": "t", "n": True},
            {"tape": "", "n": 1},
            {"tape": "..", "n": 1},
        ]
        calls = [llm(number, number, exchange=place) for number, place in enumerate(odd, 1)]
        with Replay.open(write(tmp_path / "run.jsonl", start(), *calls)) as replay:
            assert [replay.exchange(row) for row in range(len(replay))] == [None] * len(odd)


class TestWithoutATape:
    def test_as_the_record_has_it(self, tmp_path: Path) -> None:
        recorded = {"system": "Be brief.", "messages": [{"role": "user", "content": "hi"}, {"odd": 1}]}
        path = write(tmp_path / "run.jsonl", start(), llm(1, 1, input=recorded), llm(2, 2, input="plain"))
        with Replay.open(path) as replay:
            first, second = replay.context(0), replay.context(1)
        assert (first.source, second.source) == ("record", "record")
        assert first.messages == (
            Message("system", "Be brief."),
            Message("user", "hi"),
            Message("user", {"odd": 1}),
        )
        assert second.messages == (Message("user", "plain"),)

    def test_put_together_from_the_steps_before(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "run.jsonl",
            start(),
            event(1, 1, "user_message", data={"text": "go"}),
            llm(2, 2, output="I will"),
            tool(3, 3, error="broken"),
            begun(4, 4, "agent_call", agent="helper", input="look"),
            tool(5, 5, parent=4, output="inside"),
            llm(6, 6, parent=4),
            agent(4, 7, input="look", output="found it"),
            llm(8, 8),
        )
        with Replay.open(path) as replay:
            outer, inner = replay.context(6), replay.context(5)
        assert outer.source == "steps"
        assert [(message.role, message.content, message.row) for message in outer.messages] == [
            ("user", "go", 0),
            ("assistant", "I will", 1),
            ("tool", "broken", 2),
            ("tool", "found it", 3),
        ]
        # A nested agent saw its task and its own steps.
        assert [(message.role, message.content) for message in inner.messages] == [
            ("user", "look"),
            ("tool", "inside"),
        ]

    def test_a_compaction_begins_it_anew(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "run.jsonl",
            start(),
            llm(1, 1, output="old"),
            event(2, 2, "compaction", data={"text": "so far"}),
            tool(3, 3, output="new"),
            llm(4, 4),
        )
        with Replay.open(path) as replay:
            assert [message.content for message in replay.context(3).messages] == ["so far", "new"]

    def test_what_a_call_before_was_sent_is_where_it_begins(self, tmp_path: Path) -> None:
        sent = [{"role": "user", "content": "afresh"}]
        path = write(
            tmp_path / "run.jsonl",
            start(),
            llm(1, 1, output="old"),
            llm(2, 2, input=sent, output="new"),
            tool(3, 3, output="found"),
            llm(4, 4),
        )
        with Replay.open(path) as replay:
            messages = [(message.role, message.content) for message in replay.context(3).messages]
            assert messages == [("user", "afresh"), ("assistant", "new"), ("tool", "found")]

    def test_of_a_user_played_by_a_model_only_the_words_are_heard(self, tmp_path: Path) -> None:
        thought = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "My bill?"}]
        path = write(
            tmp_path / "run.jsonl",
            start(),
            event(1, 1, "synthetic_message", data={"text": "Hello"}),
            llm(2, 2, agent="user", output=None, tool_calls=[{"id": "a", "name": "look"}]),
            tool(3, 3, agent="user", output="unread"),
            llm(4, 4, agent="user", output=thought),
            llm(5, 5, output="Which one?"),
            llm(6, 6, agent="user", output="The last."),
            llm(7, 7),
        )
        with Replay.open(path) as replay:
            to_agent = [(each.role, each.content) for each in replay.context(6).messages]
            to_user = [each.role for each in replay.context(5).messages]
            added = replay.context(6, difference=True)
        assert to_agent == [
            ("assistant", "Hello"),
            ("user", "My bill?"),
            ("assistant", "Which one?"),
            ("user", "The last."),
        ]
        assert to_user == ["user", "assistant", "tool", "assistant", "user"]
        assert [each.role for each in added.messages] == ["assistant", "user"]

    def test_there_is_no_call(self, tmp_path: Path) -> None:
        with Replay.open(write(tmp_path / "run.jsonl", start(), tool(1))) as replay:
            assert (replay.context(0).row, replay.context(0).source) == (None, "none")
            assert replay.call_before(0) is None


class TestTotals:
    def test_add_up_to_the_row(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "run.jsonl",
            start(),
            llm(1, 1, cache_read_tokens=40),
            tool(2, 2, error="x"),
            event(3, 3),
            llm(4, 4, input_tokens=None),
            begun(5, 5),
        )
        with Replay.open(path) as replay:
            first, last = replay.totals(0), replay.totals(4)
        assert (first.steps, first.llm_calls, first.input_tokens, first.tokens_known) == (1, 1, 100, True)
        assert (last.steps, last.llm_calls, last.tool_calls, last.errors, last.in_flight) == (4, 2, 2, 1, 1)
        assert (last.input_tokens, last.output_tokens, last.cache_read_tokens) == (100, 20, 40)
        assert not last.tokens_known
        assert last.elapsed_ms == 5_000.0

    def test_of_many_rows_are_those_of_one_pass(self, tmp_path: Path) -> None:
        records = [tool(n, n) if n % 3 else llm(n, n, input_tokens=n) for n in range(1, 10_000)]
        with Replay.open(write(tmp_path / "run.jsonl", start(), *records)) as replay:
            for row in (9_998, 0, 4_095, 4_096, 8_191, 5_000):
                calls = [n for n in range(1, row + 2) if n % 3 == 0]
                found = replay.totals(row)
                assert (found.steps, found.llm_calls, found.input_tokens) == (row + 1, len(calls), sum(calls))

    def test_cost_is_that_of_the_prices(self, tmp_path: Path) -> None:
        calls = [
            llm(1, 1, model="claude-sonnet-4-5", provider="anthropic"),
            llm(2, 2, model="nobody-knows-it"),
        ]
        with Replay.open(write(tmp_path / "run.jsonl", start(), *calls, tool(3, 3))) as replay:
            known, unknown, none = (replay.cost_usd(row) for row in range(3))
            assert known is not None
            assert known > 0
            assert (unknown, none) == (None, None)
            assert (replay.totals(0).cost_usd, replay.totals(0).is_cost_whole) == (known, True)
            assert (replay.totals(2).cost_usd, replay.totals(2).is_cost_whole) == (known, False)
            navigator = Navigator(replay)
            assert navigator.value("cost", 0) == known

    def test_growth_tells_each_prompt_and_where_the_history_was_cut(self, tmp_path: Path) -> None:
        calls = [llm(1, 1, input_tokens=900), llm(2, 2, input_tokens=1_000), llm(3, 3, input_tokens=300)]
        more = [event(4, 4, "compaction"), llm(5, 5, input_tokens=None), tool(6, 6)]
        with Replay.open(write(tmp_path / "run.jsonl", start(), *calls, *more)) as replay:
            points = replay.growth()
        assert [(point.row, point.input_tokens, point.is_compacted) for point in points] == [
            (0, 900, False),
            (1, 1_000, False),
            (2, 300, True),
            (4, None, True),
        ]

    def test_growth_takes_no_other_agent_s_prompt_for_a_cut(self, tmp_path: Path) -> None:
        prompts = [(900, None), (300, "user"), (950, None), (320, "user")]
        calls = [
            llm(n, n, input_tokens=into, agent=agent_name) for n, (into, agent_name) in enumerate(prompts, 1)
        ]
        with Replay.open(write(tmp_path / "run.jsonl", start(), *calls)) as replay:
            assert [point.is_compacted for point in replay.growth()] == [False] * 4


def _values() -> st.SearchStrategy[Any]:
    plain = st.one_of(st.none(), st.text(max_size=9), st.integers())
    keys = st.sampled_from(["path", "input", "command", "x"])
    return st.recursive(
        plain,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    )


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "given", "expected"),
        [
            ("Read", {"file_path": "/a.py"}, [("/a.py", "read")]),
            ("Edit", {"file_path": "/a.py", "old_string": "x"}, [("/a.py", "written")]),
            ("NotebookEdit", {"notebook_path": "/n.ipynb"}, [("/n.ipynb", "written")]),
            ("str_replace_editor", {"command": "view", "path": "/a"}, [("/a", "read")]),
            ("str_replace_editor", {"command": "create", "path": "/a"}, [("/a", "written")]),
            ("Grep", {"path": "src"}, [("src", "named")]),
            ("bash", {"command": "ls"}, []),
            (
                "apply_patch",
                "*** Begin Patch\n*** Update File: a.py\n@@\n*** Add File: b.py\n+x\n*** End Patch",
                [("a.py", "written"), ("b.py", "written")],
            ),
            (
                "shell",
                {"command": ["apply_patch", "*** Begin Patch\n*** Delete File: c.py\n"]},
                [("c.py", "written")],
            ),
            ("edit", {"diff": "--- a/x.py\n+++ b/x.py\n@@"}, [("x.py", "written")]),
            ("Read", {"file_path": 3}, []),
            ("Read", {"file_path": "a\nb"}, []),
            ("Read", None, []),
        ],
    )
    def test_that_a_call_names(self, name: str, given: Any, expected: list[tuple[str, str]]) -> None:
        assert list(files_named(name, given)) == expected

    @given(_values())
    def test_any_input_names_some_or_none(self, given_value: Any) -> None:
        assert all(isinstance(path, str) for path, _ in files_named("edit", given_value))

    def test_up_to_a_row_those_touched_last_at_the_end(self, tmp_path: Path) -> None:
        calls = [
            tool(1, 1, tool="Write", input={"file_path": "a"}),
            tool(2, 2, tool="Read", input={"file_path": "b"}),
            tool(3, 3, tool="Read", input={"file_path": "a"}),
        ]
        with Replay.open(write(tmp_path / "run.jsonl", start(), *calls)) as replay:
            after = replay.files(2)
            assert [(touch.path, touch.how, touch.row, touch.times) for touch in after] == [
                ("b", "read", 1, 1),
                ("a", "written", 2, 2),
            ]
            assert [touch.path for touch in replay.files(0)] == ["a"]

    def test_the_state_has_all_of_it(self, tmp_path: Path) -> None:
        calls = [llm(1, 1, input="go"), tool(2, 2, tool="Read", input={"path": "b"}, error="x"), tool(3, 3)]
        with Replay.open(write(tmp_path / "run.jsonl", start(), *calls)) as replay:
            state = replay.state(2)
        assert (state.row, state.call, state.source, state.last_error) == (2, 0, "record", 1)
        assert state.messages == (Message("user", "go"),)
        assert (state.totals.steps, state.files[0].path, state.context.user) == (3, "b", 2)


class TestSearch:
    def test_finds_text_whatever_its_case_and_escapes(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "run.jsonl",
            start(),
            tool(1, 1, output='say "Straße"\nend'),
            tool(2, 2, tool="grep_all"),
        )
        with Replay.open(path) as replay:
            for text, steps in (
                ("STRASSE", [1]),
                ('"straße"', [1]),
                ('"\nEND', [1]),
                ("GREP_", [2]),
                ("zzz", []),
            ):
                holds = replay.holds(text)
                assert [row.step for row in replay.rows if holds(row.row)] == steps, text
