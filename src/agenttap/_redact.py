"""Taking secrets out of what goes to the disk; what goes to the provider is never touched.

A secret gives way to ``<redacted:kind:hash8>``: its kind (see `agenttap._patterns`) and eight hexadecimal
digits of a hash keyed per store, so that equal secrets stay equal and nobody can look one up. Of a body
only the bytes of the secret change; a body without one is handed back as the very same object.

    url       userinfo, the query's keys and tokens, keys in the path
    headers   an allow-list; of a credential its name stays
    body      JSON, form or text; binary data is passed on
    text, value   error messages, tool results, anything JSON-like
    stream    a response's events, joined by what they continue (see `agenttap._redact_stream`)

Nothing here raises for what it is given, opens a file but the key's, or keeps a secret beyond the bodies last
seen (at most `CACHE_BYTES`), which are kept to read a history that is sent again only once.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from operator import is_
from typing import TYPE_CHECKING, Any

import msgspec

from agenttap._patterns import SCHEME_PREFIX, TOKEN, Match, find, is_placeholder, is_secret_name, merged
from agenttap._redact_form import is_form, redacted_form
from agenttap._redact_headers import CREDENTIAL_HEADER, is_kept_header, redacted_url
from agenttap._redact_history import History
from agenttap._redact_user import UserPatterns
from agenttap._store_key import store_key

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Iterable, Mapping

    from agenttap._redact_stream import Deltas, StreamRedactor

__all__ = ["CACHE_BYTES", "Redactor", "store_key"]

#: Bytes of bodies that are remembered.
CACHE_BYTES = 4 * 1024 * 1024

#: Values nested deeper than this are left out: nobody reads them, and a hostile one would end the stack.
_MAX_DEPTH = 200
_TOO_DEEP = "<redacted:too_deep:00000000>"
_BINARY_HEAD = 1024


class Redactor:
    """Replaces secrets by tokens. It has no lock: any thread, signal handler or forked child may use it.

    Args:
        key: Of the store, see `store_key`: the same key makes the same tokens.
        patterns: Your own: a kind's name and a regular expression for the text of one JSON string (or of a
            whole text). A group called ``secret``, else the first group, else the whole match is taken out.
        callback: Asked for each secret found: ``callback(kind, secret)``. It returns what stands in its
        place,
            the secret itself to leave it, or None for the usual token. One that raises gets the usual token.
        allow_headers: Names of further headers to keep.

    Raises:
        re.error: One of *patterns* is no regular expression.

    Attributes:
        found: Secrets replaced so far, each place counted; of a body that is seen again, again.
    """

    def __init__(
        self,
        *,
        key: bytes,
        patterns: Mapping[str, str | re.Pattern[str]] | None = None,
        callback: Callable[[str, str], str | None] | None = None,
        allow_headers: Iterable[str] = (),
    ) -> None:
        self.found = 0
        self._key = key[:64]
        self._callback = callback
        self._user = UserPatterns(patterns) if patterns else None
        self._allowed = frozenset(name.lower() for name in allow_headers)
        self._history = History(CACHE_BYTES)

    # -- what is taken out ---------------------------------------------------------------------------------

    def token(self, kind: str, secret: str) -> str:
        """Return what stands for *secret*, and count it."""
        if self._callback is not None:
            try:
                answer = self._callback(kind, secret)
            except Exception:  # noqa: BLE001  the user's code; the secret must not pass because of it
                answer = None
            if answer is not None:
                self.found += answer != secret
                return answer
        self.found += 1
        digest = blake2b(secret.encode("utf-8", "surrogatepass"), digest_size=4, key=self._key)
        return f"<redacted:{kind}:{digest.hexdigest()}>"

    @property
    def has_user_patterns(self) -> bool:
        """Whether there are patterns of the user's own."""
        return self._user is not None

    @staticmethod
    def is_token(text: str) -> bool:
        """Whether *text* is what `token` returns."""
        return TOKEN.fullmatch(text) is not None

    def matches(self, text: str) -> list[Match]:
        """Return the secrets of *text*, the user's patterns among them."""
        found = find(text)
        return merged(found + self._user.find(text)) if self._user is not None else found

    def replaced(self, text: str, matches: list[Match]) -> str:
        """Return *text* with a token for each of *matches*."""
        parts: list[str] = []
        taken = 0
        for match in matches:
            secret = unescaped(text[match.start : match.end])
            token = self.token(match.kind, secret)
            if token != secret:
                parts += text[taken : match.start], token
                taken = match.end
        return "".join([*parts, text[taken:]]) if parts else text

    # -- what there is to redact ---------------------------------------------------------------------------

    def text(self, text: str) -> str:
        """Return *text* without its secrets."""
        matches = self.matches(text)
        return self.replaced(text, matches) if matches else text

    def value(self, value: Any) -> Any:
        """Return *value* without its secrets: the same object if it has none, else a copy of what has one.

        Strings (also those that are names of an object), mappings, lists, tuples and bytes are looked
        through; anything else is returned as it is.
        """
        return Walk(self).value(value)

    def url(self, url: str) -> str:
        """Return *url* without userinfo, credentials in its query or fragment, and secrets anywhere else."""
        return redacted_url(url, self)

    def headers(self, headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the headers that are known to be harmless, and the names of those that hold a credential."""
        kept: list[tuple[str, str]] = []
        for name, value in headers:
            lower = name.lower()
            if CREDENTIAL_HEADER.fullmatch(lower):
                kept.append((name, self.token("header", value)))
            elif lower in self._allowed or is_kept_header(lower):
                kept.append((name, self.url(value) if "://" in value else self.text(value)))
        return kept

    def body(self, body: bytes) -> tuple[bytes, int]:
        """Return a request's *body* without its secrets, and how many there were.

        The same object when there is none. Of a body that resembles one of the last only what differs is
        looked at.
        """
        if not body:
            return body, 0
        text = body.decode("latin-1")
        is_json = text[:64].lstrip(" \t\r\n\u00ef\u00bb\u00bf")[:1] in ("{", "[", '"')
        if not is_json:
            if "\0" in text[:_BINARY_HEAD]:
                return body, 0
            if is_form(text):
                return redacted_form(body, self)
        matches = self._history.matches(body, text, is_json=is_json)
        if self._user is not None:
            matches = merged([*matches, *self._user.find_in_bytes(text, is_json=is_json)])
        if not matches:
            return body, 0
        return self._body_without(body, text, matches, is_json=is_json)

    def _body_without(
        self, body: bytes, text: str, matches: list[Match], *, is_json: bool
    ) -> tuple[bytes, int]:
        new, count = self._bytes_with_tokens(body, text, matches, is_json=is_json)
        if is_json and not _is_json(new) and _is_json(body):
            # Only if a secret reached over the end of its string: then the document is written anew.
            new = json.dumps(self.value(json.loads(body)), ensure_ascii=False).encode(
                "utf-8", "surrogatepass"
            )
        return new, count

    def json_text(self, raw: bytes) -> bytes:
        """Return *raw*, JSON among other things, without its secrets; the same object if it has none."""
        text = raw.decode("latin-1")
        matches = find(text, is_json=True)
        if self._user is not None:
            matches = merged([*matches, *self._user.find_in_bytes(text, is_json=True)])
        return self._bytes_with_tokens(raw, text, matches, is_json=True)[0] if matches else raw

    def _bytes_with_tokens(
        self, data: bytes, text: str, matches: list[Match], *, is_json: bool
    ) -> tuple[bytes, int]:
        parts: list[bytes] = []
        taken = count = 0
        for match in matches:
            secret = unescaped(text[match.start : match.end].encode("latin-1").decode("utf-8", "replace"))
            token = self.token(match.kind, secret)
            if token == secret:
                continue
            if is_json and not self.is_token(token):
                token = json.dumps(token)[1:-1]
            parts += data[taken : match.start], token.encode("utf-8", "surrogatepass")
            taken = match.end
            count += 1
        parts.append(data[taken:])
        return b"".join(parts) if count else data, count

    def stream(self, api: str, *, deltas: Deltas | None = None) -> StreamRedactor:
        """Return what redacts one response, event by event.

        Args:
            api: Whose events they are.
            deltas: How the events continue one another. Default: `agenttap.decoders.deltas`.
        """
        from agenttap._redact_stream import StreamRedactor  # it imports this module

        return StreamRedactor(self, api, deltas)


class Walk:
    """One look through a JSON-like value; the strings *left* (an object's id, and the key in it) stay."""

    def __init__(self, redactor: Redactor, left: Collection[tuple[int, Any]] = ()) -> None:
        self._redactor, self._left = redactor, left

    def value(self, value: Any, name: str | None = None, depth: int = _MAX_DEPTH) -> Any:
        """Return *value*, which stands under *name*, without its secrets; see `Redactor.value`."""
        if isinstance(value, str):
            return self._string(value, name)
        if isinstance(value, dict):
            return self._object(value, depth) if depth else _TOO_DEEP
        if isinstance(value, list | tuple):
            return self._array(value, depth) if depth else _TOO_DEEP
        if isinstance(value, bytes):
            return self._redactor.body(value)[0]
        return value

    def _object(self, value: dict[Any, Any], depth: int) -> Any:
        new: dict[Any, Any] = {}
        is_same = True
        for key, item in value.items():
            if self._left and (id(value), key) in self._left:
                new[key] = item
                continue
            name = key if isinstance(key, str) else None
            new_key = key if name is None else self._redactor.text(name)
            new_item = self.value(item, name, depth - 1)
            is_same = is_same and new_key is key and new_item is item
            new[new_key] = new_item
        return value if is_same else new

    def _array(self, value: Any, depth: int) -> Any:
        items = [
            item if self._left and (id(value), place) in self._left else self.value(item, None, depth - 1)
            for place, item in enumerate(value)
        ]
        if all(map(is_, items, value)):
            return value
        return items if isinstance(value, list) else tuple(items)

    def _string(self, text: str, name: str | None) -> str:
        matches = self._redactor.matches(text)
        if name is not None and is_secret_name(name):
            scheme = SCHEME_PREFIX.match(text)
            start = scheme.end() if scheme else 0
            if not is_placeholder(text[start:]):
                matches = merged([*matches, Match(start, len(text), "credential")])
        return self._redactor.replaced(text, matches) if matches else text


def unescaped(secret: str) -> str:
    """Return *secret* without JSON's escapes, so that it hashes alike wherever it stood."""
    while "\\" in secret:
        try:
            plain = json.loads(f'"{secret}"', strict=False)
        except ValueError:
            return secret
        if not isinstance(plain, str) or plain == secret:
            return secret
        secret = plain
    return secret


def _is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
