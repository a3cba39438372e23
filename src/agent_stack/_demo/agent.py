"""An agent loop as people write them, with its step log: ask the model, run the tools, go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_run_id import ContextThreadPoolExecutor, RunContext
from agent_stack._demo import tools
from agent_stack._demo.model import MODEL, ScriptedModel, deployer, researcher, surveyor
from agent_stack._demo.served import called, tapped
from agent_step_log import StepLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent_stack._demo.model import Message, Script
    from agent_stack._demo.served import Connect
    from agent_step_log import ToolStep

__all__ = ["Agent", "record_deployer", "record_researcher"]

_STAND_IN = {"model": "a script that stands in for an LLM"}
_TASK = "Where does a record reach the disk, how large is that code, and which version is it?"


class Agent:
    """Runs a script with the tools given to it and records every step.

    Args:
        log: Where to.
        tools: Tool name to function.
        connect: How the model is asked. Default: by calling it.
    """

    def __init__(self, log: StepLog, tools: dict[str, Callable[..., Any]], connect: Connect = called) -> None:
        self._log = log
        self._tools = tools
        self._connect = connect

    def run(self, script: Script, task: str) -> str:
        """Work on *task* until the model asks for no more tools; return its last words."""
        ask = self._connect(ScriptedModel(script, task))
        messages: list[Message] = [{"role": "user", "content": task}]
        while True:
            with self._log.llm_call(MODEL) as call:
                answer = ask(messages, list(self._tools))
                call.response(answer)
            calls = [block for block in answer["content"] if block["type"] == "tool_use"]
            if not calls:
                return str(answer["content"][0]["text"])
            # Tools asked for together run together. They begin here, in the order the model asked for
            # them; the pool carries the current step into the threads where they go on.
            begun = [self._begin(block) for block in calls]
            with ContextThreadPoolExecutor(max_workers=len(calls)) as pool:
                results = list(pool.map(self._use, calls, begun))
            messages += [
                {"role": "assistant", "content": answer["content"]},
                {"role": "user", "content": results},
            ]

    def _begin(self, block: dict[str, Any]) -> ToolStep:
        return self._log.tool_call(block["name"], block["input"], tool_call_id=block["id"])

    def _use(self, block: dict[str, Any], begun: ToolStep) -> Message:
        """Run one tool; what it raises is recorded, and goes back to the model as words."""
        result: Message = {"type": "tool_result", "tool_use_id": block["id"]}
        try:
            with begun as step:
                output = self._tools[block["name"]](**block["input"])
                if not isinstance(output, str):
                    # A tool that yields: its items pass through the step, and end it with the last one.
                    output = "".join(step.stream(output))
                step.output = output
            return {**result, "content": output}
        except (OSError, tools.CommandFailedError) as error:
            return {**result, "content": str(error), "is_error": True}

    def delegate(self, agent: str, task: str) -> str:
        """Have another agent work on *task*; a tool like any other, with steps of its own below it."""
        with self._log.agent(agent, task) as scope:
            scope.output = self.run(surveyor, task)
            return scope.output


def record_researcher(folder: Path) -> str:
    """Record the researcher's run into a log of its own in *folder*; return its run id."""
    metadata = {**_STAND_IN, "session": "demo"}
    with RunContext.start(agent="researcher", parent=None) as run:
        log = StepLog(
            f"{folder}/",
            agent_version="1.2.0",
            task_type="code research",
            environment="demo",
            metadata=metadata,
        )
        with log, tapped(log) as connect:
            log.event("user_message", {"text": _TASK})
            usable: dict[str, Callable[..., Any]] = {
                "search": tools.search,
                "read_file": tools.read_file,
                "list_files": tools.list_files,
                "measure": tools.measure,
                "run_command": tools.run_command,
            }
            agent = Agent(log, usable, connect)
            usable["delegate"] = agent.delegate
            answer = agent.run(researcher, _TASK)
            log.event("user_feedback", {"score": 1.0, "answer_length": len(answer)})
        return str(run.run_id)


def record_deployer(folder: Path, wait_for_build: Callable[..., str]) -> None:
    """Record a run whose tool *wait_for_build* decides when, or whether, it goes on.

    Prints the log's path when the recorder is at work.
    """
    with RunContext.start(agent="deployer", parent=None):
        log = StepLog(
            f"{folder}/", agent_version="0.3.1", task_type="release", environment="demo", metadata=_STAND_IN
        )
        print(log.path, flush=True)  # noqa: T201  what the parent process waits for
        with log:
            usable: dict[str, Callable[..., Any]] = {
                "list_files": tools.list_files,
                "wait_for_build": wait_for_build,
            }
            Agent(log, usable).run(deployer, "Publish the nightly build.")
