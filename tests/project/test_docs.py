"""The documentation held to the code: examples run, names and settings are told, links lead somewhere."""

from __future__ import annotations

import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import agent_debug_replay
import agent_event_bus
import agent_run_id
import agent_stack
import agent_step_log
import agentsnap
import agenttap
from agent_step_log import StepLog
from agenttap import Tap

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
TEXT = {page: page.read_text(encoding="utf-8") for page in PAGES}


def examples() -> list[tuple[str, str]]:
    found = []
    for page, text in TEXT.items():
        blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        found += [(f"{page.name}-{number}", block) for number, block in enumerate(blocks, 1)]
    return found


class TestExamples:
    @pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in examples()])
    def test_it_runs(self, code: str, tmp_path: Path) -> None:
        (tmp_path / ".claude" / "projects").mkdir(parents=True)
        (tmp_path / "results").mkdir()
        trajectory = ROOT / "tests" / "data" / "trajectories" / "function_calling_simple.traj"
        shutil.copy(trajectory, tmp_path / "results")
        (tmp_path / ".codex" / "sessions").mkdir(parents=True)
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            timeout=240,
        )

        assert (done.returncode, done.stderr) == (0, "")


class TestLinks:
    @pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
    def test_every_link_to_a_file_leads_to_one(self, page: Path) -> None:
        targets = re.findall(r"\]\(([^)#\s]+)", TEXT[page])
        missing = [
            target for target in targets if "://" not in target and not (page.parent / target).exists()
        ]

        assert missing == []


class TestNames:
    @pytest.mark.parametrize(
        "package",
        [agent_debug_replay, agent_event_bus, agent_run_id, agent_stack, agent_step_log, agentsnap, agenttap],
    )
    def test_every_public_name_is_told_in_the_documentation(self, package: object) -> None:
        pages = "\n".join(TEXT.values())
        names = [name for name in package.__all__ if not name.startswith("__")]  # type: ignore[attr-defined]

        assert [name for name in names if not re.search(rf"\b{re.escape(name)}\b", pages)] == []

    def test_every_setting_of_the_recorder_is_told(self) -> None:
        page = TEXT[ROOT / "docs" / "recording.md"]
        settings = [name for name in inspect.signature(StepLog).parameters if name != "self"]

        assert [name for name in settings if f"`{name}`" not in page] == []

    def test_every_setting_of_the_tap_is_told(self) -> None:
        page = TEXT[ROOT / "docs" / "wire.md"]
        settings = [name for name in inspect.signature(Tap).parameters if name != "self"]

        assert [name for name in settings if f"`{name}`" not in page] == []


class TestReadme:
    def test_its_two_commands_are_targets_of_the_makefile(self) -> None:
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        commands = re.findall(r"^\$ make (\w+)", TEXT[ROOT / "README.md"], re.MULTILINE)

        assert commands == ["demo", "test"]
        assert all(re.search(rf"^{command}:", makefile, re.MULTILINE) for command in commands)

    def test_every_guarantee_names_its_proof(self) -> None:
        _, _, table = TEXT[ROOT / "README.md"].partition("| guarantee | proof |")
        rows = [line for line in table.splitlines()[2:] if line.startswith("|")]

        assert len(rows) >= 8
        assert all("](" in row.split("|")[2] for row in rows)


class TestWholeProject:
    def test_versions_agree(self) -> None:
        stated = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

        assert stated is not None
        assert stated[1] == agent_step_log.__version__
        assert f"## {stated[1]}" in TEXT[ROOT / "CHANGELOG.md"]
