"""Tool calls in a history, and the results that answer them."""

from __future__ import annotations

from typing import Any

from agent_step_log.responses.reading import text
from agenttap.decoders._decoder import arguments_of
from agenttap.decoders._types import ToolResult

__all__ = ["History"]


class History:
    """Takes calls and results in the order they stand, and pairs them.

    By id where there is one; else each result with the first call of its name that
    has none yet, for a model's calls are answered in their order.
    """

    def __init__(self) -> None:
        self.results: list[ToolResult] = []
        self._by_id: dict[str, tuple[str | None, Any]] = {}
        self._open: list[tuple[str | None, Any]] = []

    def call(self, id: object, name: object, arguments: Any) -> None:  # noqa: A002  the field's name
        """Take a call."""
        call, call_id = (text(name), arguments), text(id)
        if call_id is not None:
            self._by_id[call_id] = call
        self._open.append(call)

    def result(
        self,
        id: object,  # noqa: A002
        name: object,
        output: Any,
        is_error: object = None,
    ) -> None:
        """Take the answer to a call."""
        call_id, tool = text(id), text(name)
        call = self._by_id.get(call_id) if call_id is not None else self._next(tool)
        self.results.append(
            ToolResult(
                call_id,
                tool or (call[0] if call else None),
                arguments_of(call[1]) if call else None,
                output,
                is_error if type(is_error) is bool else None,
            )
        )

    def _next(self, name: str | None) -> tuple[str | None, Any] | None:
        for place, call in enumerate(self._open):
            if name is None or call[0] == name:
                return self._open.pop(place)
        return None
