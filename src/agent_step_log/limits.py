"""Limits: the words by which providers say that an answer met one, and the most tokens a count can mean."""

from __future__ import annotations

__all__ = ["CUT_OFF", "MAX_TOKENS", "TRUNCATED", "WINDOW_FULL"]

#: More tokens than one call can have: a hundred times the largest context window there is. A count above it,
#: or below 0, is nobody's usage: it is in no sum, and told.
MAX_TOKENS = 1_000_000_000

#: Stop reasons of an answer that reached the limit asked for, or the model's own, and who says so.
CUT_OFF = {
    "max_tokens": "Anthropic; Amazon Bedrock; watsonx",
    "length": "OpenAI Chat Completions and what speaks it; Ollama; TGI; Mistral; Amazon Titan (as LENGTH)",
    "max_output_tokens": "OpenAI Responses: why a response is incomplete",
    "incomplete": "OpenAI Responses without a reason; Gemini Interactions",
    "reason_max_len": "xAI's own SDK",
}
#: Those of an answer that reached the end of the context window.
WINDOW_FULL = {
    "model_context_window_exceeded": "Anthropic; Amazon Bedrock",
    "model_length": "Mistral",
    "reason_max_context": "xAI's own SDK",
    "error_limit": "Cohere, version 1",
    "token_limit": "watsonx",
}
#: All of them, as they are written: Gemini and Cohere shout.
TRUNCATED = frozenset(word for reason in (*CUT_OFF, *WINDOW_FULL) for word in (reason, reason.upper()))
