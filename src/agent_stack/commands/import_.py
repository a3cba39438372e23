"""``agent-step-log import``: transcripts that other tools left on disk, as step logs."""

from __future__ import annotations

from pathlib import Path

import click

from agent_stack._options import color_option, json_option, remark

__all__ = ["command"]

_KINDS = ["claude-code", "codex"]


@click.command(
    "import",
    short_help="Import Claude Code or Codex transcripts.",
    epilog="""\b
Examples:
  agent-step-log import claude-code                   every session in ~/.claude
  agent-step-log import codex ~/.codex/sessions/2026
  agent-step-log import claude-code session.jsonl --into ./logs
""",
)
@click.argument("kind", metavar="claude-code|codex", type=click.Choice(_KINDS))
@click.argument("path", required=False, type=click.Path())
@click.option(
    "--into",
    type=click.Path(),
    metavar="DIR",
    help="Where the logs go. Default: imported/KIND in $AGENT_STEP_LOG_DIR, else ./logs/imported/KIND.",
)
@json_option
@color_option
def command(kind: str, path: str | None, into: str | None, as_json: bool, color: str) -> None:
    """Import transcripts as step logs: one log for each session and each subagent.

    PATH is a transcript or a directory; default: where the tool keeps its own ($CLAUDE_CONFIG_DIR
    or ~/.claude and ~/.config/claude; $CODEX_HOME or ~/.codex). Importing again changes only
    the logs of sessions that went on. The transcripts are only read.
    """
    from agent_stack._json import json_line
    from agent_stack._screen import Screen
    from agent_stack._sources import default_source
    from agent_step_log.importers import import_claude_code, import_codex

    folder = into or str(Path(default_source()) / "imported" / kind)
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
