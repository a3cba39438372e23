"""Agents of the frameworks, each a process with one `install` line: the log they leave is complete."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.matrix.choice import CHOSEN, each, one_for_each
from tests.matrix.drivers._driver import TOOLS
from tests.matrix.loopback import ENVIRONMENT
from tests.matrix.observing import ask_for
from tests.provider import TEXT, Provider

if TYPE_CHECKING:
    from tests.matrix.drivers import Driver

ROOT = Path(__file__).parents[2]

#: The agent. What stands above the line is the test's.
AGENT = """\
import sys
from tests.matrix.loopback import guard
guard()

import agent_stack; agent_stack.install(sys.argv[1])

from tests.matrix.drivers import DRIVERS, Ask
driver = next(driver for driver in DRIVERS if str(driver) == sys.argv[2])
shown = lambda piece: None
told = driver.run(Ask(*sys.argv[3:6], True, shown, shown))
print(told.text, file=sys.stderr)
"""


AGENTS = one_for_each(
    lambda driver: (driver.sdk, driver.api), [driver for driver in CHOSEN if driver.is_framework]
)


def run_agent(driver: Driver, provider: Provider, directory: Path) -> subprocess.CompletedProcess[str]:
    ask = ask_for(driver, provider, marks="plain", with_tools=True, is_locked=False)
    argv = [sys.executable, "-W", "ignore", "-c", AGENT, str(directory), str(driver)]
    env = os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT), "HOME": str(directory)}
    return subprocess.run(
        [*argv, ask.url, ask.model, ask.prompt],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@each(AGENTS)
class TestOneLine:
    def test_yields_every_step_of_the_agent(self, driver: Driver, tmp_path: Path) -> None:
        with Provider() as provider:
            ended = run_agent(driver, provider, tmp_path)
            served = provider.calls

        assert ended.returncode == 0, ended.stderr
        assert TEXT in ended.stderr
        (log,) = tmp_path.glob("*.jsonl")
        records: list[dict[str, Any]] = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        kinds = [record["type"] for record in records]
        assert (kinds[0], kinds[-1], records[-1]["status"]) == ("run_start", "run_end", "ok")
        calls = [record for record in records if record["type"] == "llm_call"]
        assert [call["model"] for call in calls] == [one.truth.model for one in served]
        assert [call["input_tokens"] for call in calls] == [one.truth.input_tokens for one in served]
        assert [call["output_tokens"] for call in calls] == [one.truth.output_tokens for one in served]
        tools = {record["tool"]: record for record in records if record["type"] == "tool_call"}
        assert tools.keys() == TOOLS.keys()
        for name, record in tools.items():
            assert TOOLS[name](**record["input"]) in json.dumps(record["output"], ensure_ascii=False)
        begun = {record["step"] for record in records if record["type"] == "step_start"}
        assert begun <= {record["step"] for record in records if record["type"] != "step_start"}
