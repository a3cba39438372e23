"""Draw the pictures of the documentation: what commands print of the demo's logs.

    python docs/images/make_pictures.py

A picture asks nothing of the network (no web font) and holds no path of the machine
that drew it.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.text import Text

from agent_stack._demo.agent import record_researcher
from agent_stack._demo.story import record_killed
from agent_stack._screen import rich_console

WIDTH = 112
HERE = Path(__file__).parent
#: picture -> the commands in it; `{worked}` and `{killed}` are the demo's runs.
PICTURES = {
    "demo": ["show {worked}", "show {killed}"],
    "wire-diff": ["wire {worked} --diff 4 5"],
}


def draw() -> dict[str, str]:
    """Record the demo's agents afresh and return the pictures, as SVG."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = {"worked": record_researcher(folder)[-8:], "killed": record_killed(folder)[-8:]}
        return {
            picture: _picture([command.format(**runs) for command in commands], folder)
            for picture, commands in PICTURES.items()
        }


def _picture(commands: list[str], folder: Path) -> str:
    console = rich_console(io.StringIO(), WIDTH, record=True)
    for number, command in enumerate(commands):
        if number:
            console.print()
        console.print(Text.assemble(("$ ", "dim"), (f"agent-step-log {command}\n", "bold green")))
        printed = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "agent_stack", *command.split(), "--color", "always"],
            capture_output=True,
            check=True,
            text=True,
            env={**os.environ, "AGENT_STEP_LOG_DIR": str(folder), "COLUMNS": str(WIDTH)},
        )
        console.print(Text.from_ansi(printed.stdout.rstrip()))
    return without_network(console.export_svg(title="agent-step-log", unique_id="demo"))


def without_network(svg: str) -> str:
    """Return *svg* with the web fonts taken out; the viewer's own monospaced one takes their place."""
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
    fonts = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
    svg = svg.replace("font-family: Fira Code, monospace", f"font-family: {fonts}")
    return re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    for picture, svg in draw().items():
        (HERE / f"{picture}.svg").write_text(svg, encoding="utf-8")
