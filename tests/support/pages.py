"""Pages whose commands are run: what stands below a command is what it prints.

A block marked `console` holds commands after "$ ", each followed by its output. All commands of a page
run in order in one shell, in a folder of their own; what went wrong is asked for as a reader would, with
`echo $?`. A block after a line such as "`gate.sh`:" is a file of that name, there before the first command.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["commands", "files", "rewritten"]

ROOT = Path(__file__).parents[2]
WIDTH = 112  # columns
_BLOCK = re.compile(r"(?<=^```console\n)(.*?)(?=^```$)", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MARK = "\x1eend of output\x1e"


def files(page: str) -> dict[str, str]:
    """Return the text of each file *page* shows, by name."""
    return dict(_FILE.findall(page))


def commands(page: str) -> list[str]:
    """Return the commands of *page*, in order."""
    return [
        line[2:] for block in _BLOCK.findall(page) for line in block.splitlines() if line.startswith("$ ")
    ]


def rewritten(page: str, folder: Path) -> str:
    """Run the commands of *page* in *folder* and return the page with what they printed."""
    for name, text in files(page).items():
        (folder / name).write_text(text, encoding="utf-8")
    printed = iter(_run(commands(page), folder))

    def filled(block: re.Match[str]) -> str:
        return "".join(
            f"$ {command}\n{next(printed)}" for command in commands(f"```console\n{block[1]}```\n")
        )

    return _BLOCK.sub(filled, page)


def _run(lines: list[str], folder: Path) -> list[str]:
    tools = folder / ".bin"
    tools.mkdir()
    for name, start in (("agent-step-log", " -m agent_stack"), ("python", ""), ("pytest", " -m pytest")):
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable}{start} "$@"\n')
        (tools / name).chmod(0o755)
    # The status of a command is still there for the next one to ask.
    script = "".join(f"{line}\n_status=$?; printf '{_MARK}'; (exit $_status)\n" for line in lines)
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        cwd=folder,
        env={
            "PATH": f"{tools}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT / "src"),
            "COLUMNS": str(WIDTH),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    outputs = done.stdout.split(_MARK)[:-1]
    assert len(outputs) == len(lines), done.stdout
    return ["\n".join(map(str.rstrip, output.splitlines())) + "\n" if output else "" for output in outputs]
