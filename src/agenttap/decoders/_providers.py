"""Whose API it is, where a URL or a header tells.

The names are OpenTelemetry's (``gen_ai.provider.name``), and where it has none the
provider's own. A host says who answers only where it is a provider's own: any
other may be a gateway, and a gateway's host says nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["path_of", "provider_by_headers", "provider_of"]

_HOSTS = {
    "api.anthropic.com": "anthropic",
    "api.openai.com": "openai",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "api.together.xyz": "together_ai",
    "api.perplexity.ai": "perplexity",
    "generativelanguage.googleapis.com": "gcp.gemini",
}
_HEADERS = {
    "mistral-correlation-id": "mistral_ai",
    "x-groq-region": "groq",
    "x-ds-trace-id": "deepseek",
}
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//([^/?#]*)([^?#]*)", re.IGNORECASE)


def path_of(url: str) -> str:
    """Return the path of *url*, decoded, without query and fragment."""
    found = _URL.match(url)
    path = found[2] if found else re.split("[?#]", url, maxsplit=1)[0]
    return unquote(path) if "%" in path else path


def provider_of(url: str) -> str | None:
    """Return the provider *url* tells by its path, or by a host of the provider's own."""
    path = path_of(url)
    if "/model/" in path and re.search(r"/model/[^:]+.*/(converse|invoke)", path):
        return "aws.bedrock"
    if re.search(r"/openai/(v1/|deployments/|responses)", path) and not _host(url).endswith("groq.com"):
        return "azure.ai.openai"
    if "/publishers/" in path:
        return "gcp.vertex_ai"
    return _HOSTS.get(_host(url))


def _host(url: str) -> str:
    found = _URL.match(url)
    return found[1].rpartition("@")[2].partition(":")[0].lower() if found else ""


def provider_by_headers(headers: Mapping[str, str]) -> str | None:
    """Return the provider that a header of its own tells."""
    return next((provider for name, provider in _HEADERS.items() if name in headers), None)
