"""The matrix: SDKs that cannot live in one environment, each with its own.

    nox                     every session, and then the table checked against docs/sdk-table.md
    nox -s aiohttp-3.9      one of them
    nox -s table -- write   docs/sdk-table.md written anew from what the sessions left

Run it from the environment of `make test`: the session `test` is that environment.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import nox

nox.options.reuse_venv = "yes"
nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
RESULTS = ROOT / ".nox" / "results"

#: What the tests themselves need, everywhere.
TESTS = ("brotli", "h2", "hypothesis>=6.100", "pytest>=8.2", "pytest-xdist>=3.6", "zstandard>=0.22")


@dataclass(frozen=True)
class Matrix:
    """One environment: what is installed, and which rows of the table are run in it."""

    name: str
    requirements: tuple[str, ...]
    sdks: tuple[str, ...]


MATRIX = (
    # openai 2 and litellm, which keeps to it, with others on the httpx of old.
    Matrix(
        "openai-2",
        ("openai[aiohttp]>=2,<3", "litellm", "groq", "cohere>=5", "ollama"),
        ("openai 2.x", "litellm", "groq", "cohere", "ollama"),
    ),
    # google-genai takes aiohttp wherever it is installed, so here it is not.
    Matrix("google-genai", ("google-genai>=3",), ("google-genai",)),
    Matrix("httpx-oldest", ("httpx[http2]~=0.27.0", "httpx2[http2]~=2.0.0"), ("httpx", "httpx2")),
    Matrix("aiohttp-3.9", ("aiohttp==3.9.5",), ("aiohttp",)),
    Matrix("aiohttp-3.11", ("aiohttp~=3.11.0", "google-genai>=3"), ("aiohttp", "google-genai")),
    Matrix("urllib3-1.26", ("urllib3<2", "requests", "boto3"), ("urllib3", "requests", "boto3")),
    Matrix("pydantic-ai", ("pydantic-ai-slim[anthropic,openai]>=2",), ("pydantic-ai",)),
    Matrix("openai-agents", ("openai-agents>=0.20",), ("openai-agents",)),
    Matrix(
        "langchain",
        ("langchain>=1", "langgraph>=1", "langchain-anthropic>=1", "langchain-openai>=1"),
        ("langchain, langgraph",),
    ),
    Matrix("smolagents", ("smolagents[openai]>=1.20",), ("smolagents",)),
)


def _run(session: nox.Session, python: str, name: str, sdks: tuple[str, ...]) -> None:
    shutil.rmtree(RESULTS / name, ignore_errors=True)
    env = {
        "AGENTTAP_MATRIX_SESSION": name,
        "AGENTTAP_MATRIX_SDKS": ";".join(sdks),
        "AGENTTAP_MATRIX_RESULTS": str(RESULTS),
    }
    which = session.posargs or ["tests/matrix/test_sdks.py", "tests/matrix/test_agents.py"]
    session.run(python, "-m", "pytest", "-n", "2", *which, env=env, external=True)


@nox.session(name="test", venv_backend="none")
def of_make_test(session: nox.Session) -> None:
    """Write the rows of the environment `make test` has."""
    _run(session, sys.executable, "test", ())


def _add(matrix: Matrix) -> None:
    @nox.session(name=matrix.name)
    def run(session: nox.Session) -> None:
        session.install("--quiet", "-e", ".[tap]", *TESTS, *matrix.requirements)
        _run(session, "python", matrix.name, matrix.sdks)


for _matrix in MATRIX:
    _add(_matrix)


@nox.session(venv_backend="none")
def table(session: nox.Session) -> None:
    """Compare docs/sdk-table.md with what the sessions left, or write it."""
    how = [] if "write" in session.posargs else ["--check"]
    session.run(sys.executable, "-m", "tests.matrix.page", str(RESULTS), *how, external=True)
