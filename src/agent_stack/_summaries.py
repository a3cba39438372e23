"""A line about each command, for the list in ``--help``.

The same words stand in each command as its `short_help`, and a test compares them. They are here so that
help need not import every command, which took a third of its time; one that is not here is imported.
"""

from __future__ import annotations

__all__ = ["SUMMARIES"]

SUMMARIES = {
    "demo": "Record, kill and import a run, and look at them.",
    "ls": "List the runs, the newest last.",
    "show": "Show a run as a tree.",
    "tail": "Print the last records, and follow.",
    "stats": "Add up steps, tokens, errors and latencies.",
    "cost": "Add up tokens and dollars by day, model, run, task and more.",
    "slow": "Show what takes long: P50, P95, P99 and the slowest steps.",
    "errors": "Group the errors by type and tool, the latest first.",
    "truncated": "List the runs whose answers a length limit cut off.",
    "find": "Find a text in inputs, outputs, errors, prompts and answers.",
    "sql": "Ask anything of the logs, in SQL.",
    "replay": "Step through a run in a debugger.",
    "diff": "Compare two runs: where do they part?",
    "compare": "Hold groups of runs against each other, chance included.",
    "trend": "Show runs, failures, latency, tokens and cost over time.",
    "failures": "Group failing runs by where and how they failed.",
    "wire": "Show what was sent to a model, and what came back.",
    "scan": "Look for secrets in logs and tapes.",
    "redecode": "Make a step log of a tape.",
    "import": "Import Claude Code and Codex transcripts, or trajectories.",
    "compact": "Write logs into an archive, in Parquet.",
    "verify": "Check logs for damage, gaps and duplicates.",
    "repair": "Write a clean copy of a damaged log.",
    "completion": "Print the completion script of a shell.",
}
