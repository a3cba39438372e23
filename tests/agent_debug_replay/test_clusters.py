"""Clusters as such: nothing lost, nothing twice, and what varies in a message left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_debug_replay import RunFailure, cluster_failures, message_shape

if TYPE_CHECKING:
    import random

MESSAGES = st.none() | st.sampled_from(["no key", "ended after 3 steps", "ended after 41 steps", "x"])
FAILURES = st.lists(
    st.builds(
        RunFailure,
        run_id=st.uuids().map(str),
        status=st.sampled_from(["error", "interrupted"]),
        error_type=st.none() | st.sampled_from(["E", "F"]),
        frames=st.sampled_from([(), (("a.py", "f"),), (("a.py", "g"),)]),
        message=MESSAGES,
        in_flight=st.none() | st.sampled_from([("tool_call", "bash"), ("llm_call", "m")]),
        last_tool=st.none() | st.sampled_from(["bash", "grep"]),
        started=st.none() | st.floats(0, 2e9),
        version=st.none() | st.sampled_from(["1.0", "1.1"]),
    ),
    unique_by=lambda failure: failure.run_id,
    max_size=30,
)


class TestClusters:
    @given(FAILURES)
    def test_hold_every_run_once(self, failures: list[RunFailure]) -> None:
        clusters = cluster_failures(failures)
        held = [run_id for cluster in clusters for run_id in cluster.run_ids]
        assert sorted(held) == sorted(failure.run_id for failure in failures)
        assert all(cluster.size for cluster in clusters)

    @given(FAILURES, st.randoms(use_true_random=False))
    def test_do_not_follow_the_order_of_the_runs(
        self, failures: list[RunFailure], chance: random.Random
    ) -> None:
        shuffled = list(failures)
        chance.shuffle(shuffled)
        assert cluster_failures(shuffled) == cluster_failures(failures)

    @given(FAILURES)
    def test_come_biggest_first_and_share_what_they_say_of_all(self, failures: list[RunFailure]) -> None:
        by_id = {failure.run_id: failure for failure in failures}
        clusters = cluster_failures(failures)
        assert [each.size for each in clusters] == sorted((each.size for each in clusters), reverse=True)
        for cluster in clusters:
            for run in (by_id[run_id] for run_id in cluster.run_ids):
                assert (run.status, run.error_type, run.frames, run.in_flight) == (
                    cluster.status,
                    cluster.error_type,
                    cluster.frames,
                    cluster.in_flight,
                )

    def test_know_when_and_in_which_versions(self) -> None:
        runs = [
            RunFailure(name, "error", message="no key", started=started, version=version)
            for name, started, version in (("c", 3.0, "1.1"), ("a", 1.0, "1.0"), ("b", None, "1.0"))
        ]
        [cluster] = cluster_failures(runs)
        assert (cluster.first_ts, cluster.last_ts, cluster.versions) == (1.0, 3.0, ["1.0", "1.1"])
        assert cluster.run_ids == ["a", "c", "b"]

    def test_what_was_in_flight_parts_interrupted_runs_and_a_tool_is_no_model(self) -> None:
        doing = [("tool_call", "bash"), ("llm_call", "bash"), ("tool_call", "bash")]
        runs = [RunFailure(str(n), "interrupted", in_flight=each) for n, each in enumerate(doing)]
        assert [each.run_ids for each in cluster_failures(runs)] == [["0", "2"], ["1"]]

    def test_where_frames_say_where_the_message_and_the_tool_do_not_count(self) -> None:
        frames = (("a.py", "f"),)
        runs = [
            RunFailure("a", "error", "E", frames, message="one", last_tool="bash"),
            RunFailure("b", "error", "E", frames, message="two", last_tool="grep"),
        ]
        assert len(cluster_failures(runs)) == 1


class TestMessageShape:
    @pytest.mark.parametrize(
        ("message", "shape"),
        [
            ("timed out after 30.5 s", "timed out after N s"),
            ("No such file: '/srv/app/x.py'", "No such file: …"),
            ('no tool "grep" here', "no tool … here"),
            ("can't open it, don't ask", "can't open it, don't ask"),
            ("cannot read /srv/app/x.py: denied", "cannot read PATH: denied"),
            (r"cannot read C:\data\x.txt", "cannot read PATH"),
            ("src/app/x.py is gone", "PATH is gone"),
            ("GET https://api.example/v1/x?y=2 failed", "GET URL failed"),
            ("request req_01AbCdEf23 refused", "request ID refused"),
            ("run 0f8fad5b-d9cb-469f-a165-70867728950e at 0x7f3a", "run ID at N"),
            ("line\n  two", "line two"),
            ("status 429: slow down", "status N: slow down"),
            ("", ""),
        ],
    )
    def test_leaves_out_what_varies(self, message: str, shape: str) -> None:
        assert message_shape(message) == shape

    @given(st.integers(0, 10**6), st.integers(0, 10**6))
    def test_is_the_same_for_all_numbers(self, one: int, other: int) -> None:
        text = "gave up after {} of 9 tries"
        assert message_shape(text.format(one)) == message_shape(text.format(other))

    @given(st.text())
    def test_is_short_and_one_line_whatever_it_is_of(self, message: str) -> None:
        shape = message_shape(message)
        assert len(shape) <= 120
        assert "\n" not in shape

    @pytest.mark.parametrize("piece", ["'", '"', "a", "a-", "/", "1.", "0x", "a/", "é1"])
    def test_of_a_huge_message_looks_at_its_beginning_only(self, piece: str) -> None:
        assert message_shape(piece * 1_000) == message_shape(piece * 500_000)
