"""Hooks come with the import of a library, never cause one, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[3] / "src"
LIBRARIES = ("httpx", "httpx2", "aiohttp", "urllib3", "requests", "websockets", "grpc")


def run(code: str, *, cwd: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SOURCES)},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


class TestImports:
    def test_installing_imports_no_http_library(self, tmp_path: Path) -> None:
        code = (
            "import sys, agenttap\nagenttap.install('logs')\n"
            f"print([name for name in {LIBRARIES!r} if name in sys.modules])"
        )

        assert run(code, cwd=tmp_path) == "[]\n"

    @pytest.mark.parametrize("order", ["before", "after"])
    @pytest.mark.parametrize(
        ("library", "owner", "method"),
        [
            ("httpx2", "HTTPTransport", "handle_request"),
            ("httpx2", "AsyncHTTPTransport", "handle_async_request"),
            ("httpx", "HTTPTransport", "handle_request"),
            ("aiohttp", "ClientRequest", "send"),
            ("urllib3", "HTTPConnectionPool", "_make_request"),
        ],
    )
    def test_it_is_hooked_before_and_after_its_import_and_as_it_was_once_uninstalled(
        self, tmp_path: Path, library: str, owner: str, method: str, order: str
    ) -> None:
        steps = [f"import {library}", "agenttap.install('logs')"]
        if order == "after":
            steps.reverse()
        code = "\n".join(
            [
                "import sys, agenttap",
                "before = list(sys.meta_path)",
                *steps,
                f"hooked = {library}.{owner}.{method}",
                "agenttap.uninstall()",
                f"original = {library}.{owner}.{method}",
                "print(hooked.__wrapped__ is original, hasattr(original, '__wrapped__'))",
                f"print(sys.meta_path == before, type({library}.__spec__.loader).__name__)",
                f"print(type({library}.__loader__).__name__)",
            ]
        )

        shown = run(code, cwd=tmp_path).split()
        assert shown == ["True", "False", "True", "SourceFileLoader", "SourceFileLoader"]

    def test_a_missing_library_is_missing_as_ever(self, tmp_path: Path) -> None:
        code = (
            "import agenttap, sys\nsys.modules.pop('grpc', None)\nagenttap.install('logs')\n"
            "sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
            "try:\n    import httpx\nexcept ModuleNotFoundError as error:\n    print(error)\n"
        )

        assert run(code, cwd=tmp_path) == "No module named 'httpx'\n"

    def test_two_taps_share_the_hooks_and_the_last_takes_them_out(self, tmp_path: Path) -> None:
        code = (
            "import httpx2, agenttap\n"
            "first, second = agenttap.Tap('a').start(), agenttap.Tap('b').start()\n"
            "method = lambda: httpx2.HTTPTransport.handle_request\n"
            "once = hasattr(method(), '__wrapped__') and not hasattr(method().__wrapped__, '__wrapped__')\n"
            "first.close()\nstill = hasattr(method(), '__wrapped__')\n"
            "second.close()\nprint(once, still, hasattr(method(), '__wrapped__'))\n"
        )

        assert run(code, cwd=tmp_path) == "True True False\n"

    def test_a_library_under_another_ones_name_is_hooked_once(self, tmp_path: Path) -> None:
        code = (
            "import agenttap\nagenttap.install('logs')\nimport httpx2\nhttpx2.alias_httpx()\nimport httpx\n"
            "method = httpx.HTTPTransport.handle_request\n"
            "twice = hasattr(method.__wrapped__, '__wrapped__')\n"
            "print(httpx is httpx2, hasattr(method, '__wrapped__'), twice)\n"
        )

        assert run(code, cwd=tmp_path) == "True True False\n"
