"""The house and its arrows: what the sources import is what docs/architecture.md draws."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src"

#: package -> the packages of ours it may import, and does.
ARROWS: dict[str, set[str]] = {
    "agent_run_id": set(),
    "agent_event_bus": set(),
    "agent_step_log": {"agent_run_id"},
    "agenttap": {"agent_run_id", "agent_step_log"},
    "agentsnap": {"agent_run_id", "agent_step_log"},
    "agent_debug_replay": {"agent_step_log", "agentsnap", "agenttap"},
    "agent_stack": {
        "agent_debug_replay",
        "agent_event_bus",
        "agent_run_id",
        "agent_step_log",
        "agentsnap",
        "agenttap",
    },
}

#: package -> the libraries it may import at all, beyond the standard library.
LIBRARIES: dict[str, set[str]] = {
    "agent_run_id": set(),
    "agent_event_bus": set(),
    # Of the engine's extra, and the forms a result is wanted in where those are there.
    "agent_step_log": {"duckdb", "msgspec", "pandas", "polars", "pyarrow", "zstandard"},
    # Those that undo a content-encoding, where they are there; never a library that sends.
    "agenttap": {"msgspec", "zstandard", "backports", "brotli", "brotlicffi"},
    # Its fixture is loaded by pytest alone.
    "agentsnap": {"genai_prices", "msgspec", "pytest"},
    "agent_debug_replay": {"msgspec"},
    # An HTTP client for the demo, which has something on its tape only where one is installed.
    "agent_stack": {"click", "duckdb", "httpx2", "msgspec", "pyarrow", "rich", "textual"},
}

#: files of agent_step_log that record; they import nothing that reads, and nothing but msgspec.
RECORDING = {
    "_failure",
    "_interrupts",
    "_process",
    "_records",
    "_steplog",
    "_steps",
    "_streams",
    "_values",
    "_version",
    "_writer",
    "errors",
}


def imported(path: Path, *, at_import_only: bool = False) -> set[str]:
    """Return the dotted names *path* imports; with *at_import_only*, those that run when it is imported."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(_executed(tree)) if at_import_only else list(ast.walk(tree))
    names: set[str] = set()
    package = ".".join(path.relative_to(SOURCES).with_suffix("").parts[:-1])
    for node in nodes:
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                module = f"{base}.{module}" if module else base
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def _executed(tree: ast.AST) -> list[ast.AST]:
    """Return the nodes of *tree* outside functions and outside ``if TYPE_CHECKING``."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        waiting.extend(ast.iter_child_nodes(node))
    return found


def files(package: str) -> list[Path]:
    return sorted((SOURCES / package).rglob("*.py"))


class TestArrows:
    @pytest.mark.parametrize("package", ARROWS)
    def test_every_import_between_packages_is_an_arrow_and_every_arrow_is_used(self, package: str) -> None:
        found = {
            name.partition(".")[0]
            for path in files(package)
            for name in imported(path)
            if name.partition(".")[0] in ARROWS and name.partition(".")[0] != package
        }

        assert found == ARROWS[package]

    def test_every_package_has_a_row(self) -> None:
        assert {path.parent.name for path in SOURCES.glob("*/__init__.py")} == set(ARROWS)

    def test_the_drawing_shows_the_same_arrows(self) -> None:
        drawing = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
        rows = {
            cells[1].strip(" `"): {name.strip(" `") for name in cells[2].split(",")} - {"nothing"}
            for line in drawing.splitlines()
            if len(cells := line.split("|")) == 5 and cells[1].strip(" `") in ARROWS
        }

        assert rows == ARROWS

    @pytest.mark.parametrize("package", ARROWS)
    def test_only_public_names_of_another_package_are_used(self, package: str) -> None:
        private = {
            name
            for path in files(package)
            for name in imported(path)
            if name.partition(".")[0] in ARROWS
            and name.partition(".")[0] != package
            and any(part.startswith("_") and not part.startswith("__") for part in name.split(".")[1:])
        }

        assert private == set()


class TestLibraries:
    @pytest.mark.parametrize("package", LIBRARIES)
    def test_no_library_is_imported_that_the_table_does_not_name(self, package: str) -> None:
        found = {
            name.partition(".")[0]
            for path in files(package)
            for name in imported(path)
            if name.partition(".")[0] not in sys.stdlib_module_names and name.partition(".")[0] not in ARROWS
        }

        assert found <= LIBRARIES[package]

    def test_recording_imports_nothing_that_reads(self) -> None:
        reading = {path.stem for path in (SOURCES / "agent_step_log").glob("_*.py")} - RECORDING
        found = {
            f"{name}: {module}"
            for name in RECORDING
            for module in imported(SOURCES / "agent_step_log" / f"{name}.py", at_import_only=True)
            if module.startswith("agent_step_log._") and module.split(".")[1] in reading
        }

        assert found == set()

    def test_every_package_imports_with_no_extra_installed(self) -> None:
        code = (
            "import sys\n"
            "for name in ('click', 'duckdb', 'genai_prices', 'rich', 'textual', 'zstandard',\n"
            "             'numpy', 'pydantic', 'attrs'):\n"
            "    sys.modules[name] = None\n"
            f"for name in {sorted(ARROWS)!r}:\n"
            "    __import__(name)\n"
            "import agent_step_log\n"
            "for name in agent_step_log.__all__:\n"
            "    getattr(agent_step_log, name)\n"
        )

        subprocess.run([sys.executable, "-c", code], check=True)

    def test_importing_the_recorder_loads_nothing_heavy(self) -> None:
        code = (
            "import sys, msgspec\nbefore = set(sys.modules)\nimport agent_step_log\n"
            "print(*sorted(set(sys.modules) - before), sep='\\n')"
        )
        loaded = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        ).stdout.split()

        heavy = {"asyncio", "ctypes", "dataclasses", "hashlib", "json", "logging", "pathlib", "threading"}
        assert heavy.isdisjoint(loaded)


class TestPublicNames:
    @pytest.mark.parametrize("package", ARROWS)
    def test_all_lists_what_the_package_shows(self, package: str) -> None:
        module = __import__(package)
        shown = {name for name in dir(module) if not name.startswith("_") and not _is_module(module, name)}

        assert shown == {name for name in module.__all__ if not name.startswith("_")}


def _is_module(module: object, name: str) -> bool:
    return type(getattr(module, name)) is type(sys) or name == "annotations"
