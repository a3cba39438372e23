r"""What a secret looks like, and where in a text one stands.

    kind                     looks like
    anthropic                sk-ant-…
    openrouter               sk-or-…
    openai                   sk-proj-…, sk-svcacct-…, sk-admin-…, sk-… (whoever else uses that form, too)
    aws_access_key           AKIA…, ASIA…
    aws_secret_key           40 characters behind a label such as aws_secret_access_key
    google                   AIza…
    github                   ghp_…, gho_…, ghu_…, ghs_…, ghr_…, github_pat_…
    gitlab                   glpat-…
    slack                    xoxb-…, xoxp-…, xapp-…
    huggingface, groq, npm   hf_…, gsk_…, npm_…
    pypi, xai, stripe        pypi-…, xai-…, sk_live_… and rk_live_…
    jwt                      eyJ….eyJ….…
    private_key              -----BEGIN … PRIVATE KEY----- to its end
    credential               the token behind ``Authorization: Bearer``, the password in
    ``scheme://user:password@``,
                             the string under a name such as ``"api_key"`` in JSON

`find` reads a text, or the text of a JSON document as it stands (then escapes such as ``\n`` and ``\/`` may
be in it, and what it finds lies inside one string of it). No secret is longer than `MAX_SECRET` characters.

It looks for a few characters that every form has ("anchors"), because those passes run in C, and tries the
forms themselves only where one stands. Nothing here changes a text or keeps one.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from agenttap._escapes import has_escaped, outside_escape, plain_and_offsets

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_SECRET",
    "SCHEME_PREFIX",
    "TOKEN",
    "Match",
    "Rule",
    "find",
    "is_placeholder",
    "is_secret_name",
    "merged",
]

#: Characters of the longest secret there is for us: a private key of 8192 bits in PEM has some 6,500.
MAX_SECRET = 8192

#: What stands for a secret that was taken out. It is never taken for a secret itself.
TOKEN = re.compile(r"<redacted:[A-Za-z0-9_.-]{1,64}:[0-9a-f]{8}>")

#: A base64 text this long without a break is an image or an encrypted state: any prefix turns up in it by
#: chance.
_BLOB = 512
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"
_BASE64_URL = _BASE64.replace("+/=", "")

# Where a key may begin: not inside a word, unless that "word" is the end of an escape (\n, \u00e9, %3D)
# or of a terminal's colour (ESC[32m).
_BEGIN = (
    r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf])|(?<=%[0-9A-Fa-f]{2})|(?<=\\u[0-9A-Fa-f]{4})"
    r"|(?<=[\[;][0-9]m)|(?<=[\[;][0-9]{2}m))"
)


class Match(NamedTuple):
    """A secret, from *start* to *end*."""

    start: int
    end: int
    kind: str


class Rule(NamedTuple):
    """One form. *width*: how many characters of a match come before the end of its anchor."""

    kind: str
    width: int
    regex: re.Pattern[str]


def _rule(kind: str, width: int, form: str) -> Rule:
    return Rule(kind, width, re.compile(_BEGIN + form, re.ASCII))


# A class name such as sk-fading-circle-animation has no digit.
_SK = (
    _rule("anthropic", 3, r"sk-ant-[A-Za-z0-9_-]{16,256}"),
    _rule("openrouter", 3, r"sk-or-(?=[A-Za-z_-]{0,64}[0-9])[A-Za-z0-9_-]{20,256}"),
    _rule("openai", 3, r"sk-(?:proj|svcacct|admin|None|service)-[A-Za-z0-9_-]{20,256}"),
    _rule(
        "openai",
        3,
        r"sk-(?:[a-z]{2,12}-){0,2}(?=[A-Za-z_-]{0,64}[0-9])(?=[A-Za-z0-9]{20}|[0-9a-f]{8}-)[A-Za-z0-9_-]{20,256}",
    ),
)
_DASH = (
    *_SK,
    _rule("slack", 5, r"xox[abdeoprs]-(?=[A-Za-z-]{0,64}[0-9])[A-Za-z0-9-]{10,256}"),
    _rule("slack", 5, r"xapp-[0-9]-[A-Z0-9]{5,32}-[0-9]{5,32}-[a-f0-9]{16,128}"),
    _rule("gitlab", 6, r"glpat-[A-Za-z0-9_-]{20,256}(?:\.[A-Za-z0-9]{2,16}){0,3}"),
    _rule("xai", 4, r"xai-(?=[A-Za-z]{0,64}[0-9])[A-Za-z0-9]{20,256}"),
    _rule("pypi", 5, r"pypi-(?:AgE[A-Za-z0-9_-]{16,512}|(?=[a-z_-]{0,64}[A-Z0-9])[A-Za-z0-9_-]{50,512})"),
)
_AWS_SECRET = re.compile(
    r"secret_?access_?key[\\\"']{0,8}[ \t]{0,4}[:=][ \t]{0,4}[\\\"']{0,8}"
    r"((?:[A-Za-z0-9+]|\\?/){40})(?![A-Za-z0-9+/=])",
    re.IGNORECASE | re.ASCII,
)
_UNDERSCORE = (
    _rule("github", 4, r"gh[pousr]_[A-Za-z0-9]{30,256}"),
    _rule("github", 11, r"github_pat_[A-Za-z0-9_]{22,256}"),
    _rule("huggingface", 3, r"hf_[A-Za-z0-9]{30,256}"),
    _rule("groq", 4, r"gsk_[A-Za-z0-9]{20,256}"),
    _rule("npm", 4, r"npm_[A-Za-z0-9]{30,256}"),
    _rule("stripe", 8, r"[rs]k_live_[A-Za-z0-9]{16,256}"),
    Rule("aws_secret_key", 7, _AWS_SECRET),
)
_CAPITAL_I = (
    _rule("aws_access_key", 3, r"A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9_-])"),
    _rule("google", 2, r"AIza[A-Za-z0-9_-]{35,256}"),
)

# (what finds the anchor, the forms that have it). The anchors' last characters are rare enough.
_ANCHORED: tuple[tuple[re.Pattern[str], tuple[Rule, ...]], ...] = (
    (
        re.compile(
            r"-(?<=[ktiabdeoprs]-)(?:(?<=sk-)|(?<=xox[abdeoprs]-)|(?<=glpat-)|(?<=xai-)|(?<=xapp-)|(?<=pypi-))"
        ),
        _DASH,
    ),
    (
        re.compile(
            r"_(?=[A-Za-z0-9]{6})(?<=[hpsvaeE][fpousrmketT]_)(?:(?<=hf_)|(?<=gh[pousr]_)|(?<=npm_)|(?<=gsk_)"
            r"|(?<=[rs]k_live_)|(?<=github_pat_)|(?<=secret_)access_?key|(?<=SECRET_)ACCESS_?KEY)"
        ),
        _UNDERSCORE,
    ),
    (re.compile(r"I(?:(?<=A[KS]I)A|(?<=AI)za)"), _CAPITAL_I),
)

_JWT_HEAD = re.compile(_BEGIN + r"eyJ[A-Za-z0-9_-]{5,2048}\Z", re.ASCII)
_JWT_TAIL = re.compile(r"\.eyJ[A-Za-z0-9_-]{4,4096}(?:\.[A-Za-z0-9_-]{0,1024})?", re.ASCII)

_PEM_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_SHORTEST_KEY = 24
PEM_END = re.compile(r"-----END (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_PEM_REST = re.compile(r"(?:[A-Za-z0-9+/= \t\r\n]|\\{1,8}[nrt/]){0,8192}")

_TOKEN_CHARS = r"(?:[A-Za-z0-9._~+=-]|\\?/)"  # noqa: S105
_AUTHORIZATION = re.compile(
    r"authorization[\\\"']{0,8}[ \t]{0,4}[:=][ \t]{0,4}\[?[\\\"']{0,8}"
    r"(bearer|basic|token)[ \t+]{1,4}(" + _TOKEN_CHARS + r"{8,4096})",
    re.IGNORECASE | re.ASCII,
)
_PASSWORD_CHARS = r"(?:[^\s\"'<>`/\\]|\\[/u])"  # noqa: S105
_CONNECTION = re.compile(
    r":\\?/\\?/[^\s\"'<>`@/\\:]{0,128}:(" + _PASSWORD_CHARS + r"{1,256})@",
    re.ASCII,
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,30}\Z", re.ASCII)
_CONNECTION_REACH = 400
_CONTEXT = 1024
_EDGE = 16

# The end of a JSON name that may mean a secret: its quote, and the last letters before it. What all forms
# have in common is looked at first: of the colons in JSON nearly all go by there.
_NAME_END = re.compile(
    r':(?<=[yYdDtTnNeE\\"][" \t\r\n]:)(?<=[eErRwWiIsSyYdDtTnN\\].[" \t\r\n]:)'
    r'(?:(?<=[eErRwWiIsS][yYdDtTnNeE]":)(?:(?<=[kK]ey":)|(?<=KEY":)|(?<=word":)|(?<=WORD":)'
    r'|(?<=swd":)|(?<=SWD":)|(?<=cret":)|(?<=CRET":)|(?<=[_a-zA-Z-][Tt]oken":)|(?<=OKEN":)|(?<=okie":)'
    r'|(?<=rase":))|(?<=[eErRwWiIsS][yYdDtTnNeE]\\":)(?:(?<=[kK]ey\\":)|(?<=KEY\\":)|(?<=word\\":)'
    r'|(?<=WORD\\":)|(?<=swd\\":)|(?<=SWD\\":)|(?<=cret\\":)|(?<=CRET\\":)|(?<=[_a-zA-Z-][Tt]oken\\":)'
    r'|(?<=OKEN\\":)|(?<=okie\\":)|(?<=rase\\":))|(?<=\\\\\\":)'
    r'|(?<=[yYdDtTnNeE]"[ \t\r\n]:)|(?<=[yYdDtTnNeE\\]\\"[ \t\r\n]:))'
)
_AUTHORIZATION_NAME = re.compile(r"ization(\\*\")(?=[ \t\r\n]{0,8}:)", re.IGNORECASE)
_VALUE_BEGIN = re.compile(r'[ \t\r\n]{0,8}:[ \t\r\n]{0,8}(\\*)"')
SCHEME_PREFIX = re.compile(r"(?:bearer|basic|token)[ \t]{1,4}", re.IGNORECASE)
_LONGEST_NAME = 64

_SECRET_NAME = re.compile(
    r"(?:.*[._ -])?(?:"
    r"(?:[a-z0-9]*(?:api|secret|private|encryption|signing|service_?role|account|master))[._ -]?key"
    r"|secret[._ -]?access[._ -]?key|aws[._ -]?session[._ -]?token"
    r"|[a-z0-9]*(?:password|passwd|passphrase)"
    r"|[a-z0-9]*secret"
    r"|[a-z0-9]*(?:access|refresh|auth|id|session|bearer|api|bot|personal|oauth|user|security|deploy|csrf|xsrf)"
    r"[._ -]?token"
    r"|(?:proxy[._ -]?)?authorization|(?:set-)?cookie"
    r")",
    re.IGNORECASE | re.ASCII,
)
# As the names of environment variables: GITHUB_TOKEN, but not max_token.
_SECRET_VARIABLE = re.compile(
    r"(?:[A-Z0-9_]*_)?(?:TOKEN|PASSWORD|PASSWD|SECRET|API_?KEY|ACCESS_KEY|PRIVATE_KEY)"
)
_PLACEHOLDER = re.compile(
    r"\*+|x{3,}|\.{3}|(?:null|none|true|false|undefined|optional|required|string)"
    r"|\$\{?[A-Za-z_][A-Za-z0-9_:.-]*\}?|\{\{[^{}]*\}\}|\{[a-z_]+\}|<[A-Za-z0-9_ :.-]{1,90}>|%[A-Z_]+%",
    re.IGNORECASE | re.ASCII,
)
_EXAMPLE_PASSWORDS = frozenset({"password", "pass", "passwd", "pwd", "secret", "pw", "user", "username"})


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether the string under *name* (of a JSON key, a variable, a form field) is a credential."""
    if _SECRET_VARIABLE.fullmatch(name):
        return True
    return _SECRET_NAME.fullmatch(name) is not None


def is_placeholder(value: str) -> bool:
    """Whether *value* stands where a secret would, and is none: empty, ``$NAME``, ``***``, a token."""
    return not value or _PLACEHOLDER.fullmatch(value) is not None


def find(text: str, start: int = 0, end: int | None = None, *, is_json: bool = False) -> list[Match]:
    """Return the secrets of *text*, in order and not overlapping.

    Args:
        text: Any text; or the bytes of one as latin-1, with the same ASCII characters at the same places.
        start, end: Only secrets with their anchor in this stretch. Default: all of *text*.
        is_json: *text* is a JSON document as it stands, not a text out of one.
    """
    stop = len(text) if end is None else min(end, len(text))
    if has_escaped(text, start, stop):
        return _find_escaped(text, start, stop, is_json=is_json)
    return _find(text, start, stop, is_json=is_json)


def _find_escaped(text: str, start: int, stop: int, *, is_json: bool) -> list[Match]:
    """Search the stretch with its needless escapes undone: some encoders write what they like as one."""
    low = outside_escape(text, start - _CONTEXT, -1) if start > _CONTEXT else 0
    high = stop + _CONTEXT + MAX_SECRET
    high = outside_escape(text, high, 1) if high < len(text) else len(text)
    plain, original = plain_and_offsets(text[low:high])
    return [
        Match(low + original(begin), low + original(end), kind)
        for begin, end, kind in _find(plain, 0, len(plain), is_json=is_json)
        # What touches an edge may be a part of something else, and lies outside the stretch.
        if not (begin < _EDGE and low) and not (end == len(plain) and high < len(text))
    ]


def _find(text: str, start: int, stop: int, *, is_json: bool) -> list[Match]:
    found: list[Match] = []
    for anchor, rules in _ANCHORED:
        for hit in anchor.finditer(text, start, stop):
            match = _at(text, hit.start() + 1, rules, is_json=is_json)
            if match is not None:
                found.append(match)
    found.extend(_jwts(text, start, stop))
    if text.find("PRIVATE KEY", start, stop) >= 0:
        found.extend(_private_keys(text, start, stop))
    if text.find("@", start, stop) >= 0 and text.find(":", start, stop) >= 0:
        found.extend(_passwords(text, start, stop))
    found.extend(_labelled(text, start, stop))
    for hit in _NAME_END.finditer(text, start, stop):
        found.extend(_named(text, text.rfind('"', start, hit.start())))
    return merged(found) if found else found


def merged(found: list[Match]) -> list[Match]:
    """Return *found* in order, without overlaps: the wider one stays, of two alike the more telling kind."""
    found.sort(key=lambda each: (each.start, -each.end, each.kind == "credential"))
    kept: list[Match] = []
    for each in found:
        if not kept or each.start >= kept[-1].end:
            kept.append(each)
        elif each.end > kept[-1].end:
            kept[-1] = kept[-1]._replace(end=each.end)
    return kept


def _at(text: str, after_anchor: int, rules: tuple[Rule, ...], *, is_json: bool) -> Match | None:
    for kind, width, regex in rules:
        match = regex.match(text, after_anchor - width) if after_anchor >= width else None
        if match is None:
            continue
        begin = match.start()
        # A line break and "pm_…" is no "npm_…".
        if is_json and text[begin] in "nrtbfu" and _backslashes(text, begin) % 2:
            continue
        if _is_in_blob(text, begin):
            continue
        return Match(match.start(regex.groups), match.end(regex.groups), kind)
    return None


def _is_in_blob(text: str, begin: int) -> bool:
    before = text[max(0, begin - _BLOB) : begin]
    back = len(before) - len(before.rstrip(_BASE64))
    if not back:
        return False
    behind = text[begin : begin + _BLOB]
    return back + len(behind) - len(behind.lstrip(_BASE64)) >= _BLOB


def _backslashes(text: str, end: int) -> int:
    begin = end
    while begin and text[begin - 1] == "\\":
        begin -= 1
    return end - begin


def _places(text: str, sought: str, start: int, stop: int) -> Iterator[int]:
    place = text.find(sought, start, stop)
    while place >= 0:
        yield place
        place = text.find(sought, place + len(sought), stop)


def _jwts(text: str, start: int, stop: int) -> Iterator[Match]:
    for place in _places(text, ".eyJ", start, stop):
        tail = _JWT_TAIL.match(text, place)
        # The head is looked for backwards, in a window of its own: forwards, any "eyJ" of a base64 text
        # would do.
        low = max(0, place - 2100)
        window = text[low:place]
        begin = window.rstrip(_BASE64_URL)
        head = _JWT_HEAD.search(window, max(0, len(begin) - 6)) if tail else None
        if tail and head:
            yield Match(low + head.start(), tail.end(), "jwt")


def _private_keys(text: str, start: int, stop: int) -> Iterator[Match]:
    last_end = text.rfind("-----END ", start)
    for begin in _PEM_BEGIN.finditer(text, max(0, start - 100), stop):
        rest = _PEM_REST.match(text, begin.end())
        end = None
        if begin.end() <= last_end:
            end = PEM_END.search(text, begin.end(), begin.end() + MAX_SECRET)
        # Programs name the marks without a key between or behind them.
        if end is not None and end.start() - begin.end() > _SHORTEST_KEY:
            yield Match(begin.start(), end.end(), "private_key")
        elif end is None and rest is not None and rest.end() - begin.end() > _SHORTEST_KEY:
            yield Match(begin.start(), rest.end(), "private_key")


def _passwords(text: str, start: int, stop: int) -> Iterator[Match]:
    done = 0
    for place in _places(text, "@", start, stop):
        if place < done:
            continue
        low = max(0, place - _CONNECTION_REACH)
        window = text[low:place]
        slashes = max(window.rfind("://"), window.rfind(":\\/\\/"), window.rfind(":\\/\\\\/"))
        if slashes < 0:
            continue
        match = _CONNECTION.match(text, low + slashes)
        if match is None or not _SCHEME.search(text[max(0, match.start() - 31) : match.start()]):
            continue
        done = match.end()
        if match[1].lower() not in _EXAMPLE_PASSWORDS and not is_placeholder(match[1]):
            yield Match(match.start(1), match.end(1), "credential")


def _labelled(text: str, start: int, stop: int) -> Iterator[Match]:
    for word in ("uthoriz", "UTHORIZ"):
        for place in _places(text, word, start, stop):
            match = _AUTHORIZATION.match(text, place - 1) if place else None
            if match is not None and _is_token(match):
                yield Match(match.start(2), match.end(2), "credential")
            name = _AUTHORIZATION_NAME.match(text, place + len("uthor"))
            if name is not None:
                yield from _named(text, name.end(1) - 1)
    for place in _places(text, "essKey", start, stop):
        match = _AWS_SECRET.match(text, place - len("secretAcc")) if place >= len("secretAcc") else None
        if match is not None:
            yield Match(match.start(1), match.end(1), "aws_secret_key")


def _is_token(match: re.Match[str]) -> bool:
    # "Authorization: Bearer YOUR_API_KEY" stands in every manual.
    return match[1].lower() == "basic" or len(match[2]) >= 24 or any(map(str.isdigit, match[2]))


def _named(text: str, quote: int) -> Iterator[Match]:
    """The string behind the name whose closing quote is at *quote*, at whatever depth of JSON in JSON."""
    escape = _backslashes(text, quote)
    name_end = quote - escape
    opening = text.rfind('"', max(0, name_end - _LONGEST_NAME - 1), name_end)
    if opening < 0 or not is_secret_name(text[opening + 1 : name_end]):
        return
    begin = _VALUE_BEGIN.match(text, quote + 1)
    if begin is None or len(begin[1]) != escape:
        return
    start, end = begin.end(), string_end(text, begin.end(), escape)
    if end is None:
        return
    scheme = SCHEME_PREFIX.match(text, start, end)
    if scheme is not None:
        start = scheme.end()
    if not is_placeholder(text[start:end]):
        yield Match(start, end, "credential")


def string_end(text: str, start: int, escape: int) -> int | None:
    """Where the string from *start* on ends, its quotes escaped by *escape* backslashes; None: too far."""
    quote = start - 1
    while True:
        quote = text.find('"', quote + 1, start + MAX_SECRET)
        if quote < 0:
            # Cut off: what there is of it is secret all the same.
            return len(text) if len(text) - start < MAX_SECRET else None
        slashes = min(_backslashes(text, quote), quote - start)
        if slashes < escape:
            return quote - slashes
        if (slashes - escape) % (2 * (escape + 1)) == 0:
            return quote - escape
