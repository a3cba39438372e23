"""A tap as a whole: runs and their tapes, what is captured and what is not, forks, other patchers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

import agent_stack
import agenttap
from agent_event_bus import EventBus
from agent_run_id import RunContext
from agent_step_log import StepLog, list_runs, read_log
from agenttap import Tap, Tape, TapTransport
from tests.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SECRET = "sk-ant-api03-" + "Ab1_" * 22  # made up


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def body(text: str = "Hello.", model: str = "claude-test-drip", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": text}], **more}


def post(provider: Provider, **more: Any) -> httpx2.Response:
    response = httpx2.post(f"{provider.url}/v1/messages", json=body(**more))
    response.raise_for_status()
    return response


def exchanges(directory: Path) -> list[agenttap.TapedExchange]:
    return [each for path in sorted(directory.glob("*.tape.zst")) for each in Tape(path).exchanges()]


class TestOneRun:
    def test_the_step_points_at_its_exchange_and_back(self, provider: Provider, tmp_path: Path) -> None:
        with StepLog(tmp_path / "run.jsonl", "run-7") as log, Tap(log=log):
            post(provider)

        (call,) = [record for record in read_log(tmp_path / "run.jsonl") if record.type == "llm_call"]
        taped = Tape(tmp_path / call.exchange["tape"]).exchange(call.exchange["n"])
        assert (taped.step, taped.state, taped.status) == (call.step, "complete", 200)
        assert call.exchange["tape"].startswith("run-7.")
        assert call.input_tokens == provider.calls[0].truth.input_tokens

    def test_bytes_on_the_tape_are_the_bytes_of_the_wire(self, provider: Provider, tmp_path: Path) -> None:
        with Tap(tmp_path):
            answer = post(provider, stream=True)
        (taped,) = exchanges(tmp_path)
        (served,) = provider.served

        assert taped.body == served.sent == answer.content
        assert (taped.sha256, taped.request_sha256) == (served.sha256, served.request_sha256)
        assert b"".join(data for _, data in taped.chunks()) == served.sent
        assert taped.request_body == served.body

    def test_what_is_no_model_s_traffic_is_left_alone(self, provider: Provider, tmp_path: Path) -> None:
        with Tap(tmp_path):
            httpx2.get(f"{provider.url}/health")
            httpx2.post(f"{provider.url}/v1/embeddings", json={"model": "e", "input": "x"})

        assert list(tmp_path.iterdir()) == []

    def test_everything_is_captured_on_request(self, provider: Provider, tmp_path: Path) -> None:
        with Tap(tmp_path, capture="all"):
            httpx2.get(f"{provider.url}/health")

        assert [(each.method, each.api) for each in exchanges(tmp_path)] == [("GET", None)]

    def test_a_function_may_choose(self, provider: Provider, tmp_path: Path) -> None:
        with Tap(tmp_path, capture=lambda method, url: url.endswith("/wanted") and method == "GET"):
            httpx2.get(f"{provider.url}/wanted")
            httpx2.get(f"{provider.url}/other")

        assert [each.url.rpartition("/")[2] for each in exchanges(tmp_path)] == ["wanted"]

    def test_content_off_keeps_figures_only(self, provider: Provider, tmp_path: Path) -> None:
        with StepLog(tmp_path / "run.jsonl", "run") as log, Tap(log=log, content="off"):
            post(provider, text="the launch code", tools=[{"name": "get_weather", "input_schema": {}}])
        (call,) = [record for record in read_log(tmp_path / "run.jsonl") if record.type == "llm_call"]
        (taped,) = exchanges(tmp_path)

        assert (taped.request_body, taped.body) == (b"", b"")
        assert taped.size == len(provider.served[0].sent)
        assert (call.input_tokens, call.output) == (provider.calls[0].truth.input_tokens, None)
        assert b"launch code" not in (tmp_path / "run.jsonl").read_bytes()

    def test_settings_that_do_not_exist_are_said_so(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="content must be"):
            Tap(tmp_path, content="none")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="capture must be"):
            Tap(tmp_path, capture="some")  # type: ignore[arg-type]


class TestSecrets:
    def test_a_secret_reaches_the_provider_and_no_file(self, provider: Provider, tmp_path: Path) -> None:
        with StepLog(tmp_path / "run.jsonl", "run") as log, Tap(log=log) as tap:
            httpx2.post(
                f"{provider.url}/v1/messages?key={SECRET}",
                json=body(f"my key is {SECRET}"),
                headers={"x-api-key": SECRET},
            )
        written = b"".join(path.read_bytes() for path in tmp_path.glob("*.jsonl"))
        (taped,) = exchanges(tmp_path)

        assert SECRET.encode() in provider.served[0].body
        assert SECRET in provider.served[0].path
        assert SECRET.encode() not in written
        assert SECRET not in repr([taped.url, taped.headers, taped.request_body, taped.body])
        assert b"my key is <redacted:" in taped.request_body
        assert tap.errors == 0

    def test_on_request_it_stays(self, provider: Provider, tmp_path: Path) -> None:
        with Tap(tmp_path, redact=False):
            post(provider, text=SECRET)

        assert SECRET.encode() in exchanges(tmp_path)[0].request_body


class TestRuns:
    def test_each_run_of_a_process_gets_a_log_and_a_tape(self, provider: Provider, tmp_path: Path) -> None:
        def handle(name: str) -> None:
            with RunContext.start(name):
                post(provider)

        with agent_stack.install(tmp_path / "logs", agent="server"):
            threads = [threading.Thread(target=handle, args=(f"task-{number}",)) for number in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        infos = list_runs(tmp_path / "logs")
        runs = {str(info.header.agent): info for info in infos if info.header is not None}

        assert sorted(runs) == ["server", "task-0", "task-1", "task-2"]
        assert len(list((tmp_path / "logs").glob("*.tape.zst"))) == 3
        assert {info.status for info in runs.values()} == {"ok"}

    def test_a_child_run_names_its_parent(self, provider: Provider, tmp_path: Path) -> None:
        with agent_stack.install(tmp_path, agent="outer") as recording, RunContext.start("inner"):
            post(provider)
        headers = [record for record in read_log(tmp_path) if record.type == "run_start"]

        assert [record.parent_run_id for record in headers if record.agent == "inner"] == [
            str(recording.run.run_id)
        ]

    def test_a_thread_without_a_run_belongs_to_the_process(self, provider: Provider, tmp_path: Path) -> None:
        with agent_stack.install(tmp_path) as recording:
            thread = threading.Thread(target=post, args=(provider,))
            thread.start()
            thread.join()
        (path,) = tmp_path.glob("*.tape.zst")

        assert Tape(path).run_id == recording.run.run_id
        assert Tape(path).exchange(1).attribution == "process"

    def test_the_innermost_tap_gets_the_exchange(self, provider: Provider, tmp_path: Path) -> None:
        with Tap(tmp_path / "outer"), Tap(tmp_path / "inner"):
            post(provider)

        assert (len(exchanges(tmp_path / "outer")), len(exchanges(tmp_path / "inner"))) == (0, 1)

    def test_a_forked_child_goes_on_with_a_tape_of_its_own(self, provider: Provider, tmp_path: Path) -> None:
        code = (
            "import os, sys, agent_stack, httpx2\n"
            "url, where, body = sys.argv[1], sys.argv[2], sys.argv[3]\n"
            "agent_stack.install(where)\n"
            "post = lambda: httpx2.post(url, content=body, headers={'content-type': 'application/json'})\n"
            "post()\n"
            "child = os.fork()\n"
            "post()\n"
            "if child: os.waitpid(child, 0)\n"
        )
        command = [sys.executable, "-W", "error", "-c", code, f"{provider.url}/v1/messages"]
        done = subprocess.run(
            [*command, str(tmp_path / "logs"), json.dumps(body())],
            check=False,
            capture_output=True,
            text=True,
        )

        assert (done.returncode, done.stderr) == (0, "")
        counts = sorted(len(list(Tape(path).exchanges())) for path in (tmp_path / "logs").glob("*.tape.zst"))
        assert counts == [1, 2]
        assert all(not Tape(path).damage for path in (tmp_path / "logs").glob("*.tape.zst"))
        calls = [record for record in read_log(tmp_path / "logs") if record.type == "llm_call"]
        assert len(calls) == 3
        assert len({call.writer for call in calls}) == 2

    def test_a_call_that_waits_to_be_repeated_is_not_ended_by_a_forked_child(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        code = (
            "import gc, os, sys, agent_stack, httpx2\n"
            "agent_stack.install('logs/run.jsonl')\n"
            "httpx2.post(sys.argv[1], content=sys.argv[2])\n"
            "child = os.fork()\n"
            "if not child: gc.collect(); sys.exit()\n"
            "os.waitpid(child, 0)\n"
        )
        asked = json.dumps(body(model="claude-test-503-always"))
        command = [sys.executable, "-c", code, f"{provider.url}/v1/messages", asked]
        subprocess.run(command, cwd=tmp_path, check=True)

        calls = [record for record in read_log(tmp_path / "logs") if record.type == "llm_call"]
        assert [(call.step, call.writer, call.error_type) for call in calls] == [(1, None, "api_error")]

    def test_a_response_that_is_kept_keeps_nothing_of_ours(self, provider: Provider, tmp_path: Path) -> None:
        with Tap(tmp_path):
            answer = post(provider)
            capture = answer.stream._stream._capture  # type: ignore[union-attr]

        assert (capture.state, capture.body, capture.chunks, capture.headers) == (None, None, [], [])


class TestInstall:
    def test_the_bus_hears_of_each_step(self, provider: Provider, tmp_path: Path) -> None:
        bus, heard = EventBus(), []
        bus.on("step.llm_call", lambda topic, record: heard.append(record.model))
        with agent_stack.install(tmp_path / "run.jsonl", bus=bus):
            post(provider)

        assert heard == [provider.calls[0].truth.model]
        assert (tmp_path / "run.jsonl").exists()

    def test_a_program_that_ends_closes_everything(self, provider: Provider, tmp_path: Path) -> None:
        code = (
            "import sys, agent_stack\nagent_stack.install('logs', agent='a')\nimport httpx2\n"
            "httpx2.post(sys.argv[1], content=sys.argv[2])\nraise ValueError('wrong answer')\n"
        )
        command = [sys.executable, "-c", code, f"{provider.url}/v1/messages", json.dumps(body())]
        subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        (info,) = list_runs(tmp_path / "logs")
        (path,) = (tmp_path / "logs").glob("*.tape.zst")

        assert info.status == "error"
        assert Tape(path).frames()[-1].is_finished

    def test_a_missing_extra_is_named_and_nothing_is_begun(self, tmp_path: Path) -> None:
        code = (
            "import sys\nsys.modules['zstandard'] = None\nimport agent_stack\n"
            "try:\n    agent_stack.install('logs/')\nexcept ImportError as error:\n    print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
        )

        assert done.stdout == "The tape needs 'zstandard': pip install 'agent-step-log[tap]'\n"
        assert list(tmp_path.iterdir()) == []

    def test_uninstall_without_install_does_nothing(self) -> None:
        agenttap.uninstall()


class TestHarmless:
    def test_a_tape_that_cannot_be_written_costs_the_agent_nothing(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        (tmp_path / "logs").write_text("a file where the directory should be")
        with warnings.catch_warnings(record=True) as warned, Tap(tmp_path / "logs" / "tapes") as tap:
            warnings.simplefilter("always")
            answer = post(provider)

        assert answer.json()["type"] == "message"
        assert tap.errors >= 1
        assert len([each for each in warned if each.category is agenttap.TapWarning]) == 1

    def test_a_decoder_that_breaks_costs_the_agent_nothing_and_the_step_ends(
        self, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from agenttap import _exchange

        class Broken:
            is_complete = False

            def add(self, event: object) -> bool:
                raise RuntimeError("a bug of ours")

            def facts(self) -> object:
                raise RuntimeError("a bug of ours")

        monkeypatch.setattr(_exchange, "response_decoder", lambda *_, **__: Broken())
        with (
            warnings.catch_warnings(),
            StepLog(tmp_path / "run.jsonl", "run") as log,
            Tap(log=log) as tap,
        ):
            warnings.simplefilter("ignore")
            assert post(provider).json()["type"] == "message"

        assert tap.errors == 1
        assert [record.type for record in read_log(tmp_path / "run.jsonl")].count("llm_call") == 1


class TestTransport:
    def test_it_captures_with_nothing_patched(self, provider: Provider, tmp_path: Path) -> None:
        before = httpx2.HTTPTransport.handle_request
        with httpx2.Client(transport=TapTransport(httpx2.HTTPTransport(), tmp_path)) as client:
            client.post(f"{provider.url}/v1/messages", json=body())
            assert httpx2.HTTPTransport.handle_request is before

        assert [each.state for each in exchanges(tmp_path)] == ["complete"]

    def test_beside_an_installed_tap_a_request_is_captured_once(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        with Tap(tmp_path / "installed"):
            transport = TapTransport(httpx2.HTTPTransport(), tmp_path / "own")
            with httpx2.Client(transport=transport) as client:
                client.post(f"{provider.url}/v1/messages", json=body())

        assert (len(exchanges(tmp_path / "installed")), len(exchanges(tmp_path / "own"))) == (0, 1)

    async def _asynchronously(self, provider: Provider, tmp_path: Path) -> None:
        transport = TapTransport(httpx2.AsyncHTTPTransport(), tmp_path)
        async with httpx2.AsyncClient(transport=transport) as client:
            await client.post(f"{provider.url}/v1/messages", json=body())

    def test_it_works_for_asynchronous_clients(self, provider: Provider, tmp_path: Path) -> None:
        import asyncio

        asyncio.run(self._asynchronously(provider, tmp_path))

        assert [each.state for each in exchanges(tmp_path)] == ["complete"]


class TestOthers:
    def test_a_transport_derived_from_the_library_s_is_captured_once(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        class Counting(httpx2.HTTPTransport):
            calls = 0

            def handle_request(self, request: httpx2.Request) -> httpx2.Response:
                self.calls += 1
                return super().handle_request(request)

        transport = Counting()
        with Tap(tmp_path), httpx2.Client(transport=transport) as client:
            client.post(f"{provider.url}/v1/messages", json=body())

        assert (len(exchanges(tmp_path)), transport.calls) == (1, 1)

    @pytest.mark.parametrize("order", ["before", "after"])
    def test_another_patcher_keeps_its_patch(
        self, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str
    ) -> None:
        seen = []

        def patch() -> None:
            original = httpx2.HTTPTransport.handle_request

            def theirs(self: Any, request: Any) -> Any:
                seen.append(request.method)
                return original(self, request)

            monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", theirs)

        tap = Tap(tmp_path)
        if order == "before":
            patch()
            tap.start()
        else:
            tap.start()
            patch()
        post(provider)
        tap.close()
        post(provider)

        assert seen == ["POST", "POST"]
        assert len(exchanges(tmp_path)) == 1


class TestKilled:
    def test_what_had_arrived_is_on_the_tape_and_the_call_is_in_flight(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        """Killed while a stream drips: what came more than a flush ago is kept."""
        code = (
            "import os, sys, signal, agent_stack\n"
            "from agenttap import _capture\n_capture.FLUSH_S = 0.0\n"
            "agent_stack.install('logs')\nimport httpx2\n"
            "with httpx2.stream('POST', sys.argv[1], content=sys.argv[2]) as answer:\n"
            "    for number, chunk in enumerate(answer.iter_raw()):\n"
            "        if number == 6: os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        asked = json.dumps(body(model="claude-test-endless", stream=True))
        done = subprocess.run(
            [sys.executable, "-c", code, f"{provider.url}/v1/messages", asked], cwd=tmp_path, check=False
        )
        (path,) = (tmp_path / "logs").glob("*.tape.zst")
        taped = Tape(path).exchange(1)
        records = list(read_log(tmp_path / "logs"))

        assert done.returncode == -9
        assert taped.state == "unfinished"
        assert taped.request_body == asked.encode()
        assert taped.body
        assert provider.served[0].sent.startswith(taped.body)
        assert [record.type for record in records] == ["run_start", "step_start"]
        assert records[-1].of == "llm_call"
        assert os.stat(path).st_mode & 0o077 == 0
