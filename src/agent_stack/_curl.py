"""An exchange's request as a shell command that sends it again, credentials left to the environment.

The command is for any POSIX shell. The body it sends is the one on the tape, byte for byte: in single
quotes where it is text that shows as it is, else as base64, so that nothing in it can act on
the terminal it is printed to. Headers a client makes for each connection are left to curl.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from agent_stack import _safe

if TYPE_CHECKING:
    from agenttap import TapedExchange

__all__ = ["curl_command"]

#: Longest argument handed to a program: the kernel's limit is 128 KiB. A longer body goes through a pipe.
_LONGEST_ARGUMENT = 96 * 1024

_LEFT_TO_CURL = re.compile(
    r"host|content-length|connection|accept-encoding|transfer-encoding|te|trailer|upgrade|keep-alive|expect"
    r"|user-agent|cookie2?|proxy-.*|x-stainless-.*|traceparent|tracestate|baggage|x-amz-date"
    r"|x-amz-content-sha256|amz-sdk-.*|content-encoding|idempotency-key|sec-fetch-.*"
)
_CREDENTIAL = re.compile(
    r"(?:.*[-_])?(?:authorization|api[-_]?key|token|secret|password|key|auth|credentials?)"
)
_TOKEN = re.compile(r"<redacted:[^>]*>")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

#: Part of the host, or the API: the environment's variables that commonly hold the key.
_VARIABLES = (
    ("openai.azure.com", "AZURE_OPENAI_API_KEY"),
    ("cognitiveservices.azure.com", "AZURE_OPENAI_API_KEY"),
    ("openrouter.ai", "OPENROUTER_API_KEY"),
    ("groq.com", "GROQ_API_KEY"),
    ("mistral.ai", "MISTRAL_API_KEY"),
    ("deepseek.com", "DEEPSEEK_API_KEY"),
    ("x.ai", "XAI_API_KEY"),
    ("together.", "TOGETHER_API_KEY"),
    ("fireworks.ai", "FIREWORKS_API_KEY"),
    ("cohere.", "CO_API_KEY"),
    ("aiplatform.googleapis.com", "GOOGLE_ACCESS_TOKEN"),
    ("googleapis.com", "GEMINI_API_KEY"),
    ("anthropic.com", "ANTHROPIC_API_KEY"),
    ("openai.com", "OPENAI_API_KEY"),
)
_BY_API = {
    "anthropic": "ANTHROPIC_API_KEY",
    "openai": "OPENAI_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "cohere": "CO_API_KEY",
    "ollama": "OLLAMA_API_KEY",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK",
}


def curl_command(exchange: TapedExchange, *, body: bytes | None = None) -> str:
    """Return the command.

    Args:
        exchange: Whose request.
        body: To send in the place of the one on the tape.
    """
    body = exchange.request_body if body is None else body
    arguments = [f"--request {_quoted(exchange.method or 'POST')}", _url(exchange)]
    if exchange.request_facts().is_streamed:
        arguments.append("--no-buffer")
    arguments += _headers(exchange, has_body=bool(body))
    feeder = ""
    if body:
        shown = _shown(body)
        if shown is None:
            feeder = f"printf %s {_quoted(b64encode(body).decode())} | base64 -d | "
        elif len(body) > _LONGEST_ARGUMENT:
            # printf is part of the shell: no limit on arguments applies.
            feeder = f"printf %s {_quoted(shown)} | "
        arguments.append("--data-binary @-" if feeder else f"--data-raw {_quoted(shown or '')}")
    return f"{feeder}curl " + " \\\n  ".join(arguments)


def _shown(body: bytes) -> str | None:
    """Return *body* as text if printing it shows just what it is."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return text if all(_safe.line(line) == line for line in text.split("\n")) else None


def _quoted(text: str) -> str:
    """Return *text* as one word of a POSIX shell."""
    if re.fullmatch(r"[A-Za-z0-9_./:=@%+-]+", text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"


def _url(exchange: TapedExchange) -> str:
    url = exchange.url
    if re.match(r"https?://", url) is None:
        url = "http://" + url.lstrip("-")
    # A URL holds ASCII; anything else in it is somebody's mischief.
    safe = quote(_TOKEN.sub("\0", url), safe="%:/?#[]@!$&'()*+,;=~\0")
    # What curl would expand by itself.
    pieces = [_quoted(piece) if piece else "" for piece in safe.split("\0")]
    word = f'"${_variable(exchange)}"'.join(pieces)
    return f"--globoff {word}" if any(char in safe for char in "[]{}") else word


def _headers(exchange: TapedExchange, *, has_body: bool) -> list[str]:
    sent = {name.lower() for name, _ in exchange.headers}
    is_signed = (exchange.api or "").startswith("bedrock") and "x-amz-date" in sent
    found = []
    if is_signed:
        found.append(f"--aws-sigv4 {_quoted(f'aws:amz:{_region(exchange.url)}:bedrock')}")
        found.append('--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY"')
    for name, value in exchange.headers:
        lower = name.lower()
        if not _HEADER_NAME.fullmatch(name) or _LEFT_TO_CURL.fullmatch(lower):
            continue
        if _CREDENTIAL.fullmatch(lower):
            if secret := _credential(exchange, lower, is_signed=is_signed):
                found.append(f'--header "{lower}: {secret}"')
        elif _safe.line(value) == value and not _TOKEN.search(value):
            found.append(f"--header {_quoted(f'{lower}: {value}' if value else f'{lower};')}")
    if has_body and "content-type" not in sent:
        # Else curl would call it a form.
        found.append("--header 'content-type:'")
    return found


def _credential(exchange: TapedExchange, name: str, *, is_signed: bool) -> str | None:
    """Return what stands for a header's credential; None where it is made anew."""
    if is_signed:
        return "$AWS_SESSION_TOKEN" if name == "x-amz-security-token" else None
    variable = _variable(exchange)
    if name != "authorization":
        return f"${variable}"
    return "Bearer $ANTHROPIC_AUTH_TOKEN" if variable == "ANTHROPIC_API_KEY" else f"Bearer ${variable}"


def _variable(exchange: TapedExchange) -> str:
    try:
        host = urlsplit(exchange.url).hostname or ""
    except ValueError:
        host = ""
    for part, variable in _VARIABLES:
        if f".{part}" in f".{host}.":
            return variable
    return _BY_API.get((exchange.api or "").partition(".")[0], "API_KEY")


def _region(url: str) -> str:
    found = re.search(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.", url)
    return found[1] if found else "us-east-1"
