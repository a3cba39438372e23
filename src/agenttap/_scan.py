"""Looking for secrets in what has been written already: step logs and tapes.

    scan = Scan(path)
    for finding in scan: ...
    scan.files, scan.lines, scan.unread

Each line is JSON; its strings are searched as texts, those that hold JSON themselves (a request's body
on a tape, the arguments of a tool call) part by part, and the pieces of a streamed text also joined. What
is no JSON is searched as it stands. A file that ends inside a line or a zstd frame is whole as far as it
goes: its writer was stopped there, or is still at work. A finding tells where a secret is and of what
kind, never the secret.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agent_step_log.errors import LogSourceError
from agenttap._patterns import SCHEME_PREFIX, Match, find, is_placeholder, is_secret_name, merged
from agenttap._patterns_deep import find_deep
from agenttap._scan_lines import lines_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["Finding", "Scan", "Unread", "scan"]

_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".tape.zst")
#: JSON in JSON is taken apart so many times over.
_MAX_INSIDE = 3
_MAX_DEPTH = 200
_UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
#: What everybody may know of a secret: the form it has.
_PUBLIC = re.compile(
    r"sk-(?:ant|or|proj|svcacct|admin)-|sk-|A[KS]IA|AIza|gh[pousr]_|github_pat_|glpat-|xox[a-z]-|xapp-|hf_|gsk_"
    r"|npm_|pypi-|[rs]k_(?:live|test)_|xai-|eyJ|-----BEGIN [A-Z ]{0,40}-----|SG\.|whsec_|shp[a-z]{2}_"
)
_decode = msgspec.json.Decoder().decode


class Finding(NamedTuple):
    """One secret that stands where it should not.

    Attributes:
        path: The file.
        line: Of the file, decompressed; from 1.
        where: The place in the line's JSON, as in ``$.input.messages[0].content``; " > " leads into JSON in a
            string, " + " means pieces joined. Empty where the line is no JSON.
        kind: See `agenttap._patterns`.
        preview: What gives nothing away: the form's public beginning, and how long the secret is.
    """

    path: str
    line: int
    where: str
    kind: str
    preview: str


class Unread(NamedTuple):
    """What could not be read: from *line* on (0: the whole file), and why."""

    path: str
    line: int
    reason: str


def scan(path: str | os.PathLike[str], *, deep: bool = False) -> Iterator[Finding]:
    """Yield the secrets of the log, the tape or the directory at *path*; see `Scan`."""
    return iter(Scan(path, deep=deep))


class Scan:
    """The search through *path*; iterate over it once.

    Args:
        path: A file, or a directory and all below it: ``.jsonl``, also ``.gz`` and ``.zst`` of it, and
            ``.tape.zst``. A file named outright may be called anything.
        deep: With more patterns, some of them guesses (see `agenttap._patterns_deep`); several times slower.

    Raises:
        LogSourceError: There is nothing at *path*.

    Attributes:
        files, lines: How many were read so far.
        found: Findings so far.
        unread: What could not be read; a missing end is none of it.
    """

    def __init__(self, path: str | os.PathLike[str], *, deep: bool = False) -> None:
        self.files = self.lines = self.found = 0
        self.unread: list[Unread] = []
        self._deep = deep
        self._paths = _files(Path(path))
        self._not_json: list[int] = []

    def __iter__(self) -> Iterator[Finding]:
        for path in self._paths:
            for finding in self._file(path):
                self.found += 1
                yield finding

    def _file(self, path: Path) -> Iterator[Finding]:
        name, number = str(path), 0
        self._not_json = []

        def damaged(reason: str) -> None:
            self.unread.append(Unread(name, number + 1, reason))

        try:
            previous: bytes | None = None
            for line in lines_of(path, damaged):
                if previous is not None:
                    number += 1
                    yield from self._line(name, number, previous)
                previous = line
            if previous is not None:
                number += 1
                is_clean = not self._not_json
                yield from self._line(name, number, previous)
                if is_clean:
                    # Its writer was stopped there.
                    self._not_json.clear()
        except OSError as error:
            self.unread.append(Unread(name, number, str(error.strerror or error)))
            return
        self.files += 1
        if self._not_json:
            count = len(self._not_json)
            reason = f"{count} {'line is' if count == 1 else 'lines are'} not JSON, and searched as text"
            self.unread.append(Unread(name, self._not_json[0], reason))

    def _line(self, name: str, number: int, line: bytes) -> Iterator[Finding]:
        if not line.strip():
            return
        self.lines += 1
        text = line.decode("utf-8", "replace")
        # Most lines hold nothing, and that is seen without taking them apart.
        is_suspect = bool(find(text, is_json=True)) or self._deep or "data:" in text
        if not is_suspect:
            if not _is_object(line):
                self._not_json.append(number)
            return
        try:
            value = _decode(line)
        except _UNDECODABLE:
            self._not_json.append(number)
            for match in self._matches(text):
                yield Finding(name, number, "", match.kind, _preview(text[match.start : match.end]))
            return
        for where, kind, secret in self._value(value, "$", None, _MAX_INSIDE, _MAX_DEPTH):
            yield Finding(name, number, where, kind, _preview(secret))

    def _matches(self, text: str) -> list[Match]:
        found = find(text)
        return merged([*found, *find_deep(text)]) if self._deep else found

    def _value(
        self, value: Any, where: str, name: str | None, inside: int, depth: int
    ) -> Iterator[tuple[str, str, str]]:
        if isinstance(value, str):
            yield from self._string(value, where, name, inside)
        elif isinstance(value, dict) and depth:
            for key, item in value.items():
                matches = self._matches(key)
                place = f"{where}[{'secret' if matches else _shown(key)}]"
                if _PLAIN_NAME.fullmatch(key) and not matches:
                    place = f"{where}.{key}"
                for match in matches:
                    yield f"{where} (a name)", match.kind, key[match.start : match.end]
                yield from self._value(item, place, key, inside, depth - 1)
        elif isinstance(value, list) and depth:
            for index, item in enumerate(value):
                yield from self._value(item, f"{where}[{index}]", None, inside, depth - 1)

    def _string(self, text: str, where: str, name: str | None, inside: int) -> Iterator[tuple[str, str, str]]:
        if inside and text.lstrip()[:1] in ("{", "["):
            try:
                value = _decode(text)
            except (*_UNDECODABLE, UnicodeEncodeError):
                value = None
            if isinstance(value, dict | list):
                yield from self._value(value, f"{where} > $", None, inside - 1, _MAX_DEPTH)
                return
        matches = self._matches(text)
        if name is not None and is_secret_name(name):
            scheme = SCHEME_PREFIX.match(text)
            start = scheme.end() if scheme else 0
            if not is_placeholder(text[start:]):
                matches = merged([*matches, Match(start, len(text), "credential")])
        secrets = {text[match.start : match.end]: match.kind for match in matches}
        for secret, kind in secrets.items():
            yield where, kind, secret
        if "data:" in text or "}\n{" in text:
            for place, joined in _joined(text):
                for match in self._matches(joined):
                    secret = joined[match.start : match.end]
                    if secret not in text:
                        yield f"{where} + {place}", match.kind, secret


def _joined(text: str) -> Iterator[tuple[str, str]]:
    """Yield the texts that come in pieces in *text*, a stream's events: what has the same place in each."""
    pieces: dict[tuple[str, object], list[str]] = {}
    for line in text.splitlines():
        try:
            value = _decode(line.removeprefix("data:"))
        except (*_UNDECODABLE, UnicodeEncodeError):
            continue
        index = value.get("index", value.get("output_index")) if isinstance(value, dict) else None
        for place, string in _leaves(value, "$", 12):
            pieces.setdefault((place, str(index)), []).append(string)
    for (place, _), strings in pieces.items():
        if len(strings) > 1:
            yield place, "".join(strings)


def _leaves(value: Any, where: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict) and depth:
        for key, item in value.items():
            yield from _leaves(item, f"{where}.{_shown(key)}", depth - 1)
    elif isinstance(value, list) and depth:
        for index, item in enumerate(value):
            yield from _leaves(item, f"{where}[{index}]", depth - 1)


def _shown(key: str) -> str:
    return key if _PLAIN_NAME.fullmatch(key) and not find(key) else "…"


def _preview(secret: str) -> str:
    public = _PUBLIC.match(secret)
    return f"{public[0] if public else ''}… ({len(secret)} characters)"


def _is_object(line: bytes) -> bool:
    # A glance: a line that is damaged in its middle is searched all the same.
    line = line.strip()
    return line[:1] == b"{" and line[-1:] == b"}"


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [each for each in sorted(path.rglob("*")) if each.name.endswith(_SUFFIXES) and each.is_file()]
    if not path.exists():
        raise LogSourceError(path, "no such file or directory")
    return [path]
