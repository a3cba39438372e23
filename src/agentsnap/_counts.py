"""What of one model call is billed, taken apart: disjoint counts by kind, and why they may not be all.

    input           of the prompt what no other kind of it holds
    cache_read, cache_write (5 minutes, or no lifetime told), cache_write_1h
    input_audio, cache_read_audio
    output          of the answer what no other kind of it holds, reasoning included
    output_audio, output_image, reasoning (held out of `output` only if it has a price)
    web_search      searches the provider made
    request         1 a call

The record's own keys have one meaning for every provider (docs/format.md); the verbatim
`usage` is asked only for what they do not tell: lifetimes of cache writes, audio, searches,
and what the provider says the call cost.

Counts no provider can have sent (negative, more than a thousand million in one call, a part
larger than its whole) are named and left out, as is an upper bound: a sum has to stay a
lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from agent_step_log.limits import MAX_TOKENS
from agentsnap._amount import NO_TOKENS, UNKNOWN_TOKENS, Amount, add_usd, scale_usd

if TYPE_CHECKING:
    from agent_step_log import Record
    from agentsnap._amount import Tokens

__all__ = ["Counts", "counts_of", "is_resold", "told_cost", "uses_hosted_tools"]

_FIELDS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_PARTS = frozenset({"cache_read_tokens", "cache_write_tokens"})
#: Words by which a provider turns a request down before it makes a token of an answer.
_REFUSALS = frozenset(
    {
        "ratelimiterror",
        "rate_limit_error",
        "rate_limit_exceeded",
        "requests",
        "tokens",
        "insufficient_quota",
        "overloaded_error",
        "overloadederror",
        "authentication_error",
        "authenticationerror",
        "permission_error",
        "permissiondeniederror",
        "not_found_error",
        "notfounderror",
        "invalid_request_error",
        "badrequesterror",
        "unprocessableentityerror",
        "request_too_large",
        "resource_exhausted",
        "invalid_argument",
        "permission_denied",
        "unauthenticated",
        "not_found",
        "throttlingexception",
        "validationexception",
        "accessdeniedexception",
        "resourcenotfoundexception",
    }
)
#: What the tap says where such an answer has no words of its own.
_REFUSED = frozenset(f"HTTP {status}" for status in (400, 401, 403, 404, 405, 413, 415, 422, 429))
#: What stands in an answer where the provider ran a tool of its own that its usage does not count.
_HOSTED_TOOLS = (
    *(
        f'"{name}_call"'.encode()
        for name in ("web_search", "file_search", "code_interpreter", "image_generation", "computer")
    ),
    b'code_execution_tool_result"',
)
#: xAI tells what a call cost in units of 10⁻¹⁰ USD.
_TICK_DECIMALS = -10
#: In one figure; more is none.
_MOST_USD = 10**18


@dataclass(slots=True)
class Counts:
    """The counts of one call.

    Attributes:
        input, output, cache_read, cache_write, reasoning: Tokens as the record tells them.
        kinds: What is billed, by kind; see the module. A kind with nothing of it is left out.
        gaps: Why the kinds are not all there is; empty when they are.
        problems: Counts that cannot be true.
        is_split_told: Whether the lifetimes of cache writes are told.
        is_refused: The provider turned the request down; nothing was billed.
    """

    input: Tokens = UNKNOWN_TOKENS
    output: Tokens = UNKNOWN_TOKENS
    cache_read: Tokens = UNKNOWN_TOKENS
    cache_write: Tokens = UNKNOWN_TOKENS
    reasoning: Tokens = UNKNOWN_TOKENS
    kinds: dict[str, int] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    is_split_told: bool = True
    is_refused: bool = False

    def take(self, kind: str, number: int) -> None:
        """Count *number* of *kind*."""
        if number > 0:
            self.kinds[kind] = self.kinds.get(kind, 0) + number


def counts_of(record: Record) -> Counts:
    """Return what is billed of *record*, an `llm_call`. Never raises, whatever its usage holds."""
    counts = Counts()
    if _is_refused(record):
        counts.is_refused = True
        counts.input = counts.output = NO_TOKENS
        return counts
    usage = record.usage if type(record.usage) is dict else {}
    told = _told(record, counts)
    prompt, answer = told["input_tokens"], told["output_tokens"]
    read, written = told["cache_read_tokens"], told["cache_write_tokens"]
    if prompt is not None and (read or 0) + (written or 0) > prompt:
        counts.problems.append(
            f"{(read or 0) + (written or 0):,} cached tokens of {prompt:,} input tokens cannot be"
        )
        counts.gaps.append("cached tokens exceed the input")
        prompt = read = written = None
        counts.input = counts.cache_read = counts.cache_write = UNKNOWN_TOKENS
    billed = usage.get("billed_units")
    if type(billed) is dict:  # Cohere bills other counts than those of its tokens
        counts.take("input", _count(billed.get("input_tokens")))
        counts.take("output", _count(billed.get("output_tokens")))
        if read:
            counts.gaps.append("how cached tokens are billed is not told")
        _take_extras(counts, usage, record)
        return counts
    thought = told["reasoning_tokens"]
    if thought is not None and answer is not None and thought > answer:
        counts.problems.append(f"{thought:,} reasoning tokens of {answer:,} output tokens cannot be")
        counts.gaps.append("reasoning exceeds the output")
        counts.output, counts.reasoning, thought = counts.output.at_least(), UNKNOWN_TOKENS, None
    _take_input(counts, usage, prompt, read or 0, written or 0)
    _take_output(counts, usage, answer, thought or 0)
    _take_extras(counts, usage, record)
    return counts


def told_cost(record: Record) -> tuple[Decimal, str] | None:
    """Return the USD that the provider (or the log's own ``attrs.cost_usd``) says, and where that stands."""
    usage = record.usage
    if type(usage) is dict:
        if (ticks := _usd(usage.get("cost_in_usd_ticks"))) is not None:
            return scale_usd(ticks, _TICK_DECIMALS), "usage.cost_in_usd_ticks"
        stated = usage.get("cost")
        if type(stated) is dict:  # Perplexity
            stated = stated.get("total_cost")
        cost = _usd(stated)
        if cost is not None:
            # With the caller's own key OpenRouter's cost is its fee alone.
            if usage.get("is_byok") is True:
                upstream = _usd(_dict(usage.get("cost_details")).get("upstream_inference_cost"))
                return None if upstream is None else (add_usd(cost, upstream), "usage.cost and upstream")
            return cost, "usage.cost"
    if type(record.attrs) is dict:
        for name in ("cost_usd", "costUSD"):
            if (cost := _usd(record.attrs.get(name))) is not None:
                return cost, f"attrs.{name}"
    return None


def is_resold(record: Record) -> bool:
    """Whether an answer that is said to be Anthropic's has the id of another who serves its models."""
    if record.provider not in ("anthropic", None):
        return False
    for name in (record.request_id, record.attrs.get("message_id") if record.attrs else None):
        if type(name) is str and name.startswith(("msg_bdrk_", "msg_vrtx_")):
            return True
    return False


def uses_hosted_tools(output: bytes) -> bool:
    """Whether the provider ran a tool of its own that is billed and that its usage does not count."""
    if b'_call"' not in output and b'_tool_result"' not in output:
        return False
    return any(name in output for name in _HOSTED_TOOLS)


def _is_refused(record: Record) -> bool:
    """Whether the provider answered with an error instead of tokens."""
    if record.error is None or record.stop_reason is not None or record.usage:
        return False
    if any(getattr(record, name) is not None for name in _FIELDS):
        return False
    word = (record.error_type or "").rpartition(".")[2].lower()
    return word in _REFUSALS or record.error in _REFUSED


def _told(record: Record, counts: Counts) -> dict[str, int | None]:
    """Return the record's counts, those left out that cannot be or are upper bounds."""
    told: dict[str, int | None] = {}
    bounds = record.bounds or {}
    for name in _FIELDS:
        number = getattr(record, name)
        words = name.removesuffix("_tokens").replace("_", " ")
        bound = bounds.get(name)
        if number is None:
            if name in ("input_tokens", "output_tokens"):
                counts.gaps.append(f"{words} tokens not told")
        elif number < 0 or number > MAX_TOKENS:
            what = "a negative count" if number < 0 else "more than one call can have"
            counts.problems.append(f"{number:,} {words} tokens: {what}")
            counts.gaps.append(f"{words} tokens cannot be")
            number = None
        elif bound in ("upper", "unknown"):
            counts.gaps.append(f"{words} tokens told only as a bound from above")
            number = None
        elif bound is not None:
            counts.gaps.append(f"{words} tokens told only as a bound from below")
        told[name] = number
        if number is not None:
            setattr(counts, name.removesuffix("_tokens"), Amount(number, bound is None))
    return told


def _take_input(counts: Counts, usage: dict[str, Any], prompt: int | None, read: int, written: int) -> None:
    audio, cached_audio = _audio_in(usage)
    if audio and prompt is not None and cached_audio is None:
        if read:
            counts.gaps.append("how much of the cached prompt is audio is not told")
        cached_audio = 0
    cached_audio = min(cached_audio or 0, read)
    counts.take("cache_read_audio", cached_audio)
    counts.take("cache_read", read - cached_audio)
    _take_written(counts, usage, written)
    if prompt is not None:
        fresh = prompt - read - written
        fresh_audio = min(max(0, audio - cached_audio), fresh)
        counts.take("input_audio", fresh_audio)
        counts.take("input", fresh - fresh_audio)


def _take_written(counts: Counts, usage: dict[str, Any], written: int) -> None:
    if not written:
        return
    short, long = _lifetimes(usage)
    if short + long == written:
        counts.take("cache_write", short)
        counts.take("cache_write_1h", long)
    else:
        counts.is_split_told = False
        counts.take("cache_write", written)


def _lifetimes(usage: dict[str, Any]) -> tuple[int, int]:
    """Return what was written for minutes and for an hour or more."""
    split = usage.get("cache_creation")
    if type(split) is dict:
        return _count(split.get("ephemeral_5m_input_tokens")), _count(split.get("ephemeral_1h_input_tokens"))
    details = usage.get("cacheDetails")  # Bedrock
    if type(details) is list:
        short = long = 0
        for part in details:
            number = _count(_dict(part).get("inputTokens"))
            if _dict(part).get("ttl") == "5m":
                short += number
            else:
                long += number
        return short, long
    return 0, 0


def _take_output(counts: Counts, usage: dict[str, Any], answer: int | None, thought: int) -> None:
    if answer is None:
        return
    audio, image = _media_out(usage)
    if audio + image + thought > answer:
        audio = image = 0
    counts.take("output_audio", audio)
    counts.take("output_image", image)
    counts.take("reasoning", thought)
    counts.take("output", answer - audio - image - thought)


def _take_extras(counts: Counts, usage: dict[str, Any], record: Record) -> None:
    counts.take("request", 1)
    searches = _count(_dict(usage.get("server_tool_use")).get("web_search_requests"))
    counts.take("web_search", searches)
    if _count(usage.get("num_sources_used")):
        counts.gaps.append("searched sources are billed beside the tokens")
    if _count(usage.get("toolUsePromptTokenCount")):
        counts.gaps.append("the provider's own tools are billed beside the tokens")
    tries = usage.get("iterations")
    if type(tries) is list and len(tries) > 1:
        counts.gaps.append("what came before the last try is billed beside it")
    if is_resold(record):
        counts.gaps.append("its id is one of Bedrock or Vertex AI, whose regions may cost more")
    if usage.get("inference_geo") == "us":
        counts.gaps.append("inference in the US alone costs more than the list price")
    if uses_hosted_tools(bytes(record.output_json)):
        counts.gaps.append("the provider's own tools are billed beside the tokens")


def _audio_in(usage: dict[str, Any]) -> tuple[int, int | None]:
    """Return the audio tokens of the prompt, and how many of them were cached (None: not told)."""
    for name in ("prompt_tokens_details", "input_tokens_details", "input_token_details"):
        details = usage.get(name)
        if type(details) is dict:
            cached = details.get("cached_tokens_details")
            return _count(details.get("audio_tokens")), (
                _count(cached.get("audio_tokens")) if type(cached) is dict else None
            )
    cached_parts = usage.get("cacheTokensDetails")
    cached_audio = _modality(cached_parts, "AUDIO") if type(cached_parts) is list else None
    return _modality(usage.get("promptTokensDetails"), "AUDIO"), cached_audio


def _media_out(usage: dict[str, Any]) -> tuple[int, int]:
    """Return the audio and the image tokens of the answer."""
    for name in ("completion_tokens_details", "output_tokens_details", "output_token_details"):
        details = usage.get(name)
        if type(details) is dict:
            return _count(details.get("audio_tokens")), _count(details.get("image_tokens"))
    parts = usage.get("candidatesTokensDetails")
    return _modality(parts, "AUDIO"), _modality(parts, "IMAGE")


def _modality(parts: object, name: str) -> int:
    if type(parts) is not list:
        return 0
    return sum(_count(part.get("tokenCount")) for part in map(_dict, parts) if part.get("modality") == name)


def _count(value: object) -> int:
    return value if type(value) is int and 0 < value <= MAX_TOKENS else 0


def _dict(value: object) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _usd(value: object) -> Decimal | None:
    """Return a number of dollars (or of parts of one) as the decimal it was written as."""
    try:
        if type(value) is float or type(value) is int:
            number = Decimal(repr(value))
        elif type(value) is str and len(value) <= 40:
            number = Decimal(value)
        else:
            return None
    except (InvalidOperation, ValueError):  # ValueError: an integer of too many digits
        return None
    return number if number.is_finite() and 0 <= number < _MOST_USD else None
