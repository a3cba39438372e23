"""Which headers and which fields of a URL are kept.

Headers by an allow-list: one nobody thought of is left out. Of those that are known to hold a credential
the name stays, with a token, for "was a key sent, and the same one?" is often the question.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from agenttap._patterns import is_placeholder, is_secret_name

if TYPE_CHECKING:
    from agenttap._redact import Redactor

__all__ = ["CREDENTIAL_HEADER", "is_kept_header", "is_secret_field", "redacted_url"]

#: Lower-case names of headers that hold a credential.
CREDENTIAL_HEADER = re.compile(
    r"(?:proxy-)?authorization|(?:set-)?cookie2?"
    r"|(?:.*[-_])?(?:api[-_]?key|subscription-key|access-key|auth-key|private-key|functions-key)"
    r"|(?:.*[-_])?(?:token|secret|password|passwd|credentials?|signature|jwt|auth|session-?key)"
)

_KEPT_NAMES = """
    accept accept-charset accept-encoding accept-language age allow alt-svc cache-control connection
    content-disposition content-encoding content-language content-length content-location content-range
    content-type date etag expect expires host http-referer idempotency-key if-modified-since if-none-match
    keep-alive last-modified link location origin pragma range referer retry-after retry-after-ms server
    server-timing te trailer transfer-encoding upgrade user-agent vary via warning
    traceparent tracestate baggage x-b3-traceid x-b3-spanid x-cloud-trace-context x-datadog-trace-id
    x-amzn-trace-id
    request-id x-request-id x-correlation-id x-trace-id x-amzn-requestid x-amz-request-id x-amz-id-2
    apim-request-id x-ms-request-id x-ms-client-request-id x-ms-region x-ms-rai-invoked
    azureml-model-session azureml-model-group x-accel-buffering
    amz-sdk-invocation-id amz-sdk-request x-amz-date x-amz-target x-amz-content-sha256
    x-amzn-errortype x-amzn-remapped-content-length
    anthropic-version anthropic-beta anthropic-dangerous-direct-browser-access
    openai-version openai-beta openai-model openai-processing-ms openai-source openai-intent
    x-should-retry x-app x-title x-client-request-id x-claude-code-session-id x-service-name
    x-goog-api-client x-goog-request-params x-goog-request-id x-gemini-service-tier x-server-timeout
    x-envoy-upstream-service-time x-kong-upstream-latency x-kong-proxy-latency x-kong-request-id
    x-groq-region x-groq-request-id x-mistral-correlation-id x-openrouter-categories
    x-api-warning x-endpoint-monthly-call-limit x-trial-endpoint-call-limit x-debug-trace-id
    num_chars num_tokens x-inference-id x-inference-version x-compute-time x-compute-characters
    x-compute-type x-total-time x-queue-time cf-ray cf-cache-status x-cache x-served-by x-powered-by
    mcp-session-id mcp-protocol-version priority x-http-method-override x-initiator
"""
_KEPT = frozenset(_KEPT_NAMES.split())
_KEPT_FAMILIES = (
    "anthropic-priority-",
    "anthropic-ratelimit-",
    "x-amzn-bedrock-",
    "x-ratelimit-",
    "x-stainless-",
    "ratelimit-",
    "sec-fetch-",
)

# Only in a URL or a form, where names are short.
_SECRET_FIELD = re.compile(
    r"key|api-?key|token|sig|signature|code|auth|access_key|access_key_id|awsaccesskeyid|assertion"
    r"|client_assertion|code_verifier|jwt|ticket|sas|subscription-key"
    r"|x-amz-(?:signature|credential|security-token)|x-goog-(?:signature|credential)",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#\s@]*(?:@[^/?#\s@]*)*)@")
_QUERY = re.compile(r"([?&#;])([^=&#;?]{1,128})=([^&#;]*)")


def is_kept_header(name: str) -> bool:
    """Whether the header *name* (lower case) is kept."""
    return name in _KEPT or name.startswith(_KEPT_FAMILIES)


def is_secret_field(name: str) -> bool:
    """Whether the field *name* of a query or a form is a credential."""
    return _SECRET_FIELD.fullmatch(name) is not None or is_secret_name(name)


def redacted_url(url: str, redactor: Redactor) -> str:
    """Return *url* without its secrets; see `Redactor.url`."""

    def userinfo(match: re.Match[str]) -> str:
        if redactor.is_token(match[2]):
            return match[0]
        return f"{match[1] or ''}//{redactor.token('credential', match[2])}@"

    def field(match: re.Match[str]) -> str:
        value = unquote_plus(match[3])
        if not is_secret_field(unquote_plus(match[2])) or is_placeholder(value):
            return match[0]
        return f"{match[1]}{match[2]}={redactor.token('credential', value)}"

    return redactor.text(_QUERY.sub(field, _USERINFO.sub(userinfo, url, count=1)))
