"""The front door: the command line, and the demo.

Everything here is reached through the command ``agent-step-log``; its commands, options
and ``--json`` shapes are what is promised (docs/cli.md), not the Python names.
"""

from __future__ import annotations

__all__: list[str] = []
