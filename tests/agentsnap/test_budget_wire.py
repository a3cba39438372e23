"""Budgets on the wire: the request beyond the limit is not sent, and its client is as good as before."""

from __future__ import annotations

import asyncio
import threading
import warnings
from typing import TYPE_CHECKING, Any

import aiohttp
import anthropic
import boto3
import botocore.config
import httpx
import httpx2
import openai
import pytest
import requests
import urllib3

import agent_stack
from agent_run_id import RunContext
from agent_step_log import StepAhead, StepLog, read_log
from agent_step_log.errors import CallRefusedError
from agentsnap import Budget, Budgets
from agentsnap.errors import BudgetExceeded, BudgetWarning
from agenttap import Tap, TapTransport
from tests.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _warnings_are_heard_elsewhere() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)
        yield


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def body(text: str = "Hello.", model: str = "claude-test-one-write", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": text}], **more}


class Client:
    """A client of a library with room for one connection: were it lost, the next would wait in vain."""

    def __init__(
        self, post: Callable[[str, Any], int], get: Callable[[str], int], end: Callable[[], None]
    ) -> None:
        self.post, self.get, self.close = post, get, end


def of_httpx(library: Any) -> Client:
    client = library.Client(limits=library.Limits(max_connections=1), timeout=120)
    return Client(
        lambda url, json: client.post(url, json=json).status_code,
        lambda url: client.get(url).status_code,
        client.close,
    )


def of_async_httpx(library: Any) -> Client:
    loop = asyncio.new_event_loop()
    client = library.AsyncClient(limits=library.Limits(max_connections=1), timeout=120)

    def close() -> None:
        loop.run_until_complete(client.aclose())
        loop.close()

    return Client(
        lambda url, json: loop.run_until_complete(client.post(url, json=json)).status_code,
        lambda url: loop.run_until_complete(client.get(url)).status_code,
        close,
    )


def of_aiohttp() -> Client:
    loop = asyncio.new_event_loop()

    async def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1), timeout=aiohttp.ClientTimeout(120)
        )

    session = loop.run_until_complete(make())

    async def ask(method: str, url: str, **more: Any) -> int:
        async with session.request(method, url, **more) as response:
            await response.read()
            return response.status

    def close() -> None:
        loop.run_until_complete(session.close())
        loop.close()

    return Client(
        lambda url, json: loop.run_until_complete(ask("POST", url, json=json)),
        lambda url: loop.run_until_complete(ask("GET", url)),
        close,
    )


def of_requests() -> Client:
    session = requests.Session()
    return Client(
        lambda url, json: session.post(url, json=json, timeout=120).status_code,
        lambda url: session.get(url, timeout=120).status_code,
        session.close,
    )


def of_urllib3() -> Client:
    pool = urllib3.PoolManager(maxsize=1, block=True, timeout=120)
    return Client(
        lambda url, json: pool.request("POST", url, json=json).status,
        lambda url: pool.request("GET", url).status,
        pool.clear,
    )


CLIENTS: dict[str, Callable[[], Client]] = {
    "httpx": lambda: of_httpx(httpx),
    "httpx2": lambda: of_httpx(httpx2),
    "httpx-async": lambda: of_async_httpx(httpx),
    "httpx2-async": lambda: of_async_httpx(httpx2),
    "aiohttp": of_aiohttp,
    "requests": of_requests,
    "urllib3": of_urllib3,
}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    client = CLIENTS[request.param]()
    yield client
    client.close()


def records(path: Path, kind: str) -> list[Any]:
    return [record for record in read_log(path) if record.type == kind]


class TestEveryClient:
    def test_the_request_is_not_sent_and_the_client_goes_on(
        self, client: Client, provider: Provider, tmp_path: Path
    ) -> None:
        path = tmp_path / "run.jsonl"
        budget = Budget(calls=1, warn_at=None)
        with StepLog(path, "run", guard=budget) as log, Tap(log=log) as tap:
            assert client.post(f"{provider.url}/v1/messages", body()) == 200
            for _ in range(3):
                with pytest.raises(
                    BudgetExceeded, match="The llm_call of claude-test-one-write was not made"
                ):
                    client.post(f"{provider.url}/v1/messages", body("More."))
            assert client.get(f"{provider.url}/health") == 200
            assert (tap.errors, log.health.guard_errors) == (0, 0)

        assert [served.method for served in provider.served] == ["POST", "GET"]
        assert len(records(path, "llm_call")) == len(records(path, "step_start")) == 1
        refused = records(path, "event")
        assert [(event.name, event.data["of"], event.data["refused"]) for event in refused] == [
            ("budget.exceeded", "llm_call", True)
        ] * 3
        assert (budget.spent("run").calls, budget.spent("run").in_flight) == (1, 0)

    def test_tokens_of_the_answers_use_it_up(
        self, client: Client, provider: Provider, tmp_path: Path
    ) -> None:
        budget = Budget(tokens=1, warn_at=None)
        with StepLog(tmp_path / "run.jsonl", "run", guard=budget) as log, Tap(log=log):
            client.post(f"{provider.url}/v1/messages", body(stream=True))
            with pytest.raises(BudgetExceeded):
                client.post(f"{provider.url}/v1/messages", body("More."))

        truth = provider.calls[0].truth
        assert truth.input_tokens is not None
        assert truth.output_tokens is not None
        assert budget.spent("run").tokens.value == truth.input_tokens + truth.output_tokens
        assert len(provider.served) == 1


class TestSdks:
    """They catch every `Exception`, try again, and call it a failure of the connection; not this one."""

    def test_openai(self, provider: Provider, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        with StepLog(path, guard=Budget(calls=0)) as log, Tap(log=log):
            sdk = openai.OpenAI(base_url=f"{provider.url}/v1", api_key="none")
            with sdk, pytest.raises(BudgetExceeded):
                sdk.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "Hello."}])

        assert provider.served == []
        assert len(records(path, "event")) == 1

    def test_anthropic_asynchronously(self, provider: Provider, tmp_path: Path) -> None:
        async def ask() -> None:
            async with anthropic.AsyncAnthropic(base_url=provider.url, api_key="none") as sdk:
                await sdk.messages.create(**body())

        path = tmp_path / "run.jsonl"
        with StepLog(path, guard=Budget(calls=0)) as log, Tap(log=log), pytest.raises(BudgetExceeded):
            asyncio.run(ask())

        assert provider.served == []
        assert len(records(path, "event")) == 1

    def test_boto3(self, provider: Provider, tmp_path: Path) -> None:
        sdk = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=provider.url,
            aws_access_key_id="none",
            aws_secret_access_key="none",
            config=botocore.config.Config(retries={"total_max_attempts": 3}),
        )
        path = tmp_path / "run.jsonl"
        with StepLog(path, guard=Budget(calls=0)) as log, Tap(log=log), pytest.raises(BudgetExceeded):
            sdk.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "Hello."}]}])

        assert provider.served == []
        assert len(records(path, "event")) == 1


class TestOneCallIsOne:
    def test_a_measured_call_around_it_is_asked_about_once(self, provider: Provider, tmp_path: Path) -> None:
        asked: list[str] = []
        budget = Budget(calls=2)

        class Noting(Budgets):
            def __call__(self, ahead: StepAhead) -> None:
                asked.append(ahead.type)
                super().__call__(ahead)

        with StepLog(tmp_path / "run.jsonl", "run", guard=Noting(budget)) as log, Tap(log=log):
            for _ in range(2):
                with log.llm_call("claude"):
                    httpx2.post(f"{provider.url}/v1/messages", json=body())
            with pytest.raises(BudgetExceeded):
                log.llm_call("claude")

        assert asked == ["llm_call"] * 3
        assert (budget.spent("run").calls, budget.spent("run").in_flight) == (2, 0)
        assert len(provider.calls) == 2

    def test_what_the_sdk_tries_again_is_one_call(self, provider: Provider, tmp_path: Path) -> None:
        path = tmp_path / "run.jsonl"
        budget = Budget(calls=1)
        with StepLog(path, "run", guard=budget) as log, Tap(log=log):
            sdk = anthropic.Anthropic(base_url=provider.url, api_key="none", max_retries=2)
            with sdk:
                sdk.messages.create(**body(model="claude-test-500-once"))
                with pytest.raises(BudgetExceeded):
                    sdk.messages.create(**body("More."))

        assert len(provider.served) == 2
        (call,) = records(path, "llm_call")
        assert call.attempt == 2
        assert budget.spent("run").calls == 1

    def test_a_streamed_body_is_asked_about_too(self, provider: Provider, tmp_path: Path) -> None:
        taken: list[bytes] = []

        def pieces() -> Iterator[bytes]:
            taken.append(b"{}")
            yield b"{}"

        with StepLog(tmp_path / "run.jsonl", guard=Budget(calls=0)) as log, Tap(log=log):
            with httpx2.Client() as client, pytest.raises(BudgetExceeded):
                client.post(f"{provider.url}/v1/messages", content=pieces())

        assert (taken, provider.served) == ([], [])

    def test_other_traffic_is_nobody_s_business(self, provider: Provider, tmp_path: Path) -> None:
        with StepLog(tmp_path / "run.jsonl", guard=Budget(calls=0)) as log, Tap(log=log, capture="all"):
            assert httpx2.post(f"{provider.url}/v1/embeddings", json={"model": "e"}).status_code == 200


class TestTogether:
    def test_of_parallel_requests_exactly_as_many_are_sent_as_calls_are_left(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        budget = Budget(calls=5)
        refused: list[BudgetExceeded] = []
        together = threading.Barrier(8)
        with StepLog(tmp_path / "run.jsonl", "run", guard=budget) as log, Tap(log=log):
            with httpx2.Client() as client:

                def work(number: int) -> None:
                    together.wait()
                    for turn in range(3):
                        try:
                            client.post(f"{provider.url}/v1/messages", json=body(f"{number} {turn}"))
                        except BudgetExceeded as error:
                            refused.append(error)

                threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

        assert len(provider.served) == 5
        assert len(refused) == 19
        assert (budget.spent("run").calls, budget.spent("run").in_flight) == (5, 0)

    def test_of_tasks_as_well(self, provider: Provider, tmp_path: Path) -> None:
        async def main() -> list[Any]:
            async with aiohttp.ClientSession() as session:

                async def work(number: int) -> int:
                    async with session.post(
                        f"{provider.url}/v1/messages", json=body(str(number))
                    ) as response:
                        await response.read()
                        return response.status

                return await asyncio.gather(*(work(number) for number in range(12)), return_exceptions=True)

        with StepLog(tmp_path / "run.jsonl", guard=Budget(calls=4)) as log, Tap(log=log):
            outcomes = asyncio.run(main())

        assert [outcome for outcome in outcomes if isinstance(outcome, int)] == [200] * 4
        assert len([outcome for outcome in outcomes if isinstance(outcome, BudgetExceeded)]) == 8
        assert len(provider.served) == 4


class TestWaysIn:
    def test_install_wires_it_for_runs_and_their_children(self, provider: Provider, tmp_path: Path) -> None:
        budget = Budget(calls=2)
        with agent_stack.install(tmp_path, budget=budget) as recording:
            httpx2.post(f"{provider.url}/v1/messages", json=body("root"))
            with RunContext.start("child"):
                httpx2.post(f"{provider.url}/v1/messages", json=body("child"))
                with pytest.raises(BudgetExceeded) as refused:
                    httpx2.post(f"{provider.url}/v1/messages", json=body("child again"))
            with RunContext.start("apart", parent=None):
                httpx2.post(f"{provider.url}/v1/messages", json=body("apart"))
            assert recording.budget is budget
            assert recording.tap.errors == 0

        assert len(provider.served) == 3
        assert refused.value.group == recording.run.run_id
        assert budget.usage.calls == 3

    def test_a_tap_gives_its_guard_to_a_log_that_has_none(self, provider: Provider, tmp_path: Path) -> None:
        budget = Budget(calls=2)
        with StepLog(tmp_path / "run.jsonl", "run") as log, Tap(log=log, guard=budget):
            httpx2.post(f"{provider.url}/v1/messages", json=body())
            with log.llm_call("m"):
                pass
            with pytest.raises(BudgetExceeded):
                httpx2.post(f"{provider.url}/v1/messages", json=body())

        assert (budget.spent("run").calls, budget.spent("run").in_flight) == (2, 0)

    def test_a_tape_without_a_log_counts_calls(self, provider: Provider, tmp_path: Path) -> None:
        with RunContext.start() as run, Tap(tmp_path, guard=Budget(calls=1)):
            httpx2.post(f"{provider.url}/v1/messages", json=body())
            with pytest.raises(BudgetExceeded) as refused:
                httpx2.post(f"{provider.url}/v1/messages", json=body())

        assert refused.value.group == run.run_id
        assert len(provider.served) == 1

    def test_one_client_alone(self, provider: Provider, tmp_path: Path) -> None:
        with StepLog(tmp_path / "run.jsonl", guard=Budget(calls=1)) as log:
            tap = Tap(log=log)
            with httpx2.Client(transport=TapTransport(httpx2.HTTPTransport(), tap)) as client:
                client.post(f"{provider.url}/v1/messages", json=body())
                with pytest.raises(BudgetExceeded):
                    client.post(f"{provider.url}/v1/messages", json=body())
            tap.close()

        assert len(provider.served) == 1

    def test_any_guard_may_refuse_and_one_that_fails_stops_nothing(
        self, provider: Provider, tmp_path: Path
    ) -> None:
        def by_model(ahead: StepAhead) -> None:
            if ahead.name == "forbidden":
                raise CallRefusedError("not this one")
            raise ZeroDivisionError

        with StepLog(tmp_path / "run.jsonl", guard=by_model) as log, Tap(log=log) as tap:
            with pytest.raises(CallRefusedError, match="not this one"):
                httpx2.post(f"{provider.url}/v1/messages", json=body(model="forbidden"))
            httpx2.post(f"{provider.url}/v1/messages", json=body())
            assert (tap.errors, log.health.guard_errors) == (0, 1)
        with Tap(tmp_path / "tapes", guard=by_model) as alone, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            httpx2.post(f"{provider.url}/v1/messages", json=body())
            assert alone.errors == 1

        assert len(provider.served) == 2
        assert len(records(tmp_path / "run.jsonl", "llm_call")) == 1
