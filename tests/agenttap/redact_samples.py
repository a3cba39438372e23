"""Secrets that are none, by kind: put together here, so that no scanner takes this file for a leak."""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KINDS", "NEAR_MISSES", "SECRETS", "secret_of", "text_deltas"]

_ALNUM = string.ascii_letters + string.digits
_URL = _ALNUM + "-_"


def _of(rng: random.Random, alphabet: str, count: int) -> str:
    # Not at the end: a dash there would be the text's.
    return "".join(rng.choices(alphabet, k=count - 2)) + "".join(rng.choices("A9", k=2))


def _jwt(rng: random.Random) -> str:
    return f"eyJ{_of(rng, _URL, 30)}.eyJ{_of(rng, _URL, 80)}.{_of(rng, _URL, 43)}"


def _pem(rng: random.Random) -> str:
    lines = [_of(rng, _ALNUM + "+/", 64) for _ in range(6)]
    return "\n".join(["-----BEGIN RSA PRIVATE" + " KEY-----", *lines, "-----END RSA PRIVATE" + " KEY-----"])


def secret_of(kind: str, rng: random.Random) -> str:
    """Return a new secret of *kind*, a key of `KINDS`."""
    return KINDS[kind](rng)


KINDS: dict[str, Callable[[random.Random], str]] = {
    "anthropic": lambda rng: "sk-" + "ant-api03-" + _of(rng, _URL, 95),
    "openrouter": lambda rng: "sk-" + "or-v1-" + _of(rng, string.hexdigits.lower()[:16], 62) + "a7",
    "openai project": lambda rng: "sk-" + "proj-" + _of(rng, _URL, 156),
    "openai": lambda rng: "sk-" + _of(rng, _ALNUM, 46) + "b2",
    "aws_access_key": lambda rng: "AKI" + "A" + _of(rng, string.ascii_uppercase + "234567", 16),
    "aws_access_key session": lambda rng: "ASI" + "A" + _of(rng, string.ascii_uppercase + "234567", 16),
    "google": lambda rng: "AIz" + "a" + _of(rng, _URL, 35),
    "github": lambda rng: "gh" + rng.choice("pousr") + "_" + _of(rng, _ALNUM, 36),
    "github fine": lambda rng: "github" + "_pat_" + _of(rng, _ALNUM, 22) + "_" + _of(rng, _ALNUM, 59),
    "gitlab": lambda rng: "glp" + "at-" + _of(rng, _ALNUM, 20),
    "slack": lambda rng: "xox" + "b-123456789012-" + _of(rng, _ALNUM, 24),
    "huggingface": lambda rng: "hf" + "_" + _of(rng, string.ascii_letters, 34),
    "groq": lambda rng: "gs" + "k_" + _of(rng, _ALNUM, 52),
    "npm": lambda rng: "npm" + "_" + _of(rng, _ALNUM, 36),
    "pypi": lambda rng: "py" + "pi-AgEIcHlwaS5vcmc" + _of(rng, _URL, 80),
    "stripe": lambda rng: rng.choice("rs") + "k_" + "live_" + _of(rng, _ALNUM, 24),
    "xai": lambda rng: "xa" + "i-" + _of(rng, _ALNUM, 79) + "3",
    "jwt": _jwt,
    "private_key": _pem,
}

SECRETS = {kind: secret_of(kind, random.Random(kind)) for kind in KINDS}

NEAR_MISSES = {
    "inside a word": "the task-list-of-2024-with-many-more-words-in-it",
    "risk": "risk-averse1234567890abcdefghijkl",
    "desk": "desk-1234567890abcdefgh",
    "a class": "class='sk-fading-circle-animation-container'",
    "too short": "sk-12345",
    "capitals": "ASIAPACIFICREGIONALHEADQUARTERS",
    "a longer word": "AKIATEST1234567890ABC",
    "an identifier": "npm_config_registry_and_other_settings_of_npm",
    "snake case": "graph_pagination_and_hf_transformers_model",
    "a manual": "Authorization: Bearer YOUR_API_KEY",
    "an address": "git@github.com:owner/project.git, mailto:someone@example.com",
    "a port": "http://localhost:8080/path@v2",
    "an example": "postgres://user:password@localhost/db",
    "a variable": '{"api_key": "$OPENAI_API_KEY", "password": "${DB_PASSWORD}"}',
    "counts": '{"max_tokens": "100", "token_count": "7", "tokens": "a", "next_page_token": "CAUQAA"}',
    "a log probability": '{"token": "Hello", "logprob": -0.1, "bytes": [72]}',
    "a schema": '{"password": {"type": "string", "description": "the password"}, "required": ["password"]}',
    "a header's mark": '_MARK = "-----BEGIN RSA PRIVATE' + ' KEY-----", "-----END RSA PRIVATE' + ' KEY-----"',
    "a version": "xai-grok-2-vision-latest, pypi-server, gsk_tool",
    "a token of ours": '{"api_key": "<redacted:openai:0123abcd>"} Bearer <redacted:jwt:0123abcd>',
}


def text_deltas(api: str, data: object) -> list[tuple[object, dict[str, str], str]]:
    """Stand in for `agenttap.decoders.deltas`: ``{"index": ..., "delta": {"text": ...}}``."""
    if isinstance(data, dict) and isinstance(data.get("delta"), dict) and "text" in data["delta"]:
        return [(data.get("index"), data["delta"], "text")]
    return []
