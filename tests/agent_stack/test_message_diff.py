"""Two requests compared: what the difference is, and where it breaks the provider's prompt cache."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_stack._conversation import Diff, compare, conversation_of
from agent_stack._render.wire_diff import verdict
from agent_stack._text_diff import diff_lines
from tests.agent_stack.wire_tapes import HISTORY, TOOLS, request, write_tape

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli

MORE: list[dict[str, Any]] = [
    {"role": "assistant", "content": "The disk is full."},
    {"role": "user", "content": "Delete the core dumps."},
]


def diff(before: Any, after: Any, api: str = "anthropic.messages") -> Diff:
    return compare(conversation_of(api, before), conversation_of(api, after))


def told(found: Diff) -> list[tuple[str, int | None, int | None]]:
    return [(change.kind, change.before, change.after) for change in found.changes]


class TestKept:
    def test_a_history_that_grows_keeps_the_cache(self) -> None:
        found = diff(request(HISTORY), request(HISTORY + MORE))
        assert found.breaks is None
        assert told(found) == [("added", None, 4), ("added", None, 5)]
        assert verdict(found, "1", "2") == "cache kept: 3 of 5 messages unchanged"

    def test_the_same_request_again(self) -> None:
        found = diff(request(HISTORY), request(HISTORY))
        assert verdict(found, "1", "2") == "cache kept: 2 is 1 again, all 3 messages unchanged"

    def test_a_marker_that_moves_changes_nothing(self) -> None:
        before, after = copy.deepcopy(HISTORY), copy.deepcopy(HISTORY + MORE)
        before[2]["content"][0]["cache_control"] = {"type": "ephemeral"}
        after[4]["content"] = [
            {"type": "text", "text": MORE[1]["content"], "cache_control": {"type": "ephemeral"}}
        ]
        system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
        tools = [TOOLS[0], {**TOOLS[1], "cache_control": {"type": "ephemeral"}}]
        found = diff(request(before), request(after, system=system, tools=tools))
        assert (found.breaks, found.system, found.tools_changed) == (None, "same", [])
        assert (found.before.markers, found.after.markers) == ([3], [0, 5])

    def test_a_text_that_becomes_a_list_of_it_is_the_same(self) -> None:
        after = copy.deepcopy(HISTORY)
        after[0]["content"] = [{"type": "text", "text": after[0]["content"], "cache_control": {"type": "x"}}]
        assert told(diff(request(HISTORY), request(after))) == []

    def test_a_last_message_that_goes_on_keeps_what_is_before(self) -> None:
        after = copy.deepcopy(HISTORY)
        after[2]["content"].append({"type": "text", "text": "And hurry."})
        found = diff(request(HISTORY), request(after))
        assert (found.breaks, told(found)) == (None, [("extended", 3, 3)])

    def test_settings_that_are_no_part_of_the_prompt_do_not_break_it(self) -> None:
        found = diff(request(HISTORY), request(HISTORY, max_tokens=9, temperature=0.5))
        assert found.breaks is None
        assert next((name, old) for name, old, _ in found.settings) == ("max_tokens", 1024)


class TestBroken:
    @pytest.mark.parametrize(
        ("after", "sentence"),
        [
            (request(HISTORY, model="other"), "its very beginning: another model: claude-x → other"),
            (request(HISTORY, tools=TOOLS[:1]), "the tools: grep dropped"),
            (request(HISTORY, tools=TOOLS[::-1]), "the tools: another order"),
            (request(HISTORY, tools=[{**TOOLS[0], "x": 1}, TOOLS[1]]), "the tools: read_file changed"),
            (request(HISTORY, system="Be long."), "the system prompt: changed"),
            (request(HISTORY, tool_choice={"type": "any"}), "the first message: tool_choice changed"),
            (request(HISTORY[1:]), "message 1 (user): dropped"),
            (request([MORE[1], *HISTORY]), "message 1 (user): a message was put in before it"),
            (request([HISTORY[1], HISTORY[0], HISTORY[2]]), "message 1 (user): "),
        ],
    )
    def test_the_first_difference_is_named(self, after: Any, sentence: str) -> None:
        found = verdict(diff(request(HISTORY), after), "1", "2")
        assert found.startswith(f"cache breaks at {sentence}")

    def test_a_changed_message_is_compared_word_by_word(self) -> None:
        after = copy.deepcopy(HISTORY + MORE)
        after[0]["content"] = "Why does the weekly job fail?"
        found = diff(request(HISTORY), request(after))
        assert verdict(found, "1", "2") == "cache breaks at message 1 (user): changed"
        assert told(found)[0] == ("changed", 1, 1)
        removed, added = found.lines(found.changes[0])
        assert [text for text, is_changed in removed.spans if is_changed] == ["nightly"]
        assert [text for text, is_changed in added.spans if is_changed] == ["weekly"]

    def test_a_compacted_history_drops_what_it_left_out(self) -> None:
        summary = {"role": "user", "content": "Summary of what was before: the disk is full."}
        found = diff(request(HISTORY + MORE), request([summary, *MORE]))
        assert [kind for kind, _, _ in told(found)].count("dropped") >= 2
        assert not any(before in (4, 5) for _, before, _ in told(found))

    def test_a_message_that_moves_is_no_other_one(self) -> None:
        a, b, c = ({"role": "user", "content": word * 9} for word in ("alpha ", "beta ", "gamma "))
        assert told(diff(request([a, b, c]), request([b, c, a]))) == [("moved", 1, 3)]


class TestShapes:
    def test_tools_are_known_by_name_in_every_shape(self) -> None:
        shapes: list[tuple[str, dict[str, Any]]] = [
            ("openai.chat", {"tools": [{"type": "function", "function": {"name": "grep"}}]}),
            ("openai.responses", {"tools": [{"type": "function", "name": "grep"}]}),
            ("gemini.generate_content", {"tools": [{"functionDeclarations": [{"name": "grep"}]}]}),
            ("bedrock.converse", {"toolConfig": {"tools": [{"toolSpec": {"name": "grep"}}]}}),
        ]
        for api, body in shapes:
            found = diff({"messages": [], "model": "m"}, {"messages": [], "model": "m", **body}, api)
            assert found.tools_added == ["grep"], api

    def test_the_system_message_of_a_chat_is_the_system_prompt(self) -> None:
        before = {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "q"}]}
        after = {"messages": [{"role": "system", "content": "b"}, {"role": "user", "content": "q"}]}
        found = diff(before, after, "openai.chat")
        assert (found.system, found.prefix, found.changes) == ("changed", 1, [])

    def test_two_apis_are_compared_by_what_they_say(self) -> None:
        one = conversation_of("anthropic.messages", {"model": "a", "messages": [HISTORY[0]]})
        other = conversation_of("openai.chat", {"model": "b", "messages": [HISTORY[0]]})
        found = compare(one, other)
        assert (found.prefix, found.changes) == (1, [])
        assert found.breaks is not None
        assert found.breaks.what == "another API: anthropic.messages → openai.chat"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool"]), "content": JSON}),
    max_size=8,
)
APIS = st.sampled_from(
    ["anthropic.messages", "openai.chat", "gemini.generate_content", "bedrock.converse", "unknown"]
)


class TestAnything:
    @settings(max_examples=60, deadline=None)
    @given(before=MESSAGES, after=MESSAGES, api=APIS)
    def test_every_message_is_accounted_for_once(self, before: Any, after: Any, api: str) -> None:
        found = diff({"messages": before}, {"messages": after}, api)
        for side, total in (("before", len(found.before.messages)), ("after", len(found.after.messages))):
            numbers = [getattr(change, side) for change in found.changes if getattr(change, side) is not None]
            assert len(numbers) == len(set(numbers))
            assert all(found.prefix < number <= total for number in numbers)
        for change in found.changes:
            found.lines(change)

    @settings(max_examples=60, deadline=None)
    @given(body=JSON, other=JSON, api=APIS)
    def test_no_body_is_too_strange(self, body: Any, other: Any, api: str) -> None:
        compare(conversation_of(api, body), conversation_of(api, other))

    @settings(max_examples=60, deadline=None)
    @given(
        before=st.lists(st.text(max_size=6), max_size=12), after=st.lists(st.text(max_size=6), max_size=12)
    )
    def test_both_texts_can_be_read_off_a_comparison(self, before: list[str], after: list[str]) -> None:
        lines = diff_lines(before, after)
        for text, sign in ((before, "-"), (after, "+")):
            shown = [line for line in lines if line.sign in (" ", sign, "…")]
            assert sum(line.same or 1 for line in shown) == len(text)
            at = 0
            for line in shown:
                assert line.sign == "…" or line.text == text[at]
                at += line.same or 1

    def test_huge_texts_take_no_time_to_speak_of(self) -> None:
        before = [f"a{number}" for number in range(30_000)]
        assert len(diff_lines(before, [f"b{number}" for number in range(30_000)])) == 60_000


DIFF_90 = """\
exchange 1 → 2                                        run_0193e2a51c4b7d3f9a6be1d2aaaa0001
──────────────────────────────────────────────────────────────────────────────────────────
     1  22:13:21  claude-x  3 messages, 662 B
     2  22:13:22  claude-x  5 messages, 742 B

▲ cache breaks at message 1 (user): changed
  0 messages before it can be read from the cache, 5 cannot

  ~ settings      max_tokens 1024 → 9
  = tools         unchanged, 2
  = system        unchanged, 1 line, 9 characters
  ~ 1 user        changed
                  - Why does the nightly job fail?
                  + Why does the weekly job fail?
  = 2-3           2 messages unchanged
  + 4 assistant   The disk is full.
  + 5 user        Delete the core dumps.
"""


class TestView:
    def test_the_whole_of_it(self, cli: Cli, tmp_path: Path) -> None:
        after = copy.deepcopy(HISTORY + MORE)
        after[0]["content"] = "Why does the weekly job fail?"
        write_tape(tmp_path / "logs", {"body": request(HISTORY)}, {"body": request(after, max_tokens=9)})

        out = cli("wire", "--diff", "1", "2", columns=90).out
        sizes = [len(json.dumps(body)) for body in (request(HISTORY), request(after, max_tokens=9))]
        assert out == DIFF_90.replace("662 B", f"{sizes[0]} B").replace("742 B", f"{sizes[1]} B")

    def test_json_says_the_same(self, cli: Cli, tmp_path: Path) -> None:
        write_tape(tmp_path / "logs", {"body": request(HISTORY)}, {"body": request(HISTORY + MORE, tools=[])})

        shape = cli("wire", "--diff", "1", "2", "--json").json()
        assert shape["cache"]["is_kept"] is False
        assert shape["cache"]["breaks_at"] == "tools"
        assert shape["tools"]["dropped"] == ["read_file", "grep"]
        kinds = [(each["kind"], each["after_number"], each["after"]) for each in shape["messages"]]
        assert kinds == [("added", 4, MORE[0]["content"]), ("added", 5, MORE[1]["content"])]

    def test_a_request_that_is_not_on_the_tape_cannot_be_compared(self, cli: Cli, tmp_path: Path) -> None:
        write_tape(tmp_path / "logs", {"body": request(HISTORY)}, {"body": request(HISTORY)}, content=False)

        result = cli("wire", "--diff", "1", "2")
        assert result.code == 2
        sentence = "The request of exchange 1 is not on the tape, so there is nothing to compare."
        assert result.err == f"agent-step-log: {sentence}\n"
