"""Run the commands of docs/walkthrough.md and docs/ci.md again, put what they print into the pages, and draw
the picture of the walk.

    python docs/make_walkthrough.py

The same commands are run, and held to the pages, by tests/project/test_walkthrough.py and test_ci_page.py.
"""

from __future__ import annotations

import io
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE / "images")]

#: The run of the walk, under the name its publisher gave the file; the day stands for the times it lacks.
FIXTURE = ROOT / "tests" / "data" / "trajectories" / "tau-bench-suitcases.json"
NAME = "gpt-4o-airline.json"
DAY = 1718625600  # 2024-06-17 12:00 UTC
#: The commands of the page that are drawn, by number from 0.
DRAWN = (4, 7)


def prepare(folder: Path) -> None:
    """Put what the walk begins with into *folder*."""
    shutil.copyfile(FIXTURE, folder / NAME)
    os.utime(folder / NAME, (DAY, DAY))


def draw(page: str, folder: Path) -> str:
    """Return some commands of *page*, run again in *folder* with colours, as SVG."""
    from make_pictures import without_network
    from rich.text import Text

    from agent_stack._screen import rich_console
    from tests.support.pages import WIDTH, commands

    console = rich_console(io.StringIO(), WIDTH, record=True)
    for number in DRAWN:
        line = commands(page)[number]
        console.print(Text.assemble(("$ ", "dim"), (line, "bold green")), soft_wrap=True)
        printed = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "agent_stack", *shlex.split(line)[1:], "--color", "always"],
            cwd=folder,
            env={**os.environ, "COLUMNS": str(WIDTH), "TZ": "UTC"},
            capture_output=True,
            text=True,
            check=False,
        )
        console.print(Text.from_ansi(printed.stdout.rstrip()))
        console.print()
    return without_network(console.export_svg(title="agent-step-log", unique_id="walkthrough"))


def main() -> None:
    """Rewrite the pages and the picture."""
    from tests.support.pages import rewritten

    for name in ("walkthrough.md", "ci.md"):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            prepare(folder)
            text = rewritten((HERE / name).read_text(encoding="utf-8"), folder)
            (HERE / name).write_text(text, encoding="utf-8")
            if name == "walkthrough.md":
                (HERE / "images" / "walkthrough.svg").write_text(draw(text, folder), encoding="utf-8")


if __name__ == "__main__":
    main()
