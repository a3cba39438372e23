"""Tapped processes killed at random moments: every call that had returned is on the tape and in the log.

A nursery, an interpreter of its own without threads, has everything imported and forks
one agent a round. The agent calls the provider from two threads and acknowledges each
call that has returned through a pipe; the nursery kills it within thirty milliseconds of
the first acknowledgement, wherever it then is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import agent_step_log
from agent_step_log import list_runs, read_log, verify
from agenttap import Tape, tapes_of
from tests.provider import Provider

pytestmark = pytest.mark.crash

ROUNDS = 40
THREADS = 2
SRC = str(Path(agent_step_log.__file__).parents[1])

_NURSERY = """
import json, os, random, select, signal, sys, threading, time
import httpx2
import agent_stack

url, rounds, threads, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])


def work(pipe, thread):
    with httpx2.Client(trust_env=False, timeout=600) as client:
        for number in range(10**9):
            marker = f"call {thread}.{number}"
            asked = {"model": "claude-test", "max_tokens": 9, "stream": number % 2 == 1,
                     "messages": [{"role": "user", "content": marker + " x" * (number % 5 * 4000)}]}
            client.post(url, json=asked).raise_for_status()
            os.write(pipe, (marker + "\\n").encode())


def agent(place, pipe):
    agent_stack.install(place)
    for thread in range(1, threads):
        threading.Thread(target=work, args=(pipe, thread), daemon=True).start()
    work(pipe, 0)


choose = random.Random(seed)
for place in map(str, range(rounds)):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            agent(place, writing)
        finally:
            os._exit(70)
    os.close(writing)
    said = os.read(reading, 1 << 16)
    end = time.monotonic() + choose.random() * 0.03
    while (left := end - time.monotonic()) > 0 and select.select([reading], [], [], left)[0]:
        said += os.read(reading, 1 << 16)
    os.kill(child, signal.SIGKILL)
    while chunk := os.read(reading, 1 << 16):
        said += chunk
    os.close(reading)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps({"place": place, "status": status, "returned": said.decode().splitlines()}))
"""


@pytest.fixture(scope="module")
def rounds(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each round acknowledged, and where it recorded."""
    folder = tmp_path_factory.mktemp("kills")
    with Provider() as provider:
        done = subprocess.run(
            [sys.executable, "-c", _NURSERY, f"{provider.url}/v1/messages", str(ROUNDS), str(THREADS), "7"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": SRC},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return [{**each, "place": folder / each["place"]} for each in told]


def marker(request: bytes) -> str:
    text: str = json.loads(request)["messages"][0]["content"]
    return " ".join(text.split()[:2])


class TestKilledAgents:
    def test_each_was_killed_and_had_calls_that_returned(self, rounds: list[dict[str, Any]]) -> None:
        assert [each["status"] for each in rounds] == [-9] * ROUNDS
        assert all(each["returned"] for each in rounds)

    def test_every_call_that_returned_is_on_the_tape_once_and_whole(
        self, rounds: list[dict[str, Any]]
    ) -> None:
        for each in rounds:
            [path] = tapes_of(each["place"])
            tape = Tape(path)
            taped = Counter(
                marker(found.request_body)
                for found in tape.exchanges()
                if found.state == "complete" and found.facts().text
            )

            assert [name for name in each["returned"] if taped[name] != 1] == []

    def test_every_call_that_returned_is_a_step_that_ended(self, rounds: list[dict[str, Any]]) -> None:
        for each in rounds:
            [path] = tapes_of(each["place"])
            ended = {
                (record.exchange["n"], record.stop_reason)
                for record in read_log(each["place"])
                if record.type == "llm_call"
            }
            taped = {
                marker(found.request_body): found.n
                for found in Tape(path).exchanges()
                if found.state == "complete"
            }

            assert [n for name in each["returned"] if ((n := taped[name]), "end_turn") not in ended] == []

    def test_what_was_in_flight_shows_as_that_and_nothing_is_damaged_but_the_end(
        self, rounds: list[dict[str, Any]]
    ) -> None:
        for each in rounds:
            [path] = tapes_of(each["place"])
            tape = Tape(path)
            unfinished = [found.n for found in tape.exchanges() if found.state == "unfinished"]
            [info] = list_runs(each["place"])

            assert len(unfinished) <= THREADS
            assert info.status == "interrupted"
            assert len(info.in_flight) <= THREADS
            assert len(tape.damage) <= 1
            assert verify(each["place"]).ok
