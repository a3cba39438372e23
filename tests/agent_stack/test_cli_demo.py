"""The demo, as a person runs it: real tools, a real kill, a real transcript."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import agent_stack
from agent_stack._demo import tools
from agent_stack._demo.model import MODEL, ScriptedModel, researcher
from agent_stack._safe import width
from agent_step_log import list_runs, read_run, verify
from agenttap import Tape, tapes_of

if TYPE_CHECKING:
    from agent_step_log import Run
    from tests.agent_stack.conftest import Cli


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a run of the demo printed, and where its logs are; run once for all tests."""
    folder = tmp_path_factory.mktemp("demo")
    # Nothing of the surroundings that an agent would need: no key, no home, no proxy.
    env = {
        "COLUMNS": "80",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(agent_stack.__file__).resolve().parent.parent),
        "TZ": "UTC",
    }
    done = subprocess.run(
        [sys.executable, "-m", "agent_stack", "demo"],
        capture_output=True,
        text=True,
        env=env,
        cwd=folder,
        timeout=240,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, folder / "demo-logs"


class TestStory:
    def test_tells_what_it_does_in_four_chapters(self, demo: tuple[str, Path]) -> None:
        chapters = re.findall(r"^ (\d)  (.*)$", demo[0], flags=re.MULTILINE)
        assert [title for _, title in chapters] == [
            "An agent at work",
            "Killed in mid-tool",
            "A session Claude Code left on disk",
            "All of them together",
        ]

    def test_says_that_a_script_stands_in_for_the_model(self, demo: tuple[str, Path]) -> None:
        assert "a script stands in for the LLM" in demo[0]
        assert 'model="a script that stands in for an LLM"' in demo[0]

    def test_every_command_it_proposes_works(
        self, demo: tuple[str, Path], cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        out, folder = demo
        monkeypatch.chdir(folder.parent)
        proposed = re.findall(r"agent-step-log (show .*|ls .*|wire .*)$", out, flags=re.MULTILINE)
        assert len(proposed) == 6
        for command in proposed:
            assert cli(*command.split()).code == 0, command

    def test_fits_the_narrowest_usual_terminal(self, demo: tuple[str, Path]) -> None:
        assert max(map(width, demo[0].splitlines())) <= 80

    def test_prints_no_path_of_the_machine_into_the_tree(self, demo: tuple[str, Path]) -> None:
        assert os.getcwd() not in demo[0]
        assert os.path.dirname(tools.__file__) not in demo[0]


@pytest.fixture
def run(demo: tuple[str, Path]) -> Any:
    [info] = [info for info in list_runs(demo[1]) if info.header and info.header.agent == "researcher"]
    return read_run(demo[1], info.run_id)


class TestRecordedAgent:
    def test_meets_two_errors_and_recovers(self, run: Run) -> None:
        failed = [step.record for _, step in run.walk() if step.status == "error"]
        assert [(record.tool, record.error_type) for record in failed] == [
            ("read_file", "FileNotFoundError"),
            ("run_command", "agent_stack._demo.tools.CommandFailedError"),
        ]
        assert all(record.error_frames for record in failed)
        assert run.info.status == "ok"

    def test_works_with_a_sub_agent_whose_tools_run_in_parallel(self, run: Run) -> None:
        [agent] = [step for _, step in run.walk() if step.type == "agent_call"]
        measured = [step for step in agent.children if step.type == "tool_call"]
        assert [step.record.input for step in measured] == [
            {"path": "_writer.py"},
            {"path": "_reader.py"},
            {"path": "_records.py"},
        ]
        assert max(step.started_at for step in measured) < min(step.record.ts for step in measured)

    def test_streams_the_output_of_a_tool(self, run: Run) -> None:
        [search] = [step.record for _, step in run.walk() if step.name == "search"]
        assert "os.write(" in search.output

    def test_usage_is_the_answers_own(self, run: Run) -> None:
        calls = [step.record for _, step in run.walk() if step.type == "llm_call"]
        assert {call.model for call in calls} == {MODEL}
        for call in calls:
            usage = call.usage or {}
            parts = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
            assert call.input_tokens == sum(usage[part] for part in parts)


class TestTape:
    def test_holds_each_call_of_a_model_and_its_step_points_there(self, demo: tuple[str, Path]) -> None:
        [info] = [info for info in list_runs(demo[1]) if info.header and info.header.agent == "researcher"]
        [path] = tapes_of(demo[1], info.run_id)
        calls = [step for _, step in read_run(demo[1], info.run_id).walk() if step.type == "llm_call"]

        taped = [exchange.facts().fields["request_id"] for exchange in Tape(path).exchanges()]

        assert len(taped) == len(calls) == 10
        assert [step.record.exchange["n"] for step in calls] == [n for n, _ in enumerate(taped, 1)]

    def test_adds_no_step_of_its_own_for_a_tool_the_agent_recorded(self, run: Run) -> None:
        assert not any(step.record.inferred for _, step in run.walk())


class TestKilledAgent:
    def test_shows_the_step_it_died_in(self, demo: tuple[str, Path]) -> None:
        [info] = [info for info in list_runs(demo[1]) if info.header and info.header.agent == "deployer"]
        assert info.status == "interrupted"
        assert [record.tool for record in info.in_flight.values()] == ["wait_for_build"]
        assert "◌ in flight when the process died (begun " in demo[0]

    def test_lost_nothing(self, demo: tuple[str, Path]) -> None:
        assert verify(demo[1]).ok
        assert "0 missing or damaged: the kill took nothing already recorded." in demo[0]


class TestModel:
    def results(self, text: str, is_error: bool = False) -> Any:
        return {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "x", "content": text, "is_error": is_error}],
        }

    def calls(self, answer: dict[str, Any]) -> Any:
        return [(block["name"], block["input"]) for block in answer["content"] if block["type"] == "tool_use"]

    def test_reacts_to_what_the_tools_returned(self) -> None:
        model = ScriptedModel(researcher, "task")
        messages = [{"role": "user", "content": "task"}]
        assert self.calls(model.answer(messages))[0][0] == "search"
        messages.append(
            self.results("a.py:1: os.write(\n_elsewhere.py:3: os.write(\n_elsewhere.py:9: os.write(")
        )
        assert self.calls(model.answer(messages)) == [("read_file", {"path": "elsewhere.py"})]
        messages.append(self.results("no such file", is_error=True))
        assert self.calls(model.answer(messages)) == [("list_files", {"folder": "."})]
        messages.append(self.results("a.py _elsewhere.py b.py"))
        assert self.calls(model.answer(messages)) == [("read_file", {"path": "_elsewhere.py"})]


class TestTools:
    def test_see_their_own_folder_and_name_paths_within_it(self) -> None:
        with pytest.raises(FileNotFoundError) as error:
            tools.read_file("nope.py")
        assert str(error.value) == "[Errno 2] No such file or directory: 'nope.py'"

    def test_a_command_that_fails_raises_with_its_last_words(self) -> None:
        with pytest.raises(tools.CommandFailedError, match=r"^exit status 3: over$"):
            tools.run_command(["python", "-c", "import sys; print('x: over', file=sys.stderr); sys.exit(3)"])


class TestTranscript:
    def test_is_the_file_its_readme_names(self) -> None:
        folder = files("agent_stack._demo") / "transcript"
        digest = hashlib.sha256((folder / "geese.jsonl").read_bytes()).hexdigest()
        assert digest in (folder / "README.md").read_text(encoding="utf-8")
        assert (folder / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
