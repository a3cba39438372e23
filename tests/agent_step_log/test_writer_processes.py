"""Forks, and every way a process can end: whose record is whose, and what the log says of the end."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from agent_step_log import Damage, list_runs, read_log, verify
from agent_step_log._process import is_alive, process_facts, started
from tests.support.children import run_child
from tests.support.logs import lines_of, steps_of

if TYPE_CHECKING:
    from pathlib import Path


def types(path: Path, **keys: Any) -> list[str]:
    """Return the types of the records that have these keys."""
    return [line["type"] for line in lines_of(path) if all(line.get(key) == keys[key] for key in keys)]


class TestForks:
    def test_each_process_numbers_its_own_records_under_its_own_name(self, tmp_path: Path) -> None:
        told = run_child(
            """
            log = StepLog(sys.argv[1], run_id="r")
            log.event("parent")
            pid = os.fork()
            if pid == 0:
                log.record_tool_call("child")
                log.record_llm_call("child")
                with log.agent("child"):
                    log.event("child")
                log.close()
                os._exit(log.health.written)
            status = os.waitpid(pid, 0)[1]
            log.event("parent")
            log.close()
            print(json.dumps([os.waitstatus_to_exitcode(status), log.health.written]))
            """,
            tmp_path / "run.jsonl",
        ).told

        path = tmp_path / "run.jsonl"
        [child] = {line["writer"] for line in lines_of(path) if "writer" in line}
        assert steps_of(path) == [1, 2]
        assert steps_of(path, writer=child) == [1, 2, 3, 4, 3]
        assert types(path, writer=child)[0] == "run_start"
        assert types(path, writer=child)[-1] == "run_end"
        assert told == [7, 4]
        assert verify(path).problems == []

    def test_a_step_begun_before_the_fork_is_the_parents(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        run_child(
            """
            log = StepLog(sys.argv[1], run_id="r")
            with log.agent("planner"):
                if (pid := os.fork()) == 0:
                    log.event("child")
                    os._exit(0)
                os.waitpid(pid, 0)
            log.close()
            """,
            path,
        )

        [event] = [line for line in lines_of(path) if line["type"] == "event"]
        assert (event["parent"], event["parent_writer"], event["agent"]) == (1, "", "planner")

    @pytest.mark.parametrize("ending", ["os._exit(0)", "sys.exit(0)", "log.close(); sys.exit(0)"])
    def test_a_child_that_records_nothing_leaves_nothing(self, tmp_path: Path, ending: str) -> None:
        path = tmp_path / "run.jsonl"
        ended = run_child(
            f"""
            log = StepLog(sys.argv[1], run_id="r")
            if os.fork() == 0:
                {ending}
            os.wait()
            log.close()
            """,
            path,
        )

        assert (ended.code, ended.err) == (0, "")
        assert types(path) == ["run_start", "run_end"]

    def test_a_fork_beside_threads_that_record_never_hangs_and_loses_nothing(self, tmp_path: Path) -> None:
        told = run_child(
            """
            import warnings
            warnings.simplefilter("ignore")
            log = StepLog(sys.argv[1], run_id="r", rotate_bytes=None)
            done = threading.Event()
            def work():
                while not done.is_set():
                    log.record_tool_call("parent", None, "x" * 3000)
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads: thread.start()
            codes = []
            for _ in range(60):
                pid = os.fork()
                if pid == 0:
                    signal.alarm(20)
                    for _ in range(5):
                        log.record_tool_call("child")
                    os._exit(log.health.written)
                codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            done.set()
            for thread in threads: thread.join()
            log.close()
            print(json.dumps([codes, log.health.written]))
            """,
            tmp_path / "run.jsonl",
        ).told

        path = tmp_path / "run.jsonl"
        assert told[0] == [6] * 60
        assert sum(1 for _ in read_log(path)) == told[1] + 360
        assert verify(path).ok

    def test_a_fork_while_the_parent_has_records_pending_repeats_none(self, tmp_path: Path) -> None:
        path = tmp_path / "logs" / "run.jsonl"
        run_child(
            """
            path = sys.argv[1]
            open(os.path.dirname(path), "w").close()
            log = StepLog(path, run_id="r", on_error="ignore")
            log.event("pending")
            os.unlink(os.path.dirname(path))
            if os.fork() == 0:
                log.event("child")
                os._exit(0)
            os.wait()
            log.event("parent")
            log.close()
            """,
            path,
        )

        records = [(line.get("writer"), line["step"]) for line in lines_of(path) if line["step"]]
        assert len(records) == len(set(records)) == 3

    def test_a_log_made_in_another_thread_at_the_moment_of_a_fork_does_not_break_the_child(self) -> None:
        told = run_child(
            """
            import tempfile, warnings
            warnings.simplefilter("ignore")
            place = tempfile.mkdtemp()
            done = threading.Event()
            def work(name):
                while not done.is_set():
                    StepLog(f"{place}/{name}.jsonl", on_error="ignore").close()
            threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
            for thread in threads: thread.start()
            kept = [StepLog(f"{place}/kept{number}.jsonl", run_id="r") for number in range(20)]
            codes = []
            for _ in range(40):
                if (pid := os.fork()) == 0:
                    signal.alarm(20)
                    for log in kept:
                        log.event("child")
                    os._exit(sum(log.writer is None for log in kept))
                codes.append(os.waitpid(pid, 0)[1])
            done.set()
            for thread in threads: thread.join()
            import shutil
            shutil.rmtree(place)
            print(json.dumps(codes))
            """
        ).told

        assert told == [0] * 40


class TestTheEndOfTheProcess:
    @pytest.mark.parametrize(
        ("ending", "code", "status"),
        [
            ("pass", 0, "ok"),
            ("sys.exit(0)", 0, "ok"),
            ("log.close()", 0, "ok"),
            ("raise ValueError('boom')", 1, "error"),
            ("raise KeyboardInterrupt", 1, "cancelled"),
        ],
    )
    def test_the_run_is_ended_and_says_how(self, tmp_path: Path, ending: str, code: int, status: str) -> None:
        path = tmp_path / "run.jsonl"
        ended = run_child(f'log = StepLog(sys.argv[1]); log.event("e"); {ending}', path)

        assert ended.code == code
        assert types(path) == ["run_start", "event", "run_end"]
        assert lines_of(path)[-1]["status"] == status

    def test_an_unhandled_exception_is_told_with_its_type_and_place(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        run_child('log = StepLog(sys.argv[1])\ndef agent():\n  raise ValueError("boom")\nagent()', path)

        end = lines_of(path)[-1]
        assert (end["error"], end["error_type"]) == ("boom", "ValueError")
        assert end["error_frames"][-1]["function"] == "agent"

    @pytest.mark.parametrize("ending", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGTERM)"])
    def test_without_a_word_of_goodbye_every_record_is_there_and_the_run_is_interrupted(
        self, tmp_path: Path, ending: str
    ) -> None:
        path = tmp_path / "run.jsonl"
        run_child(
            f"""
            log = StepLog(sys.argv[1])
            for _ in range(100):
                log.event("e")
            log.llm_call("m").__enter__()
            {ending}
            """,
            path,
        )

        [info] = list_runs(path)
        assert steps_of(path) == [*range(1, 101), 101]
        assert (info.status, [record.model for record in info.in_flight.values()]) == ("interrupted", ["m"])

    def test_a_log_that_raises_does_not_keep_the_others_from_ending(self, tmp_path: Path) -> None:
        ended = run_child(
            """
            bad = StepLog(sys.argv[1] + "/a.jsonl", on_error="raise")
            good = [StepLog(f"{sys.argv[1]}/b{number}.jsonl") for number in range(5)]
            import resource
            for log in (bad,):
                os.dup2(os.open("/dev/full", os.O_WRONLY), log._writer._real_fd)
            """,
            tmp_path,
        )

        assert ended.code == 0
        assert all(types(path)[-1] == "run_end" for path in tmp_path.glob("b*.jsonl"))

    def test_exit_handlers_may_record_before_and_after_ours(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        code = """
            import atexit
            atexit.register(lambda: log.event("registered before: runs after"))
            import importlib
            for name in [name for name in sys.modules if name.startswith("agent_step_log")]:
                del sys.modules[name]
            from agent_step_log import StepLog
            atexit.register(lambda: log.event("registered after: runs before"))
            log = StepLog(sys.argv[1])
            """
        ended = run_child(code, path)

        assert (ended.code, ended.err) == (0, "")
        assert types(path) == ["run_start", "event", "run_end", "event"]
        assert steps_of(path) == [1, 2]

    def test_an_object_of_a_module_may_record_when_the_interpreter_takes_it_apart(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "run.jsonl"
        ended = run_child(
            """
            class Late:
                def __init__(self, log): self.log = log
                def __del__(self):
                    self.log.record_tool_call("late")
                    self.log.event("late")
                    with self.log.llm_call("late"): pass
            late = Late(StepLog(sys.argv[1]))
            late.cycle = late
            also = Late(late.log)
            """,
            path,
        )

        assert (ended.code, ended.err) == (0, "")
        assert sorted(steps_of(path)) == [1, 2, 3, 3, 4, 5, 6, 6]

    def test_daemon_threads_that_record_to_the_end_break_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        ended = run_child(
            """
            log = StepLog(sys.argv[1])
            started = threading.Barrier(5)
            def work():
                log.event("first")
                started.wait()
                while True:
                    log.record_tool_call("t", None, "x" * 1000)
            for _ in range(4):
                threading.Thread(target=work, daemon=True).start()
            started.wait()
            """,
            path,
        )

        assert (ended.code, ended.err) == (0, "")
        assert types(path).count("run_end") == 1
        assert len(steps_of(path)) == len(set(steps_of(path)))

    def test_a_handle_never_ended_is_ended_at_the_end(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        ended = run_child('log = StepLog(sys.argv[1]); call = log.tool_call("t")', path)

        assert (ended.code, ended.err) == (0, "")
        assert types(path, step=1) == ["step_start", "tool_call"]


class TestWhetherAProcessLives:
    def test_this_one_does(self) -> None:
        assert is_alive(process_facts()) is True

    def test_one_that_was_killed_does_not_though_nobody_has_asked_after_it(self) -> None:
        reading, writing = os.pipe()
        pid = os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
        facts = {**process_facts(), "pid": pid, "started": started(pid)}
        alive_before = is_alive(facts)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays to be asked after

        assert (alive_before, is_alive(facts)) == (True, False)
        os.waitpid(pid, 0)
        os.close(reading)
        os.close(writing)


class TestTheStatusOfARunTakenUpAgain:
    def test_it_is_interrupted_though_the_second_process_lives_on(self, tmp_path: Path) -> None:
        from agent_step_log import StepLog

        path = tmp_path / "run.jsonl"
        run_child('log = StepLog(sys.argv[1], run_id="r"); log.event("e"); os._exit(0)', path)
        with StepLog(path, run_id="r") as log:
            during = list_runs(path)[0].status
            log.event("e")

        assert (during, list_runs(path)[0].status) == ("running", "interrupted")


class TestWhatAKillExplains:
    def killed(self, path: Path, steps: int, without: set[int]) -> None:
        """Leave the log of a process that is gone, with these numbers handed out and never written."""
        run_child(
            """
            log = StepLog(sys.argv[1], run_id="r")
            for _ in range(int(sys.argv[2])):
                log.event("e")
            os._exit(0)
            """,
            path,
            steps,
        )
        kept = [
            line for line in path.read_bytes().splitlines(True) if json.loads(line)["step"] not in without
        ]
        path.write_bytes(b"".join(kept))

    def test_a_number_a_thread_held_is_no_error_however_many_overtook_it(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        self.killed(path, 3000, {7, 9})

        assert [(problem.kind, problem.is_error) for problem in verify(path).problems] == [
            ("gap", False),
            ("gap", False),
            ("interrupted", False),
        ]

    def test_more_numbers_than_threads_could_hold_are_an_error(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        self.killed(path, 3000, set(range(100, 200)))

        assert [(problem.kind, problem.is_error) for problem in verify(path).problems] == [
            ("gap", True),
            ("interrupted", False),
        ]

    def test_a_record_cut_within_its_first_bytes_is_torn_and_not_something_else(self, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        self.killed(path, 3, set())
        for length in range(1, 12):
            whole = path.read_bytes()
            path.write_bytes(whole + b'{"run_id":"r"'[:length] + b"\n")
            damage: list[Damage] = []

            assert sum(1 for _ in read_log(path, on_damage=damage.append)) == 4
            assert [(stretch.length, stretch.reason) for stretch in damage] == [(length, "torn")]
            path.write_bytes(whole)
