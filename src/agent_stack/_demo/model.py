"""A script in the place of an LLM, so that the demo needs no key and no network.

It answers in the shape of Anthropic's Messages API and decides from what the tools
returned: which file to open depends on where the search hit, the way round an error on
the error. Its tokens are counted as one for four characters, its latency is made up.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from difflib import get_close_matches
from time import sleep
from typing import Any, TypeAlias

__all__ = ["MODEL", "Script", "ScriptedModel", "deployer", "researcher", "surveyor"]

MODEL = "scripted-model"

_CHARACTERS = 4  # to a token
_SECONDS_A_TOKEN = 0.0004

Message: TypeAlias = dict[str, Any]
Calls: TypeAlias = list[tuple[str, dict[str, Any]]]  # tool, input


@dataclass
class Turn:
    """What a script says and which tools it asks for; no tools: it is done."""

    text: str
    calls: Calls = field(default_factory=list)


@dataclass
class Result:
    """What a tool gave back."""

    text: str
    is_error: bool = False


#: Yields turns, is sent the results of each.
Script: TypeAlias = Callable[[str], Generator[Turn, list[Result], None]]


class ScriptedModel:
    """Plays one script to its end: ``answer(messages)`` is a call of the API."""

    def __init__(self, script: Script, task: str) -> None:
        self._turns = script(task)
        self._begun = False
        self._seen = 0  # tokens of the prompt so far, which a provider would now have in its cache
        self._count = 0

    def answer(self, messages: list[Message]) -> Message:
        """Return the next message of the conversation."""
        turn = self._turns.send(_results(messages[-1])) if self._begun else next(self._turns)
        self._begun = True
        self._count += 1
        content: list[dict[str, Any]] = [{"type": "text", "text": turn.text}]
        for place, (tool, given) in enumerate(turn.calls):
            call_id = f"toolu_{self._count:02d}{place:02d}"
            content.append({"type": "tool_use", "id": call_id, "name": tool, "input": given})
        usage = self._usage(messages, content)
        sleep(_SECONDS_A_TOKEN * usage["output_tokens"])
        return {
            "id": f"msg_scripted_{self._count:02d}",
            "type": "message",
            "role": "assistant",
            "model": MODEL,
            "content": content,
            "stop_reason": "tool_use" if turn.calls else "end_turn",
            "usage": usage,
        }

    def _usage(self, messages: list[Message], content: list[dict[str, Any]]) -> dict[str, int]:
        prompt = _tokens(messages)
        cached, self._seen = min(self._seen, prompt), prompt
        return {
            "input_tokens": 0 if cached else prompt,
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": prompt - cached if cached else 0,
            "output_tokens": _tokens(content),
        }


def _tokens(value: object) -> int:
    return max(1, len(json.dumps(value)) // _CHARACTERS)


def _results(message: Message) -> list[Result]:
    blocks = message["content"] if isinstance(message["content"], list) else []
    return [Result(str(block["content"]), bool(block.get("is_error"))) for block in blocks]


# -- the scripts ----------------------------------------------------------------


def researcher(_task: str) -> Generator[Turn, list[Result], None]:
    """Find where a record reaches the disk, have the package measured, and check its version."""
    [hits] = yield Turn("I will search for the system call that writes.", [("search", {"text": "os.write("})])
    files = Counter(line.partition(":")[0] for line in hits.text.splitlines())
    found = files.most_common(1)[0][0]
    guess = found.lstrip("_")
    [page] = yield Turn(f"Most hits are in one module. Opening {guess}.", [("read_file", {"path": guess})])
    if page.is_error:
        [names] = yield Turn("No such file; I will look at what there is.", [("list_files", {"folder": "."})])
        near = get_close_matches(guess, names.text.split(), n=1, cutoff=0.5) or [found]
        [page] = yield Turn(f"It is called {near[0]}.", [("read_file", {"path": near[0]})])
    promise = next((line for line in page.text.splitlines() if "SIGKILL" in line), "and promises nothing")
    words = promise.split(None, 1)[-1]
    parts = ", ".join([found, "_reader.py", "_records.py"])
    [size] = yield Turn(
        "That settles the first question. A surveyor can measure the modules.",
        [("delegate", {"agent": "surveyor", "task": f"Measure {parts}."})],
    )
    version = [("run_command", {"command": ["python", "-m", "agent_step_log", "--version"]})]
    [answer] = yield Turn("Now the version, from the package itself.", version)
    if answer.is_error:
        code = "import agent_step_log as a; print(a.__version__, 'format', a.FORMAT_VERSION)"
        again = [("run_command", {"command": ["python", "-c", code]})]
        [answer] = yield Turn("It has no such command. I will ask the module.", again)
    yield Turn(f"{found} writes each record: “{words}”. {size.text} Version {answer.text.strip()}.")


def surveyor(task: str) -> Generator[Turn, list[Result], None]:
    """Measure the files named in *task*, all at once."""
    paths = [word.strip(".,") + ".py" for word in task.replace(".py", "").split() if word.startswith("_")]
    sizes = yield Turn("All three at once.", [("measure", {"path": path}) for path in paths])
    total = sum(int(size.text.split()[0]) for size in sizes if not size.is_error)
    yield Turn(f"{len(sizes)} modules, {total:,} lines.")


def deployer(_task: str) -> Generator[Turn, list[Result], None]:
    """Check the files, then wait for a build that never ends."""
    yield Turn("First, what is there to deploy.", [("list_files", {"folder": "."})])
    yield Turn(
        "All there. Waiting for the build.", [("wait_for_build", {"build": "nightly", "target": "wheel"})]
    )
    yield Turn("Done.")
