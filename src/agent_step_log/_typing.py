"""Types that only a type checker needs: making them costs more than importing the recorder may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypedDict

if TYPE_CHECKING:
    from agent_step_log._guard import StepAhead
    from agent_step_log._records import Number

__all__ = ["Bus", "Guard", "LlmFields"]


class LlmFields(TypedDict, total=False):
    """The optional keys of an `llm_call` record; docs/format.md says what each means."""

    provider: str | None
    request_model: str | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    usage: dict[str, Any] | None
    ttft_ms: Number | None
    request_id: str | None
    service_tier: str | None
    attempt: int | None
    tool_calls: list[dict[str, Any]] | None
    exchange: Any
    input: Any
    output: Any
    bounds: dict[str, str] | None
    attrs: dict[str, Any] | None


class Bus(Protocol):
    """Where records are published to; `agent_event_bus.EventBus` is one."""

    def emit(self, topic: str, payload: Any, /) -> Any:
        """Tell subscribers. Must not raise."""


class Guard(Protocol):
    """Who is asked before a measured step begins; see `_guard`."""

    def __call__(self, ahead: StepAhead, /) -> object:
        """Return if the step may begin; else raise `CallRefusedError`."""
