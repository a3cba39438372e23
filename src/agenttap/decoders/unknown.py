"""Traffic that looks like a model's, of an API that has no decoder here: what its shape gives away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agent_step_log.responses import StreamFields
from agenttap.decoders._decoder import Decoder
from agenttap.decoders.openai_chat import message_list, request_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agenttap.decoders._types import RequestFacts, ToolCall

__all__ = ["UnknownDecoder", "deltas", "message_list", "request_facts"]


def deltas(data: dict[str, Any]) -> Iterator[tuple[Any, Any, str]]:  # noqa: ARG001
    """Nothing is known of what continues what."""
    yield from ()


class UnknownDecoder(Decoder):
    """Reads one response."""

    def __init__(self, status: int, headers: dict[str, str], request: RequestFacts) -> None:
        super().__init__(status, headers, request)
        self._stream = StreamFields()
        self._is_document = "stream" not in headers.get("content-type", "")

    def _take(self, data: dict[str, Any]) -> bool:
        if data.get("error"):
            self.fail(data)
        self._stream.add(data)
        # A stream of unknown form ends where its connection does.
        self.is_complete = self.is_complete or self._is_document
        return True

    def _take_raw(self, raw: bytes) -> None:
        self.is_complete = self.is_complete or b"[DONE]" in raw

    def _fields(self) -> dict[str, Any]:
        return self._stream.fields()

    def _said(self, output: Any) -> tuple[str, str, list[ToolCall]]:  # noqa: ARG002
        return "", "", []
