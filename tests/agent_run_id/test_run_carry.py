from __future__ import annotations

import asyncio
import functools
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_run_id import (
    ContextExecutor,
    ContextThreadPoolExecutor,
    RunContext,
    RunLink,
    carry,
    child_env,
    current_link,
    current_run,
    current_run_id,
    current_step,
    extract_headers,
    extract_meta,
    inject_headers,
    inject_meta,
    run_from_env,
    step_span_id,
    use_run,
)
from agent_run_id._carry import MAX_BAGGAGE_BYTES, MAX_BAGGAGE_MEMBERS
from tests.agent_run_id import run_id_work

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"

other_variable: ContextVar[str] = ContextVar("other_variable", default="unset")


def in_new_thread(work: Callable[[], Any]) -> Any:
    result: list[Any] = []
    thread = threading.Thread(target=lambda: result.append(work()))
    thread.start()
    thread.join()
    return result[0]


class TestCarry:
    def test_takes_run_step_and_every_context_variable_into_a_thread(self) -> None:
        other_variable.set("set")
        with RunContext.start() as run:
            current_step.set((run.run_id, 2))
            carried = carry(lambda: (current_run(), current_step.get(), other_variable.get()))
            assert in_new_thread(carried) == (run, (run.run_id, 2), "set")

    def test_carries_what_was_current_when_it_was_made(self) -> None:
        with RunContext.start() as run:
            carried = carry(current_run)
            with RunContext.start():
                assert carried() is run

    def test_arguments_results_and_errors_pass(self) -> None:
        assert carry(divmod)(7, 2) == (3, 1)
        assert carry(dict)(self=1, fn=2) == {"self": 1, "fn": 2}
        with pytest.raises(ZeroDivisionError):
            carry(divmod)(1, 0)

    def test_what_a_call_sets_stays_inside_it(self) -> None:
        carried = carry(lambda: (other_variable.get(), other_variable.set("changed"))[0])
        before = other_variable.get()

        assert [carried(), carried(), other_variable.get()] == [before] * 3

    def test_one_of_them_runs_in_many_threads_at_once(self) -> None:
        begin = threading.Barrier(8)

        def work() -> str | None:
            begin.wait(120)  # all eight are inside at the same time, or this raises
            return current_run_id()

        with RunContext.start() as run, ThreadPoolExecutor(8) as pool:
            carried = carry(work)
            assert [f.result() for f in [pool.submit(carried) for _ in range(8)]] == [run.run_id] * 8

    def test_run_started_in_the_thread_is_a_child(self) -> None:
        with RunContext.start() as run:
            current_step.set((run.run_id, 3))
            description = in_new_thread(carry(run_id_work.describe))

        assert description == (0, run.run_id, run.run_id, 3, run.run_id)

    def test_keeps_the_name_of_the_function(self) -> None:
        assert carry(run_id_work.describe).__name__ == "describe"

    def test_body_of_a_coroutine_function_runs_there_too(self) -> None:
        async def work() -> str | None:
            await asyncio.sleep(0)
            return current_run_id()

        with RunContext.start() as run:
            for carried in (carry(work), carry(functools.partial(work))):
                assert in_new_thread(functools.partial(asyncio.run, carried())) == run.run_id

    def test_cancelling_reaches_the_coroutine(self) -> None:
        async def main() -> list[str]:
            seen: list[str] = []
            inside = asyncio.Event()

            async def work() -> None:
                inside.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    seen.append("cancelled")
                    raise

            task = asyncio.create_task(carry(work)())
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return seen

        assert asyncio.run(main()) == ["cancelled"]

    def test_pickled_it_carries_the_place_not_the_run(self) -> None:
        with RunContext.start() as run:
            current_step.set((run.run_id, 6))
            arrived = pickle.loads(pickle.dumps(carry(run_id_work.describe)))

        # Even where a forked worker has inherited a run of its own.
        with RunContext.start():
            assert arrived(1) == (1, None, run.run_id, 6, run.run_id)


class TestExecutors:
    @pytest.fixture(params=["wrapped", "own"])
    def pool(self, request: pytest.FixtureRequest) -> Iterator[ContextExecutor | ContextThreadPoolExecutor]:
        made: ContextExecutor | ContextThreadPoolExecutor
        made = (
            ContextExecutor(ThreadPoolExecutor(2))
            if request.param == "wrapped"
            else ContextThreadPoolExecutor(2)
        )
        with made:
            yield made

    def test_plain_executor_loses_the_run(self) -> None:
        with ThreadPoolExecutor(1) as pool, RunContext.start() as run:
            # What makes these helpers necessary. Should a Python carry it one day, nothing else breaks.
            assert pool.submit(current_run_id).result() in (None, run.run_id)
            assert pool.submit(carry(current_run_id)).result() == run.run_id

    def test_submit_carries_the_run_of_each_submission(self, pool: ContextExecutor) -> None:
        futures = []
        ids = []
        for _ in range(6):
            with RunContext.start() as run:
                futures.append(pool.submit(lambda run: (current_run(), run), run))
                with use_run(run):
                    ids.append(pool.submit(current_run_id).result())
        # The runs have ended since, so no work that came later finds them current.
        assert all(seen in (None, run) for seen, run in (future.result() for future in futures))
        assert all(ids)

    def test_map_carries_the_run(self, pool: ContextExecutor) -> None:
        with RunContext.start() as run:
            mapped = list(pool.map(run_id_work.describe, range(4)))

        assert mapped == [(n, run.run_id, run.run_id, None, run.run_id) for n in range(4)]

    def test_run_in_executor_carries_the_run(self, pool: ContextExecutor) -> None:
        async def agent() -> bool:
            loop = asyncio.get_running_loop()
            async with RunContext.start() as run:
                return await loop.run_in_executor(pool, current_run_id) == run.run_id

        async def main() -> list[bool]:
            return await asyncio.gather(*(agent() for _ in range(8)))

        assert asyncio.run(main()) == [True] * 8

    def test_own_pool_can_be_the_default_of_a_loop(self) -> None:
        async def main() -> None:
            loop = asyncio.get_running_loop()
            loop.set_default_executor(ContextThreadPoolExecutor(1))
            async with RunContext.start() as run:
                assert await loop.run_in_executor(None, current_run_id) == run.run_id

        asyncio.run(main())

    def test_block_shuts_the_wrapped_executor_down(self) -> None:
        inner = ThreadPoolExecutor(1)
        with ContextExecutor(inner):
            pass
        with pytest.raises(RuntimeError, match="after shutdown"):
            inner.submit(int)

    @pytest.mark.parametrize("method", ["spawn", "forkserver"])
    def test_process_pool_gets_the_place_by_value(self, method: str) -> None:
        workers = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method))
        with ContextExecutor(workers) as pool:
            with RunContext.start() as run:
                current_step.set((run.run_id, 2))
                submitted = pool.submit(run_id_work.describe, 5).result(60)
            with RunContext.start() as later:
                mapped = list(pool.map(run_id_work.describe, [6, 7]))

        assert submitted == (5, None, run.run_id, 2, run.run_id)
        assert mapped == [(n, None, later.run_id, None, later.run_id) for n in (6, 7)]


class TestProcesses:
    def test_spawned_process_starts_children_of_the_carried_run(self) -> None:
        context = multiprocessing.get_context("spawn")
        queue = context.SimpleQueue()
        with RunContext.start() as run:
            current_step.set((run.run_id, 9))
            process = context.Process(target=carry(run_id_work.put_description), args=(queue,))
            process.start()
        description = queue.get()
        process.join()

        assert description == (0, None, run.run_id, 9, run.run_id)

    def test_forked_process_is_in_the_same_run(self, run_python: Callable[..., str]) -> None:
        printed = run_python(
            "import os, multiprocessing, sys\n"
            "sys.path.insert(0, " + repr(os.path.dirname(run_id_work.__file__)) + ")\n"
            "import run_id_work\n"
            "from agent_run_id import RunContext, current_run_id, current_step\n"
            "with RunContext.start() as run:\n"
            "    current_step.set((run.run_id, 3))\n"
            "    r, w = os.pipe()\n"
            "    if not os.fork():\n"
            "        os.write(w, f'{current_run_id()} {current_step.get()[1]}'.encode()); os._exit(0)\n"
            "    context = multiprocessing.get_context('fork')\n"
            "    queue = context.SimpleQueue()\n"
            "    process = context.Process(target=run_id_work.put_current, args=(queue,))\n"
            "    process.start()\n"
            "    seen = queue.get(); process.join()\n"
            "    print(run.run_id, os.read(r, 100).decode(), seen)\n"
        )
        run_id, forked, step, multi = printed.split()

        assert (forked, step, multi) == (run_id, "3", run_id)

    def test_subprocess_starts_children_of_the_run_in_its_environment(
        self, run_python: Callable[..., str]
    ) -> None:
        code = (
            "import json\n"
            "from agent_run_id import RunContext, current_run\n"
            "assert current_run() is None\n"
            "run = RunContext.start('tool')\n"
            "seen = [run.parent_run_id, run.parent_step, run.root_run_id, run.trace_id, run.session_id]\n"
            "print(json.dumps(seen))"
        )
        with RunContext.start(session_id="s") as top, RunContext.start() as run:
            current_step.set((run.run_id, 4))
            printed = run_python(code, child_env())

        assert json.loads(printed) == [run.run_id, 4, top.run_id, top.trace_id, "s"]

    def test_chain_of_processes_keeps_the_root_and_any_id(self, run_python: Callable[..., str]) -> None:
        inner = (
            "from agent_run_id import RunContext\n"
            "run = RunContext.start(); print(ascii([run.parent_run_id, run.root_run_id]))"
        )
        outer = (
            "import subprocess, sys\n"
            "from agent_run_id import RunContext, child_env\n"
            "with RunContext.start(run_id='middle\\n\\0é') as run:\n"
            f"    subprocess.run([sys.executable, '-c', {inner!r}], env=child_env(), check=True)\n"
        )
        with RunContext.start(run_id="top/\0") as top:
            printed = run_python(outer, child_env())

        assert printed == ascii(["middle\n\0é", top.run_id])

    def test_environment_is_read_once(
        self, monkeypatch: pytest.MonkeyPatch, run_python: Callable[..., str]
    ) -> None:
        printed = run_python(
            "import os\n"
            "from agent_run_id import RunContext, run_from_env\n"
            "first = RunContext.start().parent_run_id\n"
            "os.environ['AGENT_STEP_LOG_RUN_ID'] = 'later'\n"
            "print(first, RunContext.start(parent=run_from_env()).parent_run_id)",
            {**os.environ, "AGENT_STEP_LOG_RUN_ID": "given"},
        )

        assert printed == "given given"


class TestChildEnv:
    def test_without_a_run_is_a_plain_copy(self) -> None:
        env = {"PATH": "/bin", "TRACEPARENT": "junk", "TRACESTATE": "a=1"}

        assert child_env(env) == env
        assert child_env() == dict(os.environ)

    def test_names_run_root_step_session_and_span(self) -> None:
        with RunContext.start(session_id="s s") as top, RunContext.start() as run:
            current_step.set((run.run_id, 4))
            env = child_env({"PATH": "/bin"})

        assert env == {
            "PATH": "/bin",
            "AGENT_STEP_LOG_RUN_ID": run.run_id,
            "AGENT_STEP_LOG_ROOT_RUN_ID": top.run_id,
            "AGENT_STEP_LOG_PARENT_STEP": "4",
            "AGENT_STEP_LOG_SESSION_ID": "s%20s",
            "TRACEPARENT": f"00-{top.trace_id}-{step_span_id(run.run_id, 4)}-03",
        }

    def test_changes_neither_the_given_nor_the_own_environment(self) -> None:
        own, given = dict(os.environ), {"PATH": "/bin"}
        with RunContext.start():
            assert child_env(given) != given
            assert child_env() != own

        assert (dict(os.environ), given) == (own, {"PATH": "/bin"})

    def test_stale_step_and_session_of_an_outer_run_go(self) -> None:
        stale = {"AGENT_STEP_LOG_PARENT_STEP": "9", "AGENT_STEP_LOG_SESSION_ID": "old"}
        with RunContext.start():
            env = child_env(stale)

        assert not stale.keys() & env.keys()

    def test_tracestate_of_another_trace_goes(self) -> None:
        with RunContext.start():
            assert "TRACESTATE" not in child_env({"TRACEPARENT": VALID, "TRACESTATE": "a=1"})

    def test_tracestate_of_the_same_trace_stays(self) -> None:
        with RunContext.start(parent=RunLink(trace_id=TRACE, span_id=SPAN)):
            assert child_env({"TRACEPARENT": VALID, "TRACESTATE": "a=1"})["TRACESTATE"] == "a=1"
        with RunContext.start(parent=RunLink(trace_id=TRACE, span_id=SPAN, tracestate="b=2")):
            assert child_env({})["TRACESTATE"] == "b=2"

    def test_stale_run_in_the_baggage_is_replaced_and_the_rest_kept(self) -> None:
        with RunContext.start(run_id="new"):
            env = child_env({"BAGGAGE": "user=1,steplog.run_id=old"})
            assert env["BAGGAGE"] == "user=1,steplog.run_id=new"
            assert child_env({"BAGGAGE": "user=1"})["BAGGAGE"] == "user=1"

    def test_id_too_long_for_an_environment_is_left_out(self) -> None:
        with RunContext.start(run_id="x" * 200_000) as run:
            env = child_env({"AGENT_STEP_LOG_RUN_ID": "stale"})

        assert env == {"TRACEPARENT": f"00-{run.trace_id}-{step_span_id(run.run_id)}-01"}

    def test_step_in_flight_of_a_log_without_a_run_is_carried(self) -> None:
        current_step.set(("logged", 2))
        env = child_env({})
        current_step.set(None)

        assert (env["AGENT_STEP_LOG_RUN_ID"], env["AGENT_STEP_LOG_PARENT_STEP"]) == ("logged", "2")

    def test_process_without_a_run_passes_its_parent_on(self) -> None:
        with use_run(None):
            arrived = pickle.loads(pickle.dumps(carry(child_env)))
        assert "AGENT_STEP_LOG_RUN_ID" not in arrived({})
        with RunContext.start() as run:
            arrived = pickle.loads(pickle.dumps(carry(child_env)))
        assert arrived({})["AGENT_STEP_LOG_RUN_ID"] == run.run_id

    @given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=200), st.integers(1, 10**9))
    @settings(deadline=None)
    def test_any_id_is_read_back_by_the_child(self, run_id: str, step: int) -> None:
        with RunContext.start(run_id=run_id, parent=None) as run:
            current_step.set((run.run_id, step))
            link = run_from_env(child_env({}))

            assert link is not None
            assert (link.run_id, link.step, link.root_run_id) == (run_id, step, run_id)
            assert link.traceparent == run.link(step).traceparent

    def test_any_id_can_be_given_to_a_real_process(self) -> None:
        with RunContext.start(run_id="a\0b\ud800\n=é", session_id="\0"):
            code = "import os; print(os.environ['AGENT_STEP_LOG_RUN_ID'])"
            done = subprocess.run(
                [sys.executable, "-c", code], env=child_env(), capture_output=True, text=True, check=True
            )

        assert done.stdout.strip() == "a%00b%ED%A0%80%0A%3D%C3%A9"


class CaseInsensitive(dict[str, str]):
    """Like the header mappings of HTTP clients, which know one spelling of each name."""

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key.lower(), value)


class TestInjectHeaders:
    def test_adds_the_trace_and_the_run(self) -> None:
        with RunContext.start() as run:
            current_step.set((run.run_id, 7))
            headers = inject_headers()

        assert headers == {
            "traceparent": f"00-{run.trace_id}-{step_span_id(run.run_id, 7)}-03",
            "baggage": f"steplog.run_id={run.run_id}",
        }

    def test_changes_the_mapping_it_is_given(self) -> None:
        headers = CaseInsensitive(accept="*/*")
        with RunContext.start():
            assert inject_headers(headers) is headers

        assert set(headers) == {"accept", "traceparent", "baggage"}

    def test_without_a_run_adds_nothing(self) -> None:
        assert inject_headers({"a": "b"}) == {"a": "b"}

    def test_carries_nothing_but_ids(self) -> None:
        with RunContext.start("secret-agent", session_id="secret", metadata={"secret": 1}):
            assert "secret" not in str(inject_headers())

    def test_keeps_other_baggage_and_replaces_its_own(self) -> None:
        headers = {"Baggage": "a=1;p=2, steplog.run_id=old ,b=2,"}
        with RunContext.start(run_id="new id"):
            inject_headers(headers)

        assert headers["Baggage"] == "a=1;p=2,b=2,steplog.run_id=new%20id"
        assert "baggage" not in headers

    def test_several_spellings_become_one(self) -> None:
        headers = {"Baggage": "a=1", "baggage": "b=2", "TRACEPARENT": "old", "traceparent": "old"}
        with RunContext.start(run_id="r") as run:
            inject_headers(headers)

        assert headers == {
            "Baggage": "a=1,b=2,steplog.run_id=r",
            "TRACEPARENT": f"00-{run.trace_id}-{step_span_id('r')}-01",
        }

    def test_full_baggage_is_left_as_it_is(self) -> None:
        for full in (
            ",".join(f"k{n}=v" for n in range(MAX_BAGGAGE_MEMBERS)),
            "k=" + "v" * (MAX_BAGGAGE_BYTES - 10),
            "k=" + "é" * (MAX_BAGGAGE_BYTES // 2 - 10),
        ):
            headers = {"baggage": full}
            with RunContext.start():
                inject_headers(headers)

            assert headers["baggage"] == full
            assert "traceparent" in headers

    @given(st.lists(st.text("abc=;% \té", max_size=300), max_size=70), st.text(min_size=1, max_size=100))
    @settings(deadline=None)
    def test_never_breaks_the_limits_nor_half_a_member(self, members: list[str], run_id: str) -> None:
        members = [member for member in members if member.strip(" \t")]
        before = ",".join(members)
        with RunContext.start(run_id=run_id, parent=None):
            after = str(inject_headers({"baggage": before}).get("baggage", ""))

        assert after.split(",")[: len(members)] == (members or after.split(",")[:0])
        if after != before:
            assert len(after.split(",")) == len(members) + 1 <= MAX_BAGGAGE_MEMBERS
            assert len(after.encode()) <= MAX_BAGGAGE_BYTES

    def test_tracestate_follows_its_trace(self) -> None:
        with RunContext.start():
            assert "tracestate" not in inject_headers({"traceparent": VALID, "tracestate": "a=1"})
        with RunContext.start(parent=RunLink(trace_id=TRACE, span_id=SPAN)):
            assert inject_headers({"traceparent": VALID, "tracestate": "a=1"})["tracestate"] == "a=1"

    @pytest.mark.parametrize("headers", [(), 7, "text", [("a", "b")], Mapping, {1: 2, b"traceparent": None}])
    def test_never_raises(self, headers: Any) -> None:
        with RunContext.start():
            assert inject_headers(headers) is headers


class TestExtractHeaders:
    def test_reads_what_inject_writes(self) -> None:
        with RunContext.start() as run:
            current_step.set((run.run_id, 7))
            link = extract_headers(inject_headers())

        assert link is not None
        assert (link.run_id, link.trace_id, link.span_id) == (
            run.run_id,
            run.trace_id,
            step_span_id(run.run_id, 7),
        )

    def test_run_started_on_it_is_a_child_in_the_same_trace(self) -> None:
        with RunContext.start() as caller:
            headers = inject_headers()
        with RunContext.start("server", parent=extract_headers(headers)) as run:
            assert run.parent_run_id == caller.run_id
            assert run.trace_id == caller.trace_id

    @pytest.mark.parametrize(
        "headers",
        [
            {"TraceParent": VALID, "BAGGAGE": "steplog.run_id=r"},
            [("traceparent", VALID), ("baggage", "a=1"), ("baggage", "steplog.run_id=r")],
            [(b"traceparent", VALID.encode()), (b"baggage", b"steplog.run_id=r")],
            {"traceparent": [VALID], "baggage": ["a=1", "steplog.run_id=r"]},
            {"HTTP_TRACEPARENT": VALID, "HTTP_BAGGAGE": "steplog.run_id=r", "wsgi.input": object()},
            {"traceparent": VALID, "baggage": "a=1;x=steplog.run_id=no ,\tsteplog.run_id = r ;property=1"},
        ],
    )
    def test_reads_headers_of_every_shape(self, headers: Any) -> None:
        assert extract_headers(headers) == RunLink("r", trace_id=TRACE, span_id=SPAN)

    def test_several_traceparents_contradict_each_other(self) -> None:
        headers = [
            ("traceparent", VALID),
            ("traceparent", VALID),
            ("tracestate", "a=1"),
            ("baggage", "steplog.run_id=r"),
        ]

        assert extract_headers(headers) == RunLink("r")

    def test_tracestate_headers_are_joined(self) -> None:
        link = extract_headers([("traceparent", VALID), ("tracestate", "a=1"), ("tracestate", "b=2")])

        assert link == RunLink(trace_id=TRACE, span_id=SPAN, tracestate="a=1,b=2")

    def test_tracestate_without_a_trace_is_ignored(self) -> None:
        assert extract_headers({"traceparent": "junk", "tracestate": "a=1"}) is None

    @pytest.mark.parametrize(
        "value",
        ["", "%0A", "%00", "a%1b[31m", "%E2%80%AE", "x" * 257, "%ff", "%20", "%ED%A0%80", "a" * 70_000],
    )
    def test_run_id_that_could_do_harm_is_ignored(self, value: str) -> None:
        assert extract_headers({"baggage": f"steplog.run_id={value}"}) is None

    @pytest.mark.parametrize(
        "headers", [None, 7, {}, [], [1, 2], [("a",)], {"traceparent": None, "baggage": 3}, object]
    )
    def test_nothing_useful_is_no_link(self, headers: Any) -> None:
        assert extract_headers(headers) is None

    @given(
        st.dictionaries(st.sampled_from(["traceparent", "tracestate", "baggage"]), st.text() | st.binary())
    )
    @settings(deadline=None)
    def test_never_raises_on_hostile_strings(self, headers: dict[str, Any]) -> None:
        link = extract_headers(headers)

        assert link is None or link.run_id is None or link.run_id.isprintable()

    @given(st.text(min_size=1, max_size=80))
    @settings(deadline=None)
    def test_any_printable_id_goes_there_and_back(self, run_id: str) -> None:
        with RunContext.start(run_id=run_id, parent=None):
            link = extract_headers(inject_headers({"baggage": "a=1"}))

        assert link is not None
        assert link.run_id == (run_id if run_id.isprintable() and not run_id.isspace() else None)

    def test_link_of_a_request_without_one_is_the_parent_none(self) -> None:
        with RunContext.start(), RunContext.start(parent=extract_headers({})) as run:
            assert run.parent_run_id is None


class TestMeta:
    def test_uses_the_plain_names(self) -> None:
        with RunContext.start() as run:
            meta = inject_meta({"progressToken": 1})

        assert meta == {"progressToken": 1, **{k: meta[k] for k in ("traceparent", "baggage")}}
        assert extract_meta(meta) == RunLink(
            run.run_id, trace_id=run.trace_id, span_id=step_span_id(run.run_id), trace_flags=3
        )

    def test_reads_the_object_an_sdk_made_of_it(self) -> None:
        meta = SimpleNamespace(traceparent=VALID, baggage="steplog.run_id=r", progressToken=None)

        assert extract_meta(meta) == RunLink("r", trace_id=TRACE, span_id=SPAN)

    @pytest.mark.parametrize("meta", [None, 7, {}, {"traceparent": 7, "baggage": ["x"]}, object()])
    def test_nothing_useful_is_no_link(self, meta: Any) -> None:
        assert extract_meta(meta) is None


class TestCurrentLink:
    def test_is_the_place_that_is_carried(self) -> None:
        with RunContext.start() as run:
            current_step.set((run.run_id, 1))
            link = current_link()

        assert link == RunLink(run.run_id, step=1, trace_flags=3)
