"""A body in ``application/x-www-form-urlencoded``, recognised by its looks: headers lie, or are missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, unquote_plus

from agenttap._patterns import is_placeholder
from agenttap._redact_headers import is_secret_field

if TYPE_CHECKING:
    from agenttap._redact import Redactor

__all__ = ["FORM", "redacted_form"]

#: Names and values without white space, from the first byte on.
FORM = re.compile(
    r"[A-Za-z0-9_.%+*\[\]-]{1,128}=[^&\s={}<>\"]*(?:&[A-Za-z0-9_.%+*\[\]-]{1,128}=[^&\s]*)*\s*\Z", re.ASCII
)


def redacted_form(body: bytes, redactor: Redactor) -> tuple[bytes, int]:
    """Return *body* without its secrets, field by field, and how many there were."""
    before = redactor.found
    fields = []
    for field in body.decode("latin-1").split("&"):
        name, equals, value = field.partition("=")
        plain = unquote_plus(value)
        if is_secret_field(unquote_plus(name)) and not is_placeholder(plain):
            new = redactor.token("credential", plain)
        else:
            new = redactor.text(plain)
        fields.append(field if new == plain else name + equals + quote_plus(new, safe="<>:"))
    if redactor.found == before:
        return body, 0
    return "&".join(fields).encode("latin-1"), redactor.found - before
