from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_run_id import RunLink, run_from_env, step_span_id
from agent_run_id._links import parse_traceparent, parse_tracestate, quote, unquote

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"

# An independent reading of W3C Trace Context, as a pattern.
W3C = re.compile(
    r"[ \t]*(?!ff)(?P<version>[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<rest>-[\s\S]*?)?[ \t]*"
)


def reference(text: str) -> tuple[str, str, int] | None:
    found = W3C.fullmatch(text)
    if found is None or (found["version"] == "00" and found["rest"] is not None):
        return None
    return found["trace"], found["span"], int(found["flags"], 16) & 3


class TestParseTraceparent:
    def test_reads_the_example_of_the_standard(self) -> None:
        assert parse_traceparent(f"00-{TRACE}-{SPAN}-01") == (TRACE, SPAN, 1)

    @pytest.mark.parametrize(
        ("flags", "read"), [("00", 0), ("01", 1), ("02", 2), ("03", 3), ("ff", 3), ("fc", 0)]
    )
    def test_keeps_the_two_flags_it_knows(self, flags: str, read: int) -> None:
        assert parse_traceparent(f"00-{TRACE}-{SPAN}-{flags}") == (TRACE, SPAN, read)

    @pytest.mark.parametrize(
        "text", [f" \t00-{TRACE}-{SPAN}-01 ", f"01-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-x"]
    )
    def test_accepts_white_space_around_and_higher_versions(self, text: str) -> None:
        assert parse_traceparent(text) == (TRACE, SPAN, 1)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "00",
            f"ff-{TRACE}-{SPAN}-01",
            f"00-{TRACE}-{SPAN}-01-x",
            f"00-{TRACE}-{SPAN}-01-",
            f"00-{TRACE}-{SPAN}-0",
            f"00-{TRACE}-{SPAN}-1g",
            f"00-{TRACE.upper()}-{SPAN}-01",
            f"00-{'0' * 32}-{SPAN}-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"00_{TRACE}_{SPAN}_01",
            f"00-{TRACE}-{SPAN}-01\n",
            f"01-{TRACE}-{SPAN}-01x",
            f"0-{TRACE}-{SPAN}-01-",
            f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
            f"0\u0660-{TRACE}-{SPAN}-01",
        ],
    )
    def test_ignores_the_whole_of_a_malformed_one(self, text: str) -> None:
        assert parse_traceparent(text) is None
        assert reference(text) is None

    @pytest.mark.parametrize("value", [None, 7, b"00", ["x"], object()])
    def test_ignores_what_is_no_string(self, value: object) -> None:
        assert parse_traceparent(value) is None

    @given(
        st.from_regex(W3C, fullmatch=True)
        | st.text()
        | st.text(alphabet="0123456789abcdef-fF \t", max_size=70)
    )
    @settings(deadline=None)
    def test_agrees_with_an_independent_reading(self, text: str) -> None:
        assert parse_traceparent(text) == reference(text)

    @given(st.data())
    @settings(deadline=None)
    def test_agrees_after_any_one_character_changes(self, data: st.DataObject) -> None:
        text = f"00-{TRACE}-{SPAN}-01"
        place = data.draw(st.integers(0, len(text) - 1))
        text = text[:place] + data.draw(st.characters()) + text[place + 1 :]

        assert parse_traceparent(text) == reference(text)

    @given(
        st.integers(1, 2**128 - 1).map("{:032x}".format),
        st.integers(1, 2**64 - 1).map("{:016x}".format),
        st.integers(0, 3),
    )
    def test_reads_back_what_a_link_writes(self, trace: str, span: str, flags: int) -> None:
        link = RunLink(trace_id=trace, span_id=span, trace_flags=flags)

        assert parse_traceparent(link.traceparent) == (trace, span, flags)


class TestParseTracestate:
    @pytest.mark.parametrize("text", ["a=1", "a=1, b=2", ",".join(f"v{n}=x" for n in range(32))])
    def test_passes_on_what_vendors_put_there(self, text: str) -> None:
        assert parse_tracestate(text) == text

    @pytest.mark.parametrize(
        "text", [None, "", "  ", "a=é", "a=1\r\nx: y", "a" * 4097, ",".join("a=1" for _ in range(33))]
    )
    def test_drops_what_could_do_harm(self, text: object) -> None:
        assert parse_tracestate(text) is None


class TestQuote:
    @given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=150))
    @settings(deadline=None)
    def test_any_string_goes_there_and_back_as_plain_ascii(self, text: str) -> None:
        quoted = quote(text)

        assert quoted is not None
        assert re.fullmatch(r"[A-Za-z0-9_.~%-]+", quoted)
        assert unquote(quoted) == text

    @pytest.mark.parametrize("text", ["", "x" * 2049, "é" * 1000])
    def test_what_is_too_long_to_carry_is_not(self, text: str) -> None:
        assert quote(text) is None

    @pytest.mark.parametrize("text", [None, "", "%ff", "%C3", "x" * 2049, "\udcff%20"])
    def test_what_it_cannot_have_made_is_nothing(self, text: object) -> None:
        assert unquote(text) is None

    def test_stray_percent_signs_are_kept(self) -> None:
        assert unquote("100%") == "100%"


class TestRunLink:
    def test_without_a_trace_has_the_ones_of_root_and_step(self) -> None:
        link = RunLink("r", step=3, root_run_id="top")

        assert link.root_run_id is not None
        assert link.traceparent == f"00-{link.root_run_id.trace_id}-{step_span_id('r', 3)}-01"

    def test_of_nothing_has_no_traceparent(self) -> None:
        assert RunLink().traceparent is None

    def test_equals_its_like_and_pickles(self) -> None:
        link = RunLink("r", step=3, session_id="s", trace_id=TRACE, span_id=SPAN, tracestate="a=1")

        assert pickle.loads(pickle.dumps(link)) == link
        assert len({link, pickle.loads(pickle.dumps(link))}) == 1
        assert link != RunLink("r", step=4)
        assert link != "r"

    def test_repr_names_the_place(self) -> None:
        assert repr(RunLink("r", step=3, trace_id=TRACE)) == f"<RunLink run_id=r step=3 trace_id={TRACE}>"


class TestRunFromEnv:
    def test_reads_all_variables(self) -> None:
        link = run_from_env(
            {
                "AGENT_STEP_LOG_RUN_ID": "my%20run",
                "AGENT_STEP_LOG_ROOT_RUN_ID": "top",
                "AGENT_STEP_LOG_PARENT_STEP": "12",
                "AGENT_STEP_LOG_SESSION_ID": "s",
                "TRACEPARENT": f"00-{TRACE}-{SPAN}-03",
                "TRACESTATE": "a=1",
            }
        )

        assert link == RunLink(
            "my run",
            step=12,
            root_run_id="top",
            session_id="s",
            trace_id=TRACE,
            span_id=SPAN,
            trace_flags=3,
            tracestate="a=1",
        )

    def test_nothing_set_is_no_parent(self) -> None:
        assert run_from_env({}) is None

    def test_foreign_traceparent_is_never_a_run(self) -> None:
        link = run_from_env({"TRACEPARENT": f"00-{TRACE}-{SPAN}-01"})

        assert link is not None
        assert (link.run_id, link.root_run_id, link.trace_id, link.span_id) == (None, None, TRACE, SPAN)

    def test_tracestate_goes_with_an_invalid_traceparent(self) -> None:
        link = run_from_env({"AGENT_STEP_LOG_RUN_ID": "r", "TRACEPARENT": "junk", "TRACESTATE": "a=1"})

        assert link is not None
        assert (link.run_id, link.incoming_trace_id, link.tracestate) == ("r", None, None)

    @pytest.mark.parametrize("step", ["", "0", "-1", "1.5", "٣", "1_0", " 1", "x", "9" * 17])
    def test_step_that_is_none_is_not_known(self, step: str) -> None:
        link = run_from_env({"AGENT_STEP_LOG_RUN_ID": "r", "AGENT_STEP_LOG_PARENT_STEP": step})

        assert link is not None
        assert link.step is None

    @given(
        st.dictionaries(
            st.sampled_from(
                [
                    "AGENT_STEP_LOG_RUN_ID",
                    "AGENT_STEP_LOG_PARENT_STEP",
                    "AGENT_STEP_LOG_ROOT_RUN_ID",
                    "AGENT_STEP_LOG_SESSION_ID",
                    "TRACEPARENT",
                    "TRACESTATE",
                ]
            ),
            st.text(),
        )
    )
    @settings(deadline=None)
    def test_never_raises(self, env: dict[str, str]) -> None:
        link = run_from_env(env)

        assert link is None or link.run_id != ""
