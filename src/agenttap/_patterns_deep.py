"""More forms of secrets, to audit what is written: too many, or too loose, to look for on the way.

    by form         keys of SendGrid, Twilio, Mailgun, Shopify, Square, Stripe (tests, webhooks), Notion,
                    Databricks, Grafana, Telegram, Discord, ...; webhooks of Slack and Discord; Azure's
                    storage keys and signatures; Google's OAuth secrets; encrypted JWTs
    by neighbour    ``name = value`` where the name says it is a secret and the value looks random

The secret is the last group of a rule's regular expression, or all of it.
"""

from __future__ import annotations

import re
from collections import Counter
from math import log2
from typing import TYPE_CHECKING

from agenttap._patterns import TOKEN, Match, is_placeholder, merged

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_deep"]

_WORD = r"(?<![A-Za-z0-9_-])"

# (kind, characters one of which must be there, the form)
_FORMS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("sendgrid", ("SG.",), _WORD + r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}"),
    ("twilio", ("SK", "AC"), _WORD + r"(?:SK|AC)[0-9a-f]{32}(?![0-9A-Za-z])"),
    ("mailgun", ("key-",), _WORD + r"key-[0-9a-f]{32}(?![0-9A-Za-z])"),
    ("mailchimp", ("-us",), _WORD + r"[0-9a-f]{32}-us[0-9]{1,2}(?![0-9A-Za-z])"),
    ("shopify", ("shpat_", "shpca_", "shppa_", "shpss_"), _WORD + r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("square", ("sq0", "EAAA"), _WORD + r"(?:sq0(?:atp|csp)-[A-Za-z0-9_-]{22,48}|EAAA[A-Za-z0-9_-]{60})"),
    ("stripe", ("_test_", "whsec_"),
     _WORD + r"(?:[rs]k_test_[A-Za-z0-9]{16,256}|whsec_[A-Za-z0-9+/=]{24,128})"),
    ("digitalocean", ("do",), _WORD + r"do[opr]_v1_[0-9a-f]{64}"),
    ("linear", ("lin_",), _WORD + r"lin_(?:api|oauth)_[A-Za-z0-9]{32,64}"),
    ("notion", ("ntn_", "secret_"),
     _WORD + r"(?:ntn_[A-Za-z0-9]{40,64}|secret_[A-Za-z0-9]{43})(?![A-Za-z0-9])"),
    ("postman", ("PMAK-",), _WORD + r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    ("doppler", ("dp.",), _WORD + r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9_.-]{40,80}"),
    ("databricks", ("dapi",), _WORD + r"dapi[0-9a-f]{32}(?:-[0-9])?(?![0-9A-Za-z])"),
    ("grafana", ("glsa_", "glc_"),
     _WORD + r"(?:glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/=]{32,400})"),
    ("gitlab", ("gl",), _WORD + r"gl(?:ptt|dt|rt|rtr|cbt|ft|soat|agent|oas|imt|ffct)-[A-Za-z0-9_-]{20,64}"),
    ("vault", ("hvs.", "hvb.", "hvr."), _WORD + r"hv[sbr]\.[A-Za-z0-9_-]{24,300}"),
    ("age", ("AGE-SECRET-KEY-",), r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("replicate", ("r8_",), _WORD + r"r8_[A-Za-z0-9]{37}(?![A-Za-z0-9])"),
    ("perplexity", ("pplx-",), _WORD + r"pplx-[A-Za-z0-9]{32,64}"),
    ("langsmith", ("lsv2_", "ls__"),
     _WORD + r"(?:lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}|ls__[0-9a-f]{32})"),
    ("tavily", ("tvly-",), _WORD + r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{24,64}"),
    ("fireworks", ("fw_",), _WORD + r"fw_[A-Za-z0-9]{22,32}(?![A-Za-z0-9_])"),
    ("telegram", (":AA",), r"(?<![0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])"),
    ("discord", (".",),
     _WORD + r"[MNO][A-Za-z0-9]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}(?![A-Za-z0-9_-])"),
    ("slack_webhook", ("hooks.slack",),
     r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/([A-Za-z0-9_/+-]{20,120})"),
    ("discord_webhook", ("/api/webhooks/",),
     r"discord(?:app)?\.com/api/webhooks/([0-9]{16,20}/[A-Za-z0-9_-]{60,80})"),
    ("azure_storage", ("AccountKey=", "SharedAccessKey="),
     r"(?:Account|SharedAccess)Key=([A-Za-z0-9+/]{42,86}={0,2})"),
    ("azure_sas", ("sig=",), r"[?&;]sig=([A-Za-z0-9%+/=]{40,90})"),
    ("azure_client", ("Q~",), _WORD + r"[A-Za-z0-9_.~-]{3}[78]Q~[A-Za-z0-9_.~-]{31,34}(?![A-Za-z0-9_.~-])"),
    ("google_oauth", ("GOCSPX-", "ya29.", "1//0"),
     _WORD + r"(?:GOCSPX-[A-Za-z0-9_-]{28}|ya29\.[A-Za-z0-9_-]{20,300}|1//0[A-Za-z0-9_-]{40,120})"),
    ("jwe", ("eyJ",),
     _WORD + r"eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}"
     r"\.[A-Za-z0-9_-]{16,}"),
    ("openai_legacy", ("T3BlbkFJ",), r"[A-Za-z0-9_-]{16,128}T3BlbkFJ[A-Za-z0-9_-]{16,128}"),
)  # fmt: skip

_RULES = tuple((kind, sought, re.compile(form, re.ASCII)) for kind, sought, form in _FORMS)

_ASSIGNMENT = re.compile(
    r"(?:api_?key|apikey|secret|token|password|passwd|credential|private_?key|access_?key|auth)[A-Za-z0-9_-]{0,24}"
    r"[\"'\\]{0,4}[ \t]{0,4}(?::=|=>|[:=])[ \t]{0,4}[\"'\\`]{0,4}"
    r"([A-Za-z0-9+/_=.~-]{16,200})(?![A-Za-z0-9+/_=.~(-])",
    re.IGNORECASE | re.ASCII,
)
#: Bits a character: a random base64 text of 20 has some 3.9, an English word or a path less than 3.3.
_RANDOM_BITS = 3.5


def find_deep(text: str) -> list[Match]:
    """Return the secrets of *text* that these rules find, in order and not overlapping."""
    return merged([*_by_form(text), *_by_neighbour(text)])


def _by_form(text: str) -> Iterator[Match]:
    for kind, sought, regex in _RULES:
        if any(each in text for each in sought):
            for match in regex.finditer(text):
                start, end = match.span(regex.groups)
                if kind != "twilio" or _bits(text[start + 2 : end]) > _HEX_BITS:
                    yield Match(start, end, kind)


_HEX_BITS = 3.0


def _by_neighbour(text: str) -> Iterator[Match]:
    for match in _ASSIGNMENT.finditer(text):
        value = match[1]
        if is_placeholder(value) or TOKEN.fullmatch(value):
            continue
        has_digit, has_letter = any(map(str.isdigit, value)), any(map(str.isalpha, value))
        if has_digit and has_letter and _bits(value) >= _RANDOM_BITS:
            yield Match(match.start(1), match.end(1), "random")


def _bits(text: str) -> float:
    """Shannon's entropy of *text*, in bits a character."""
    length = len(text)
    return -sum(count / length * log2(count / length) for count in Counter(text).values())
