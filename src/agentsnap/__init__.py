"""What it cost: usage and cost per run, model, tool, task and day; budgets; snapshots of runs."""

from __future__ import annotations

__all__: list[str] = []
