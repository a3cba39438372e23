"""A body in ``application/x-www-form-urlencoded``, recognised by its looks: headers lie, or are missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, unquote_plus

from agenttap._patterns import is_placeholder
from agenttap._redact_headers import is_secret_field

if TYPE_CHECKING:
    from agenttap._redact import Redactor

__all__ = ["is_form", "redacted_form"]

_FIRST_FIELD = re.compile(r"[A-Za-z0-9_.%+*\[\]-]{1,128}=[^&\s={}<>\"]{0,8192}(?:&|\s*\Z)", re.ASCII)


def is_form(text: str) -> bool:
    """Whether *text* is names and values without white space, from the first character on."""
    return _FIRST_FIELD.match(text) is not None and len(text.rstrip().split(None, 1)) == 1


def redacted_form(body: bytes, redactor: Redactor) -> tuple[bytes, int]:
    """Return *body* without its secrets, field by field, and how many fields had one."""
    fields = []
    found = 0
    for field in body.decode("latin-1").split("&"):
        name, equals, value = field.partition("=")
        plain = unquote_plus(value)
        if is_secret_field(unquote_plus(name)) and not is_placeholder(plain):
            new = redactor.token("credential", plain)
        else:
            new = redactor.text(plain)
        found += new != plain
        fields.append(field if new == plain else name + equals + quote_plus(new, safe="<>:"))
    return ("&".join(fields).encode("latin-1"), found) if found else (body, 0)
