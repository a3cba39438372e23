"""`agent-step-log import`."""

from __future__ import annotations

import shutil
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_stack.conftest import Cli

TRANSCRIPT = str(files("agent_stack._demo") / "transcript" / "geese.jsonl")

OUT = """\
  RUN       RESULT     SESSION      CALLS  TOOLS    IN   OUT  ERR
  e0314cfd  ✓ written  geese.jsonl      4      2  172k  ≥443    -

  written 1   unchanged 0   skipped 0 files
  tokens  172k in · ≥443 out · 119k read from cache
  logs in logs/imported/claude-code
"""


class TestImport:
    def test_writes_step_logs_under_the_default_source(self, cli: Cli, tmp_path: Path) -> None:
        result = cli("import", "claude-code", TRANSCRIPT)
        assert result.code == 0
        assert result.out.startswith(OUT)
        assert result.out.endswith("next  agent-step-log ls logs/imported/claude-code\n")
        assert len(list((tmp_path / "logs/imported/claude-code").glob("*.jsonl"))) == 1

    def test_the_next_command_it_names_works(self, cli: Cli) -> None:
        hint = cli("import", "claude-code", TRANSCRIPT).out.splitlines()[-1]
        assert "claude-code" in cli(*hint.split("agent-step-log ")[1].split()).out

    def test_again_changes_nothing(self, cli: Cli) -> None:
        cli("import", "claude-code", TRANSCRIPT)
        assert "· unchanged" in cli("import", "claude-code", TRANSCRIPT).out

    def test_the_environment_names_the_default(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("AGENT_STEP_LOG_DIR", str(tmp_path / "else"))
        cli("import", "claude-code", TRANSCRIPT)
        assert list((tmp_path / "else/imported/claude-code").iterdir())

    def test_no_path_reads_where_the_tool_keeps_its_own(self, cli: Cli, tmp_path: Path) -> None:
        project = tmp_path / "home/.claude/projects/p"
        project.mkdir(parents=True)
        shutil.copy(TRANSCRIPT, project / "6da7d497-00e2-460d-a6b4-d280e0314cfd.jsonl")
        assert "written 1" in cli("import", "claude-code", "--into", "x").out

    def test_json_is_the_report(self, cli: Cli) -> None:
        shape = cli("import", "claude-code", TRANSCRIPT, "--json").json()
        assert (shape["kind"], shape["bounds"]) == ("claude-code", {"output_tokens": "lower"})
        assert shape["sessions"][0]["status"] == "written"

    def test_a_directory_without_transcripts(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        result = cli("import", "codex", "d")
        assert (result.code, result.out, result.err) == (0, "", "No codex transcript in d.\n")

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("claude-code", "nope"), "nope: no such file or directory, or not one that can be read."),
            (("codex",), "Codex: no transcripts where it keeps them; name a file or a directory."),
            (("claude-code", "log"), "log: is not a Claude Code transcript."),
            (
                ("gemini",),
                (
                    "Invalid value for 'claude-code|codex|trajectory': 'gemini' is not one of 'claude-code', "
                    "'codex', 'trajectory'. See agent-step-log import --help."
                ),
            ),
            (
                ("claude-code", TRANSCRIPT, "--into", "log"),
                "log: imported logs need a directory here (File exists).",
            ),
        ],
    )
    def test_what_a_person_can_mend_is_one_sentence(
        self, cli: Cli, tmp_path: Path, arguments: tuple[str, ...], sentence: str
    ) -> None:
        (tmp_path / "log").write_text("no transcript\n")
        result = cli("import", *arguments)
        assert (result.code, result.out, result.err) == (2, "", f"agent-step-log: {sentence}\n")
