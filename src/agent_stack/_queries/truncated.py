"""Answers that a length limit cut off, and prompts that were too long to be answered.

The stop reasons are those of `agent_step_log.limits`; `TOO_LONG` is what providers say when they refuse
a prompt that does not fit.

    cut off       the answer reached the limit that was asked for, or the model's own
    window full   the answer reached the end of the context window
    too long      the prompt did not fit, and there was no answer
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agent_step_log.limits import CUT_OFF, WINDOW_FULL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent_stack._queries.selection import Selection
    from agent_step_log.query import Logs

__all__ = ["TOO_LONG", "TruncatedRun", "truncated_runs"]

#: A pattern of RE2 over the lower-case message of a failed model call, and who says so.
TOO_LONG = {
    r"context_length_exceeded|maximum context length": "OpenAI and what speaks its API; vLLM",
    r"context window": "OpenAI Responses; Amazon Bedrock; LiteLLM",
    r"prompt is too long": "Anthropic",
    r"input is too long": "Amazon Bedrock",
    r"exceeds? the maximum number of tokens": "Gemini",
    r"too many tokens|total number of tokens": "Cohere",
    r"request too large.*tokens": "Groq",
}


def _names(reasons: dict[str, str]) -> str:
    return ", ".join(f"'{reason}'" for reason in reasons)


#: How a model call met a limit, NULL if it did not. Case says nothing: Gemini and Cohere shout.
KIND = f"""CASE
    WHEN type <> 'llm_call' THEN NULL
    WHEN lower(stop_reason) IN ({_names(WINDOW_FULL)}) THEN 'window full'
    WHEN lower(stop_reason) IN ({_names(CUT_OFF)}) THEN 'cut off'
    WHEN error IS NOT NULL AND regexp_matches(lower(error), '{"|".join(TOO_LONG)}') THEN 'too long'
END"""

QUERY = """
SELECT
    run_id,
    any_value(agent) AS agent,
    any_value(task_type) AS task_type,
    any_value(started_at) AS started_at,
    any_value(run_status) AS status,
    any_value(calls) AS llm_calls,
    count(*) AS hits,
    list(DISTINCT kind ORDER BY kind) AS kinds,
    list(DISTINCT model ORDER BY model) FILTER (model IS NOT NULL) AS models,
    list(DISTINCT stop_reason ORDER BY stop_reason) FILTER (stop_reason IS NOT NULL) AS stop_reasons,
    min(step) AS first_step,
    max(input_tokens) AS most_input_tokens,
    max(output_tokens) AS most_output_tokens,
    max(ts) AS last_ts
FROM (SELECT *, count(*) OVER (PARTITION BY run_id) AS calls FROM chosen WHERE type = 'llm_call')
WHERE kind IS NOT NULL
GROUP BY run_id
ORDER BY last_ts DESC, run_id
"""


@dataclass(frozen=True)
class TruncatedRun:
    """A run with model calls that met a limit.

    Attributes:
        llm_calls: Those chosen, of which `hits` met a limit.
        kinds: How: "cut off", "window full", "too long".
        first_step: Number of the first of them.
        most_input_tokens, most_output_tokens: Of one such call; None when none told.
    """

    run_id: str
    agent: str | None
    task_type: str | None
    started_at: float | None
    status: str
    llm_calls: int
    hits: int
    kinds: list[str]
    models: list[str]
    stop_reasons: list[str]
    first_step: int
    most_input_tokens: int | None
    most_output_tokens: int | None
    last_ts: float

    def to_dict(self) -> dict[str, Any]:
        """Return the documented ``--json`` shape."""
        return asdict(self)


def truncated_runs(logs: Logs, selection: Selection) -> Iterator[TruncatedRun]:
    """Yield the runs in which a limit was met, the latest first."""
    columns = (
        "run_id",
        "type",
        "step",
        "ts",
        "model",
        "stop_reason",
        "input_tokens",
        "output_tokens",
        f"{KIND} AS kind",
        "run.agent AS agent",
        "run.task_type AS task_type",
        "run.started_at AS started_at",
        "run.status AS run_status",
    )
    result = logs.sql(f"WITH {selection.chosen(columns, with_runs=False)}\n{QUERY}", selection.parameters)
    names = list(result.columns)
    for row in result:
        told = dict(zip(names, row, strict=True))
        lists = {name: list(told[name] or []) for name in ("kinds", "models", "stop_reasons")}
        yield TruncatedRun(**{**told, **lists})
