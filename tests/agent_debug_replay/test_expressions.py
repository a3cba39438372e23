"""The expression language: what it takes, what it refuses and where, and what it means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_debug_replay import FIELDS, MISSING, Expression, ExpressionError, Navigator, Replay
from agent_debug_replay._expr._nodes import Binary, Field, Is, Literal, Not, Text, written
from agent_debug_replay._expr._parser import parse
from agent_debug_replay._expr._pattern import MAX_PATTERN, PatternError, compile_pattern
from tests.agent_debug_replay.replay_logs import agent, begun, event, llm, start, tool, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATHS = [name for name, info in FIELDS.items() if info.has_paths]


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Replay]:
    path = write(
        tmp_path / "run.jsonl",
        start(),
        event(1, 0.0, "user_message", data={"text": "Fix the build"}),
        llm(2, 2.0, duration_ms=1_500.0, usage={"input": {"text": 7}}, attrs={"odd key": [1, {"a": None}]}),
        tool(
            3,
            10.0,
            input={"command": "make test", "paths": ["a.py", "b.py"]},
            output="Ran\nFAILED x",
            error="exit 2",
        ),
        begun(4, 11.0, "agent_call", agent="helper"),
        tool(
            5,
            12.0,
            tool="read_file",
            parent=4,
            output=[{"type": "text", "text": "Hello World"}],
            duration_ms=None,
        ),
        llm(6, 13.0, model="m-2", input_tokens=None, stop_reason="max_tokens", parent=4, attempt=2),
        agent(4, 14.0),
    )
    with Replay.open(path) as opened:
        yield opened


def rows(replay: Replay, text: str) -> list[int]:
    """The steps an expression holds on."""
    holds = Expression(text).condition(replay)
    return [row.step for row in replay.rows if holds(row.row)]


class TestMeaning:
    @pytest.mark.parametrize(
        ("text", "steps"),
        [
            ("type == 'tool_call'", [3, 5]),
            ('tool == "bash"', [3]),
            ("tool != 'bash'", [5]),
            ("model == 'm-1' or model == 'm-2'", [2, 6]),
            ("error", [3]),
            ("not error", [1, 2, 4, 5, 6]),
            ("error is missing", [1, 2, 4, 5, 6]),
            ("error is not missing", [3]),
            ("error contains 'EXIT'", [3]),
            ("ms > 1s", [2]),
            ("duration >= 50ms and duration <= 0.1s", [3, 6]),
            ("1s < ms", [2]),
            ("ms is missing", [1, 5]),
            ("input_tokens > 50", [2]),
            ("not (input_tokens > 50)", [1, 3, 4, 5, 6]),
            ("tokens == 110", [2]),
            ("output_tokens * 2 + 1 == 21", [2, 6]),
            ("agent == 'helper'", [4, 5, 6]),
            ("depth == 1", [5, 6]),
            ("step % 2 = 0", [2, 4, 6]),
            ("row < 2", [1, 2]),
            ("time >= 11s", [4, 5, 6]),
            ("gap > 5s", [3]),
            ("stop_reason == 'max_tokens'", [6]),
            ("truncated", [6]),
            ("retry", [6]),
            ("event ~ '^user'", [1]),
            ("name ~ '(?i)READ|BASH'", [3, 5]),
            ("name !~ 'a'", [2, 4, 6]),
            ("input.command contains 'make'", [3]),
            ("input.paths[1] == 'b.py'", [3]),
            ("input.paths[-1] == 'b.py'", [3]),
            ("input.paths contains 'A.PY'", [3]),
            ("input.nothing is missing", [1, 2, 3, 4, 5, 6]),
            ("output ~ '^FAILED'", [3]),
            ("output contains 'hello'", [5]),
            ("text(output) == 'text\\nHello World'", [5]),
            ("data.text == 'Fix the build'", [1]),
            ("usage.input.text == 7", [2]),
            ('attrs."odd key"[1].a == null', [2]),
            ('attrs."odd key"[1].a is missing', [1, 3, 4, 5, 6]),
            ("record.tool == 'bash'", [3]),
            ("status == 'error'", [3]),
            ("size > 0", [1, 2, 3, 4, 5, 6]),
            ("true and not false", [1, 2, 3, 4, 5, 6]),
            ("null or 0 or ''", []),
        ],
    )
    def test_holds_on_these_steps(self, replay: Replay, text: str, steps: list[int]) -> None:
        assert rows(replay, text) == steps

    @pytest.mark.parametrize("sign", ["==", "!=", "<", "<=", ">", ">="])
    def test_a_comparison_with_something_missing_is_false(self, replay: Replay, sign: str) -> None:
        assert rows(replay, f"attempt {sign} 0") == ([6] if sign in ("!=", ">", ">=") else [])
        assert rows(replay, f"ttft {sign} ttft") == []

    @pytest.mark.parametrize(
        "text", ["tool > 3", "ms > 'a'", "input == 3", "output contains 3", "type ~ 'x'"]
    )
    def test_values_that_do_not_compare_are_not_equal_and_no_error(self, replay: Replay, text: str) -> None:
        assert rows(replay, text) == []

    @pytest.mark.parametrize("text", ["step / 0", "ttft + 1", "tool * 2", "1e300 * 1e300", "step % 0"])
    def test_arithmetic_that_has_no_answer_is_missing(self, replay: Replay, text: str) -> None:
        assert Expression(text).value(replay)(2) is MISSING

    def test_values(self, replay: Replay) -> None:
        navigator = Navigator(replay)
        assert navigator.value("input.command", 2) == "make test"
        assert navigator.value("1.5k + 2", 0) == 1502
        assert navigator.value("5% * 200", 0) == 10
        assert navigator.value("'a' + 'b'", 0) == "ab"
        assert navigator.value("-ms", 2) == -50
        assert navigator.value("ts - ts", 1) == 0
        assert navigator.value("output", 2) == "Ran\nFAILED x"
        assert navigator.value("tool_calls", 1) is MISSING
        assert repr(MISSING) == "missing"

    @pytest.mark.parametrize("name", FIELDS)
    def test_every_field_is_read_on_every_step(self, replay: Replay, name: str) -> None:
        read = Expression(name).value(replay)
        for row in replay.rows:
            read(row.row)

    def test_what_was_not_recorded_as_a_step_in_flight_comes_from_its_beginning(self, tmp_path: Path) -> None:
        path = write(tmp_path / "x.jsonl", start(), begun(1, tool="bash", input={"command": "ls"}))
        with Replay.open(path) as replay:
            assert rows(replay, "input.command == 'ls' and in_flight and status == 'in_flight'") == [1]


class TestJsonInTexts:
    """What tools bring back is often JSON as a text: a path leads into it."""

    @pytest.fixture
    def replay(self, tmp_path: Path) -> Iterator[Replay]:
        outputs: list[Any] = [
            ' {"user": {"city": "Austin"}, "ids": ["a", "b"]}',
            '[{"n": 1}, {"n": 2}]',
            "{not json",
            '{"a": "{\\"b\\": 3}"}',
            "[" * 20_000 + "]" * 20_000,
            {"text": '{"n": 7}'},
            '"only a text"',
        ]
        steps = [tool(n, n, output=output) for n, output in enumerate(outputs, 1)]
        with Replay.open(write(tmp_path / "run.jsonl", start(), *steps)) as opened:
            yield opened

    @pytest.mark.parametrize(
        ("text", "steps"),
        [
            ("output.user.city == 'Austin'", [1]),
            ("output.ids[-1] == 'b'", [1]),
            ("output[1].n == 2", [2]),
            ("output.a.b == 3", [4]),
            ("output.text.n == 7", [6]),
            ("output[0][0] is not missing", []),  # nested too deep to be read
            ("output.not is missing", [1, 2, 3, 4, 5, 6, 7]),
            ("output contains 'Austin'", [1]),
        ],
    )
    def test_holds_on_these_steps(self, replay: Replay, text: str, steps: list[int]) -> None:
        assert rows(replay, text) == steps


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "column", "why"),
        [
            ("", 0, "An expression is missing"),
            ("tol == 'x'", 0, "There is no field 'tol'; did you mean tool?"),
            ("ms > ", 5, "A value is missing"),
            ("ms > 5 7", 7, "'7' is not expected here"),
            ("(ms > 5", 7, "A ')' is missing"),
            ("error && ms", 6, "Write 'and'"),
            ("ms > 5x", 5, "This is no number; units are ms s m h d, k M G and %"),
            ("tool == 'a", 8, "This string has no end"),
            ("1 < ms < 3", 7, "Join comparisons with 'and'"),
            ("tool ~ name", 7, 'A regular expression is a string: tool ~ "^read"'),
            ("tool ~ 'a(b'", 9, "This '(' is not closed"),
            ("tool ~ '(a)\\1'", 8, "Back references are not supported: they can take for ever"),
            ("tool ~ '(?=a)'", 8, "Groups are (...), (?:...) and (?P<name>...); (?i) stands first"),
            ("ms.x == 1", 0, f"'ms' has no parts; paths lead into {', '.join(sorted(PATHS))}"),
            ("ms is 3", 6, "Write 'is missing' or 'is not missing'"),
            ("and", 0, "'and' is no value"),
            ("input. == 3", 5, 'A path goes on with .key, ."key" or [0]'),
            ("ms # 3", 3, "'#' means nothing here"),
            ("'x' in output", 4, "Write it the other way round: output contains 'x'"),
            ('ms > 5 and "a b" in input.k', 17, 'Write it the other way round: input.k contains "a b"'),
            ("tool in", 7, "A value is missing"),
        ],
    )
    def test_point_at_the_column(self, text: str, column: int, why: str) -> None:
        with pytest.raises(ExpressionError) as caught:
            Expression(text)

        assert (caught.value.why, caught.value.column) == (why, column)

    def test_show_the_place(self) -> None:
        with pytest.raises(ExpressionError) as caught:
            Expression("ms > 5 and tol")

        assert caught.value.pointer == (
            "ms > 5 and tol\n           ^\nThere is no field 'tol'; did you mean tool?"
        )
        assert str(caught.value).endswith("(at column 12 of 'ms > 5 and tol').")

    @pytest.mark.parametrize("text", ["(" * 5_000, "not " * 2_000 + "error", "-" * 3_000 + "1", "x" * 5_000])
    def test_what_is_too_deep_or_too_long_is_refused(self, text: str) -> None:
        with pytest.raises(ExpressionError):
            Expression(text)

    @given(st.text(max_size=60))
    @settings(max_examples=150, deadline=None)
    def test_nothing_but_its_own_error_is_ever_raised(self, text: str) -> None:
        try:
            Expression(text)
        except ExpressionError as error:
            place = error.column
        else:
            place = 0
        assert 0 <= place <= len(text)

    @given(
        st.lists(
            st.sampled_from(
                [
                    "ms",
                    "tool",
                    "input.a[0]",
                    "and",
                    "or",
                    "not",
                    "(",
                    ")",
                    "==",
                    "~",
                    "contains",
                    "is",
                    "missing",
                    *("5s", "'x'", "+", "-", "*", "text", "null", ",", "%"),
                ]
            ),
            max_size=14,
        )
    )
    @settings(max_examples=150, deadline=None)
    def test_nor_for_words_of_the_language_in_any_order(self, words: list[str]) -> None:
        try:
            expression = Expression(" ".join(words))
        except ExpressionError:
            return
        assert Expression(str(expression)) == expression


def _nodes() -> st.SearchStrategy[Any]:
    literals = st.one_of(
        st.integers(-(10**12), 10**12),
        st.booleans(),
        st.none(),
        st.text(max_size=6),
        st.just(0.5),
        st.just(1e20),
    ).map(Literal)
    keys = st.one_of(st.text(max_size=4), st.integers(-9, 9))
    fields = st.one_of(
        st.sampled_from(sorted(set(FIELDS) - set(PATHS))).map(Field),
        st.builds(Field, st.sampled_from(PATHS), st.lists(keys, max_size=3).map(tuple)),
    )

    def above(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        signs = st.sampled_from(["or", "and", "==", "!=", "<", ">=", "contains", "+", "-", "*", "/", "%"])
        return st.one_of(
            st.builds(Binary, signs, inner, inner),
            st.builds(Not, inner),
            st.builds(Is, inner, st.booleans()),
            st.builds(Text, inner),
            st.builds(Binary, st.just("~"), inner, st.just(Literal("a+"))),
        )

    return st.recursive(st.one_of(literals, fields), above, max_leaves=10)


class TestWriting:
    @given(_nodes())
    @settings(max_examples=150, deadline=None)
    def test_a_tree_written_down_parses_to_itself(self, node: Any) -> None:
        assert parse(written(node), FIELDS, PATHS) == node

    def test_expressions_that_say_the_same_are_equal(self) -> None:
        assert Expression("ms>5s") == Expression(" ms  >  5000 ")
        assert len({Expression("error"), Expression("(error)")}) == 1
        assert repr(Expression("ms>5s")) == "Expression('ms > 5000')"


_SAFE = st.recursive(
    st.sampled_from(
        ["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", r"\s", "^", "$", r"\b", "1", " ", r"\n", r"\."]
    ),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + "|".join(parts) + ")"),
        st.builds(
            lambda part, count: f"(?:{part}){count}",
            inner,
            st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "*?"]),
        ),
    ),
    max_leaves=5,
)


class TestPatterns:
    @given(_SAFE, st.text("ab1 \n.", max_size=8))
    @settings(max_examples=200, deadline=None)
    def test_find_what_the_library_finds(self, pattern: str, text: str) -> None:
        assert compile_pattern(pattern)(text) == bool(re.search(pattern, text, re.MULTILINE))

    @pytest.mark.parametrize(
        "pattern", ["(a+)+$", "(a|a)*b", "(a*)*c", "a*a*a*a*a*a*b", "(.*a){20}", r"\s+$"]
    )
    def test_what_makes_the_library_hang_is_answered(self, pattern: str) -> None:
        assert compile_pattern(pattern)("a" * 20_000 + "!") is (pattern == "(.*a){20}")

    def test_case_is_ignored_on_request(self) -> None:
        assert compile_pattern("(?i)straße|ÄB")("x äb")
        assert compile_pattern("(?i)[A-C]x")("bX")
        assert not compile_pattern("ÄB")("äb")
        assert compile_pattern("(?s)a.b")("a\nb")
        assert not compile_pattern("a.b")("a\nb")

    @pytest.mark.parametrize(
        "pattern",
        [
            "(",
            ")",
            "[a",
            "*a",
            "a**",
            "a{3,1}",
            "(?<=a)b",
            r"\1",
            "[b-a]",
            r"\q",
            r"\x1",
            "(" * 60,
            "(a{900}){900}",
        ],
    )
    def test_what_is_no_pattern_says_where(self, pattern: str) -> None:
        with pytest.raises(PatternError) as caught:
            compile_pattern(pattern)
        assert 0 <= caught.value.column <= len(pattern)

    def test_long_ones_are_refused(self) -> None:
        with pytest.raises(PatternError, match="at most 500 characters"):
            compile_pattern("a" * (MAX_PATTERN + 1))

    @given(st.text(max_size=30))
    @settings(max_examples=150, deadline=None)
    def test_any_text_is_a_pattern_or_refused(self, pattern: str) -> None:
        try:
            compile_pattern(pattern)("abc\n\x00ü")
        except PatternError as error:
            place = error.column
        else:
            place = 0
        assert 0 <= place <= len(pattern)
