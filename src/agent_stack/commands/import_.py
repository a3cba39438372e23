"""``agent-step-log import``: transcripts and trajectories that other tools left on disk, as step logs."""

from __future__ import annotations

from pathlib import Path

import click

from agent_stack._options import color_option, json_option, remark
from agent_stack.errors import CommandError

__all__ = ["command"]

_KINDS = ["claude-code", "codex", "trajectory"]
_FORMATS = ["swe-agent", "mini-swe-agent", "tau-bench", "tau2", "inspect", "atif"]


@click.command(
    "import",
    short_help="Import Claude Code and Codex transcripts, or trajectories.",
    epilog="""\b
Examples:
  agent-step-log import claude-code                   every session in ~/.claude
  agent-step-log import codex ~/.codex/sessions/2026
  agent-step-log import claude-code session.jsonl --into ./logs
  agent-step-log import trajectory results/           what benchmarks left there
  agent-step-log import trajectory run.eval --format inspect
""",
)
@click.argument("kind", metavar="claude-code|codex|trajectory", type=click.Choice(_KINDS))
@click.argument("path", required=False, type=click.Path())
@click.option(
    "--into",
    type=click.Path(),
    metavar="DIR",
    help="Where the logs go. Default: imported/KIND in $AGENT_STEP_LOG_DIR, else ./logs/imported/KIND.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(_FORMATS),
    help="Of a trajectory: what wrote it. Default: told from each file.",
)
@json_option
@color_option
def command(
    kind: str, path: str | None, into: str | None, format_name: str | None, as_json: bool, color: str
) -> None:
    """Import transcripts as step logs: one log for each session and each subagent.

    PATH is a transcript or a directory; default: where the tool keeps its own ($CLAUDE_CONFIG_DIR
    or ~/.claude and ~/.config/claude; $CODEX_HOME or ~/.codex). Importing again changes only
    the logs of sessions that went on. The transcripts are only read.

    A trajectory is what a benchmark or an evaluation left: SWE-agent, mini-swe-agent, tau-bench,
    tau2-bench, Inspect or ATIF; PATH has to be named, and each run in it becomes a log.
    """
    from agent_stack._json import json_line
    from agent_stack._screen import Screen
    from agent_stack._sources import default_source
    from agent_step_log.importers import import_claude_code, import_codex, import_trajectory

    folder = into or str(Path(default_source()) / "imported" / kind)
    if kind == "trajectory":
        if path is None:
            raise CommandError("Name the trajectory or the directory to import.")
        report = import_trajectory(path, folder, format_name=format_name)
    elif format_name is not None:
        raise CommandError("--format is for trajectories.")
    else:
        report = (import_claude_code if kind == "claude-code" else import_codex)(path, folder)
    screen = Screen(color)
    if as_json:
        screen.write(json_line(report.to_dict()))
        return
    from agent_stack._render.notes import render_hint
    from agent_stack._render.reports import render_import

    if not report.sessions:
        remark(f"No {kind} transcript in {path or 'the places it keeps them'}.")
        return
    screen.print(render_import(report, folder, screen.width))
    screen.print([render_hint("next", f"agent-step-log ls {folder}")])
