"""The command grammar: what each line means, and where one is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_debug_replay import (
    CATCHES,
    TOPICS,
    AddBreak,
    AddCatch,
    AddWatch,
    AtPlace,
    CommandLineError,
    Expression,
    ExpressionError,
    Find,
    Go,
    GoMark,
    Look,
    Print,
    SetMark,
    SetStop,
    Show,
    Tabulate,
    Target,
    Until,
    Walk,
    parse_commands,
)

X = Expression


class TestLines:
    @pytest.mark.parametrize(
        ("text", "command"),
        [
            ("n", Walk("next")),
            ("next 3", Walk("next", 3)),
            ("rn", Walk("next", 1, is_reverse=True)),
            ("-n 2", Walk("next", 2, is_reverse=True)),
            ("n -2", Walk("next", 2, is_reverse=True)),
            ("rs", Walk("step", 1, is_reverse=True)),
            ("rc", Walk("continue", 1, is_reverse=True)),
            ("reverse", None),
            ("in", Walk("in")),
            ("up 2", Walk("out", 2)),
            ("out", Walk("out")),
            ("fin", Walk("finish")),
            ("turn +1", Walk("turn")),
            ("peer -1", Walk("peer", 1, is_reverse=True)),
            ("e", Walk("error")),
            ("until ms > 5s", Until(X("ms > 5s"))),
            ("runtil error", Until(X("error"), is_reverse=True)),
            ("-until error", Until(X("error"), is_reverse=True)),
            ("goto 12", Go(Target("step", 12))),
            ("g ab12:7", Go(Target("step", 7, "ab12"))),
            ("12", Go(Target("step", 12))),
            ("goto 12.5%", Go(Target("percent", 12.5))),
            ("goto @90", Go(Target("time", 90.0))),
            ("@2m", Go(Target("time", 120.0))),
            ("@1:02:03.5", Go(Target("time", 3723.5))),
            ("@2023-11-14T22:13:20+00:00", Go(Target("clock", 1_700_000_000.0))),
            ("goto toolu_01", Go(Target("id", "toolu_01"))),
            ("goto end", Go(Target("end"))),
            ("/a; b", [Find("a"), AddBreak]),
            ("?a 'b", Find("a 'b", is_reverse=True)),
            ("/", Find(None)),
            ("mark a-1", SetMark("a-1")),
            ("'a-1", GoMark("a-1")),
            ("break at tool:bash if ms > 2s", AddBreak(AtPlace("tool_call", "bash"), X("ms > 2s"))),
            ("b at llm", AddBreak(AtPlace("llm_call"))),
            ("break at *:bash", AddBreak(AtPlace(None, "bash"))),
            ("tbreak if error", AddBreak(None, X("error"), is_temporary=True)),
            ("break 12", AddBreak(step=Target("step", 12))),
            ("break error and tool ~ 'if x'", AddBreak(None, X("error and tool ~ 'if x'"))),
            ("watch model", AddWatch(X("model"))),
            ("catch error", AddCatch("error")),
            ("catch gap 1.5m", AddCatch("gap", 90_000.0)),
            ("catch budget 100k", AddCatch("budget", 100_000.0)),
            ("catch budget cost 0.5", AddCatch("budget", 0.5, "cost")),
            ("catch budget $2", AddCatch("budget", 2.0, "cost")),
            ("catch loop 5", AddCatch("loop", 5.0)),
            ("ignore 1 3", SetStop("ignore", (1,), 3)),
            ("enable", SetStop("enable")),
            ("disable 1 2", SetStop("disable", (1, 2))),
            ("cond 1 error", SetStop("condition", (1,), condition=X("error"))),
            ("condition 1", SetStop("condition", (1,))),
            ("info b", Show("stops")),
            ("p input.command", Print(X("input.command"))),
            ("pp output", Print(X("output"), is_whole=True)),
            ("display ms", Print(X("ms"), is_kept=True)),
            ("display", Show("displays")),
            ("undisplay", Show("undisplay")),
            ("log tool, ms if error", Tabulate((X("tool"), X("ms")), X("error"))),
            ("log text(output), 'a, if b'", Tabulate((X("text(output)"), X("'a, if b'")))),
            ("l", Look("list", 10)),
            ("list 4", Look("list", 4)),
            ("bt", Look("where")),
            ("ctx -d --full", Look("context", is_difference=True, is_whole=True)),
            ("wire", Look("wire")),
            ("wire resp", Look("wire", part="response")),
            ("wire sse --full", Look("wire", part="events", is_whole=True)),
            ("files", Look("files")),
            ("state", Look("state")),
            ("marks", Show("marks")),
            ("help break", Show("help", "break")),
            ("q", Show("quit")),
        ],
    )
    def test_mean(self, text: str, command: object) -> None:
        if command is None:
            with pytest.raises(CommandLineError):
                parse_commands(text)
        elif isinstance(command, list):
            with pytest.raises(CommandLineError, match="Write where"):
                parse_commands(text)
        else:
            assert parse_commands(text) == [command]

    def test_several_are_separated_by_semicolons_outside_of_quotes(self) -> None:
        found = parse_commands(" n ;; p 'a;b' ; /it's; c\n e ")
        assert found == [Walk("next"), Print(X("'a;b'")), Find("it's"), Walk("continue"), Walk("error")]

    def test_nothing_is_no_command(self) -> None:
        assert parse_commands("  ; ;") == []


class TestErrors:
    @pytest.mark.parametrize(
        ("text", "column", "why"),
        [
            ("n; brek", 3, "There is no command 'brek'; did you mean break or tbreak?"),
            ("xyzzy", 0, "There is no command 'xyzzy'; `help` lists the commands"),
            ("n two", 2, "A number is expected here"),
            ("c 3", 2, "'3' is not expected here"),
            ("break", 5, "Write where: break at tool:bash, break 12, break if error"),
            ("break at tol", 9, "A place is tool, llm, agent or event, or tool:NAME; did you mean tool?"),
            ("break at tool if mss > 3", 17, "There is no field 'mss'; did you mean ms?"),
            ("n; until ms >", 13, "A value is missing"),
            ("log tool, tol", 10, "There is no field 'tol'; did you mean tool?"),
            ("log tool if eror", 12, "There is no field 'eror'; did you mean error or record?"),
            ("catch eror", 6, f"There is nothing 'eror' to catch: {', '.join(CATCHES)}; did you mean error?"),
            ("catch error 5", 6, "catch error takes no '5'; a limit is a number such as 3, 30s or 100k"),
            ("ignore 1", 7, "Write the number of a stop, and how many hits: ignore 1 3"),
            ("delete one", 7, "'one' is no number"),
            ("goto", 4, "Write where to: a step, 50%, @30s, an id, start or end"),
            ("@noon", 0, "A time is @90s, @2m, @1:30 after the beginning, or a date and time"),
            ("mark a b", 5, "A mark is letters, digits, '_', '-' and '.'"),
            ("- list", 0, "'-' stands before a move: -n, -c, -until error"),
            ("wire all", 5, "wire takes req, resp or sse, and --full"),
            ("ctx all", 4, "ctx takes -d and --full"),
            ("info x", 5, "info lists the stops; `help` lists the commands"),
        ],
    )
    def test_point_at_the_column(self, text: str, column: int, why: str) -> None:
        with pytest.raises((CommandLineError, ExpressionError)) as caught:
            parse_commands(text)

        assert (caught.value.why, caught.value.column) == (why, column)
        assert caught.value.text == text

    @given(st.text(max_size=60))
    @settings(max_examples=150, deadline=None)
    def test_nothing_but_its_own_errors_is_ever_raised(self, text: str) -> None:
        try:
            parse_commands(text)
        except (CommandLineError, ExpressionError) as error:
            place = error.column
        else:
            place = 0
        assert 0 <= place <= len(text)

    @given(
        st.sampled_from([name for topic in TOPICS for name in topic.names] + ["r", "-", "@", "12"]),
        st.text("abc019 ;:@%'\"(),.-~=<>[]if", max_size=16),
    )
    @settings(max_examples=200, deadline=None)
    def test_nor_for_what_may_follow_a_command(self, name: str, rest: str) -> None:
        try:
            parse_commands(f"{name} {rest}")
        except (CommandLineError, ExpressionError) as error:
            place = error.column
        else:
            place = 0
        assert 0 <= place <= len(name) + 1 + len(rest)

    def test_too_many_are_refused(self) -> None:
        with pytest.raises(CommandLineError, match="at most 1,000 commands"):
            parse_commands("n;" * 2_000)


class TestTopics:
    def test_every_command_help_tells_is_one(self) -> None:
        needs = {
            "until": "error",
            "goto": "1",
            "break": "1",
            "tbreak": "1",
            "watch": "ms",
            "catch": "error",
            "ignore": "1 1",
            "condition": "1",
            "mark": "a",
            "'": "a",
            "note": "a",
            "save": "f",
            "load": "f",
            "export": "f",
            "print": "ms",
            "pp": "ms",
            "log": "ms",
        }
        for topic in TOPICS:
            for name in topic.names:
                assert len(parse_commands(f"{name} {needs.get(topic.names[0], '')}")) == 1, name
            if topic.reverse:
                assert len(parse_commands(f"{topic.reverse} {needs.get(topic.names[0], '')}")) == 1, (
                    topic.reverse
                )
