"""Draw docs/images/demo.svg: what `agent-step-log show` prints of the demo's first run.

    python docs/images/make_demo_svg.py

The picture asks nothing of the network (no web font) and holds no path of the machine
that drew it.
"""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from agent_stack._demo.agent import record_researcher
from agent_stack._demo.story import record_killed
from agent_stack._facts import facts_of
from agent_stack._render.lines import Line
from agent_stack._render.run_tree import TreeOptions, render_run
from agent_stack._screen import print_lines, rich_console
from agent_step_log import read_run

WIDTH = 112
PICTURE = Path(__file__).with_name("demo.svg")


def draw() -> str:
    """Record the demo's agents afresh and return the picture of both runs."""
    console = rich_console(io.StringIO(), WIDTH, record=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        worked, killed = record_researcher(folder), record_killed(folder)
        lines: list[Line] = []
        for run_id in (worked, killed):
            run = read_run(folder, run_id)
            lines += [Line("$ ", "dim").add(f"agent-step-log show {run_id[-8:]}", "command"), Line()]
            lines += render_run(run, facts_of(run.info), [], WIDTH, TreeOptions())
            lines.append(Line())
        print_lines(console, lines[:-1])
    return without_network(console.export_svg(title="agent-step-log", unique_id="demo"))


def without_network(svg: str) -> str:
    """Return *svg* with the web fonts taken out; the viewer's own monospaced one takes their place."""
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
    fonts = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
    svg = svg.replace("font-family: Fira Code, monospace", f"font-family: {fonts}")
    return re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
