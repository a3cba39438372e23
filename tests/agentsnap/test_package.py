"""The package's front: every name it promises is there, and none is paid for before it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import agentsnap


class TestNames:
    @pytest.mark.parametrize("name", agentsnap.__all__)
    def test_each_promised_name_is_there(self, name: str) -> None:
        assert getattr(agentsnap, name) is not None

    def test_another_one_is_an_error_as_in_any_module(self) -> None:
        with pytest.raises(AttributeError, match="module 'agentsnap' has no attribute 'nothing'"):
            _ = agentsnap.nothing

    def test_importing_it_and_its_pytest_plugin_imports_nothing_else_of_it(self) -> None:
        code = "import sys, pytest, agentsnap.testing\nprint(*sorted(sys.modules))"
        loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

        ours = [name for name in loaded.stdout.split() if name.startswith("agent")]
        assert ours == ["agentsnap", "agentsnap.testing"]
