from __future__ import annotations

import copy
import hashlib
import itertools
import pickle
import re
import signal
import sys
import threading
import time
import uuid
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_run_id import RunId, _ids, step_span_id
from agent_run_id.errors import InvalidPrefixError, InvalidTraceIdError, RunIdError

if TYPE_CHECKING:
    from collections.abc import Callable

OWN_FORM = re.compile(r"run_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(autouse=True)
def _clock_of_the_ids_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ids, "_last_tick", 0)


class TestGenerate:
    def test_has_the_documented_form(self) -> None:
        assert OWN_FORM.fullmatch(RunId.generate())

    def test_is_a_version_7_uuid_of_the_rfc_variant(self) -> None:
        read = uuid.UUID(RunId.generate().removeprefix("run_"))

        assert (read.version, read.variant) == (7, uuid.RFC_4122)

    def test_tells_the_time_it_was_made(self) -> None:
        before = time.time()
        made = RunId.generate().timestamp
        after = time.time()

        assert made is not None
        # The last tick may have been ahead of the clock by as many ids as were made in one.
        assert before - 0.001 <= made <= after + 0.01

    def test_each_is_later_in_string_order_than_the_one_before(self) -> None:
        ids = [RunId.generate() for _ in range(20_000)]

        assert all(a < b for a, b in itertools.pairwise(ids))

    def test_order_is_kept_when_the_clock_stands_still(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_ids, "time_ns", lambda: 4_000_000_000_123_456_789)
        ids = [RunId.generate() for _ in range(5000)]

        assert ids == sorted(set(ids))

    def test_order_is_kept_when_the_clock_steps_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = iter([5_000_000_000_000_000_000, 4_999_000_000_000_000_000, 4_000_000_000_000_000_000])
        monkeypatch.setattr(_ids, "time_ns", lambda: next(clock))
        ids = [RunId.generate() for _ in range(3)]

        assert ids == sorted(set(ids))

    def test_fraction_of_the_millisecond_stands_in_the_12_bits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_ids, "time_ns", lambda: 1_700_000_000_000_500_000)
        made = RunId.generate()

        assert made.startswith("run_018bcfe568007800")
        assert made.timestamp == pytest.approx(1_700_000_000.0005, abs=1e-7)

    def test_threads_make_different_ids_each_in_order(self) -> None:
        made: list[list[RunId]] = [[] for _ in range(8)]
        begin = threading.Barrier(8)

        def work(mine: list[RunId]) -> None:
            begin.wait()
            mine.extend(RunId.generate() for _ in range(500))

        threads = [threading.Thread(target=work, args=(mine,)) for mine in made]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len({one for mine in made for one in mine}) == 4000
        assert all(mine == sorted(mine) for mine in made)

    def test_signal_handler_in_the_middle_of_making_one_may_make_another(self) -> None:
        made = []
        before = signal.signal(signal.SIGALRM, lambda *_: made.append(RunId.generate()))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            # Until handlers have run often enough to have hit the lock; each round makes a thousand.
            while len(made) < 20:
                ids = [RunId.generate() for _ in range(1000)]
                assert ids == sorted(set(ids))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

        assert len(made) == len(set(made))

    def test_forked_children_do_not_repeat_the_parent(self, run_python: Callable[..., str]) -> None:
        printed = run_python(
            "import os\n"
            "from agent_run_id import RunId, _ids\n"
            "RunId.generate()\n"
            "_ids.time_ns = lambda: 4 * 10**18\n"
            "import threading\n"
            "holder = threading.Thread(target=_ids._tick_lock.acquire)\n"  # and never lets go of it
            "holder.start(); holder.join()\n"
            "ends = []\n"
            "for _ in range(3):\n"
            "    r, w = os.pipe()\n"
            "    if not os.fork():\n"
            "        os.write(w, RunId.generate().encode()); os._exit(0)\n"
            "    ends.append(r)\n"
            "_ids._forget_lock()\n"
            "print(RunId.generate(), *(os.read(r, 100).decode() for r in ends))\n"
        )

        assert len(set(printed.split())) == 4

    def test_prefix_is_the_readable_start(self) -> None:
        made = RunId.generate("eval-7")

        assert made.startswith("eval-7_")
        assert made.prefix == "eval-7"
        assert RunId.generate().prefix == "run"

    @pytest.mark.parametrize("prefix", ["", "a b", "a/b", "é", "_a", "-a", "a\n", "x" * 65, "a.b"])
    def test_prefix_that_could_not_stand_in_a_file_name_is_refused(self, prefix: str) -> None:
        with pytest.raises(InvalidPrefixError, match="1 to 64 ASCII letters") as caught:
            RunId.generate(prefix)

        assert caught.value.prefix == prefix
        assert isinstance(caught.value, RunIdError)


class TestTraceId:
    def test_of_a_generated_id_is_its_digits(self) -> None:
        made = RunId.generate("eval")

        assert made.trace_id == made[-32:]
        assert RunId.from_trace_id(made.trace_id, prefix="eval") == made

    @given(st.integers(min_value=1, max_value=2**128 - 1))
    def test_goes_there_and_back(self, number: int) -> None:
        made = RunId.from_trace_id(number)

        assert made.trace_id == f"{number:032x}"
        assert RunId.from_trace_id(made.trace_id) == made

    @given(st.text())
    @settings(deadline=None)
    def test_of_any_other_string_is_hashed(self, text: str) -> None:
        assert RunId(text).trace_id == sha(f"run\0{text}")[:32]

    def test_of_a_lone_surrogate_is_hashed_too(self) -> None:
        assert re.fullmatch(r"[0-9a-f]{32}", RunId("\ud800").trace_id)

    @pytest.mark.parametrize("digits", ["0" * 32, "F" * 32, "g" * 32, "1" * 31, "1" * 33])
    def test_digits_that_are_no_trace_id_are_hashed_like_any_string(self, digits: str) -> None:
        assert RunId(f"run_{digits}").trace_id == sha(f"run\0run_{digits}")[:32]

    @pytest.mark.parametrize(
        "bad", ["", "0" * 32, "A" * 32, "1" * 31, "1" * 33, "1" * 31 + "\n", 0, -1, 2**128]
    )
    def test_what_is_no_trace_id_is_refused(self, bad: str | int) -> None:
        with pytest.raises(InvalidTraceIdError, match="32 lowercase hexadecimal digits"):
            RunId.from_trace_id(bad)

    def test_only_a_version_7_id_tells_a_time(self) -> None:
        assert RunId("nightly-3").timestamp is None
        assert RunId.from_trace_id("4bf92f3577b34da6a3ce929d0e0e4736").timestamp is None


class TestStepSpanId:
    def test_is_derived_from_run_and_step(self) -> None:
        assert step_span_id("run-a", 3) == sha("step\0run-a\x003")[:16]

    def test_of_the_run_itself_has_the_word_in_the_place_of_the_step(self) -> None:
        assert step_span_id("run-a") == sha("step\0run-a\0run")[:16]


class TestRunId:
    def test_is_the_string_it_was_made_from(self) -> None:
        text = "any string: /\0é"

        assert RunId.from_string(text) == text
        assert hash(RunId(text)) == hash(text)
        assert type(RunId(text).value) is str

    def test_survives_pickle_and_copy(self) -> None:
        made = RunId.generate()

        for other in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
            assert other == made
            assert type(other) is RunId

    def test_short_form_differs_between_ids_of_one_moment(self) -> None:
        ids = [RunId.generate() for _ in range(100)]

        assert len({one.short() for one in ids}) == 100
        assert all(one.endswith(one.short()) and len(one.short()) == 8 for one in ids)

    def test_safe_name_of_a_generated_id_is_the_id(self) -> None:
        made = RunId.generate("Eval-7_b")

        assert made.safe_name == made

    @pytest.mark.parametrize(
        "text", ["a/b", "a\0b", "..", ".hidden", "-rf", "", "é", "a b", "x" * 101, "\ud800"]
    )
    def test_safe_name_of_any_other_id_keeps_what_it_can(self, text: str) -> None:
        name = RunId(text).safe_name

        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", name)
        assert name.endswith(RunId(text).trace_id[:16])

    def test_safe_names_of_different_ids_differ(self) -> None:
        texts = ["a/b", "a_b", "a b", "a\0b", "a.b", "a-b"]

        assert len({RunId(text).safe_name for text in texts}) == len(texts)

    @given(st.text())
    @settings(deadline=None)
    def test_every_property_of_every_string_has_a_value(self, text: str) -> None:
        run_id = RunId(text)

        assert len(run_id.trace_id) == 32
        assert 0 < len(run_id.safe_name) <= 100
        assert run_id.prefix is None or run_id.prefix
        assert run_id.endswith(run_id.short())


class TestImport:
    def test_brings_in_nothing_slow(self, run_python: Callable[..., str]) -> None:
        slow = {"asyncio", "threading", "logging", "dataclasses", "uuid", "concurrent", "hashlib", "typing"}
        slow |= {"inspect", "contextlib", "multiprocessing", "urllib", "re", "weakref", "random", "secrets"}
        loaded = run_python(
            "import sys\n"
            "before = set(sys.modules)\n"
            "import agent_run_id\n"
            "run = agent_run_id.RunContext.start('a'); run.end()\n"
            "print(*(set(sys.modules) - before))"
        ).split()

        assert slow & set(loaded) == set()
        assert {name for name in loaded if name.startswith("agent_")} == {
            "agent_run_id",
            "agent_run_id._context",
            "agent_run_id._ids",
            "agent_run_id._links",
        }

    def test_every_public_name_is_there(self) -> None:
        import agent_run_id

        for name in agent_run_id.__all__:
            assert getattr(agent_run_id, name) is not None
            assert name in dir(agent_run_id)

    def test_other_names_are_not(self) -> None:
        import agent_run_id

        with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
            agent_run_id.nonsense  # noqa: B018

    def test_python_is_one_that_is_promised(self) -> None:
        assert sys.version_info >= (3, 11)
