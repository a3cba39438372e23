"""The tools of the demo's agents. They are real: they read and search installed files and run programs.

They see one folder, the installed sources of agent_step_log, through a descriptor of it,
so that the errors they meet name paths within it.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TextIO

import agent_step_log

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CommandFailedError", "list_files", "measure", "read_file", "run_command", "search"]

# CPython 3.11 counts how deep it is in a tree for all threads together, and now and then fails when several
# make one at a time (SystemError: AST constructor recursion depth mismatch).
_parsing = Lock()

ROOT = Path(agent_step_log.__file__).parent

_MOST = 4000  # characters of a file or an output handed to the model


class CommandFailedError(Exception):
    """A program ended with another status than 0."""


def _open(path: str) -> TextIO:
    folder = os.open(ROOT, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return os.fdopen(os.open(path, os.O_RDONLY, dir_fd=folder), encoding="utf-8")
    finally:
        os.close(folder)


def list_files(folder: str) -> str:
    """Return the names of the Python files in *folder*."""
    return " ".join(sorted(path.name for path in (ROOT / folder).glob("*.py")))


def read_file(path: str) -> str:
    """Return the beginning of a file."""
    with _open(path) as file:
        return file.read(_MOST)


def search(text: str) -> Iterator[str]:
    """Yield ``file:line: code`` for every line of the sources that holds *text*, as they are found."""
    for path in sorted(ROOT.glob("*.py")):
        with _open(path.name) as file:
            for number, code in enumerate(file, 1):
                if text in code:
                    yield f"{path.name}:{number}: {code.strip()}\n"


def measure(path: str) -> str:
    """Return how many lines, classes and functions a file has."""
    with _open(path) as file:
        text = file.read()
    with _parsing:
        nodes = list(ast.walk(ast.parse(text)))
    classes = sum(isinstance(node, ast.ClassDef) for node in nodes)
    functions = sum(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in nodes)
    return f"{text.count(chr(10))} lines, {classes} classes, {functions} functions"


def run_command(command: list[str]) -> str:
    """Run a program and return what it printed.

    Raises:
        CommandFailedError: It failed.
    """
    program = [sys.executable if command[0] == "python" else command[0], *command[1:]]
    # The program sees the sources wherever they were imported from, installed or not.
    search_path = os.pathsep.join(filter(None, [str(ROOT.parent), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(  # noqa: S603  the commands are those of the scripts
        program,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": search_path},
    )
    if done.returncode:
        last_words = done.stderr.strip().rpartition("\n")[2].rpartition(": ")[2]
        raise CommandFailedError(f"exit status {done.returncode}: {last_words}")
    return done.stdout[:_MOST]
