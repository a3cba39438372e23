"""What the model saw, what has been used and which files were touched, up to a step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["ContextSize", "FileTouch", "GrowthPoint", "Message", "State", "Totals"]


@dataclass(frozen=True)
class Message:
    """One message of what a model was sent.

    Attributes:
        role: system, tools, user, assistant, tool, or what the provider calls its own.
        content: As it was sent or recorded.
        row: The row it was taken from, where it was put together from steps.
    """

    role: str
    content: Any
    row: int | None = None


@dataclass(frozen=True)
class Totals:
    """Sums over the rows up to one, its own included.

    Attributes:
        steps, llm_calls, tool_calls, errors, in_flight: Rows.
        input_tokens, output_tokens, cache_read_tokens: Of what is known.
        tokens_known: Every model call so far that ended told both.
        cost_usd: None when no cost is known; *is_cost_whole* when that of every model call is.
        elapsed_ms: From the beginning of the run to the end of the row, or its beginning if it has none.
    """

    steps: int = 0
    llm_calls: int = 0
    tool_calls: int = 0
    errors: int = 0
    in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    tokens_known: bool = True
    cost_usd: float | None = None
    is_cost_whole: bool = False
    elapsed_ms: float = 0.0


@dataclass(frozen=True)
class ContextSize:
    """Characters of a request by what they are.

    Attributes:
        source: tape, record, steps or none; see `Context`.
    """

    system: int = 0
    tools: int = 0
    user: int = 0
    assistant: int = 0
    tool_output: int = 0
    other: int = 0
    source: str = "none"

    @property
    def total(self) -> int:
        """All of it."""
        return self.system + self.tools + self.user + self.assistant + self.tool_output + self.other


@dataclass(frozen=True)
class GrowthPoint:
    """One model call of the context-growth view.

    Attributes:
        row: Its row.
        input_tokens, cache_read_tokens, output_tokens: None: not known.
        is_compacted: The history was cut between the call before and it: an event says so, or its
            prompt is less than two thirds of that of the call before in the same agent.
    """

    row: int
    input_tokens: int | None
    cache_read_tokens: int | None
    output_tokens: int | None
    is_compacted: bool = False


@dataclass(frozen=True)
class FileTouch:
    """One file that steps named.

    Attributes:
        path: As the tools were given it.
        how: written, read, or named where the tool does not tell.
        row: The row that touched it last.
        times: How many did.
    """

    path: str
    how: Literal["written", "read", "named"]
    row: int
    times: int = 1


@dataclass(frozen=True)
class State:
    """The state of a run as of a row.

    Attributes:
        row: The row.
        call: Row of the model call whose messages these are: its own, or the last before; None: none.
        messages: What the model saw.
        source: Where they are from: tape, record, steps or none.
        totals: Sums so far.
        files: Files touched so far, those touched last at the end.
        context: Size of the messages by part.
        last_error: Row of the last error so far.
    """

    row: int
    call: int | None
    messages: tuple[Message, ...]
    source: Literal["tape", "record", "steps", "none"]
    totals: Totals
    files: tuple[FileTouch, ...] = field(default_factory=tuple)
    context: ContextSize = field(default_factory=ContextSize)
    last_error: int | None = None
