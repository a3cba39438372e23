"""Seeing it again: the read-back run, a navigator over its steps, and what differs between two runs."""

from __future__ import annotations

from agent_debug_replay._compare import FEWEST, Contrast, Figure, RunSample, compare_groups
from agent_debug_replay._diff import Divergence, Pair, RunDiff, diff
from agent_debug_replay._diff_fields import FieldChange, field_changes
from agent_debug_replay._diff_rounds import PAIR_KINDS
from agent_debug_replay._diff_totals import Delta

__all__ = [
    "FEWEST",
    "PAIR_KINDS",
    "Contrast",
    "Delta",
    "Divergence",
    "FieldChange",
    "Figure",
    "Pair",
    "RunDiff",
    "RunSample",
    "compare_groups",
    "diff",
    "field_changes",
]
