"""Text from a log made safe to print: what it says is shown, what it would do is not.

A log holds what models, tools and web pages wrote. Printed as it is, such text can
move the cursor, set the window title, write the clipboard, hide words or reorder
them. Nothing of that leaves this module:

    C0 controls, DEL        their pictures: ESC is ␛, NUL is ␀
    C1 controls             \\x9b
    bidi controls, other    \\u202e, \\u200b, \\U000e0041: format characters, line and
      invisible characters  paragraph separators, private use, unassigned, lone surrogates
    combining marks         four on one letter, then …
    ZWJ, variation          left out between emoji, where terminals do not agree on the
      selectors             width; kept between letters of scripts that need ZWJ

Widths are counted in terminal cells: East Asian wide characters and emoji take two.
"""

from __future__ import annotations

import re
from functools import lru_cache
from unicodedata import category, east_asian_width

__all__ = ["block", "fit", "line", "width", "wrap"]

_MAX_MARKS = 4  # combining marks kept on one letter; no script in use needs more
_TAB = "    "

_JOINERS = "\u200c\u200d"
_SELECTORS = "\ufe0e\ufe0f"
_SCRIPT = frozenset({"Lo", "Mn", "Mc"})  # letters without case: Arabic, Indic and other scripts that join
_PICTURE = frozenset({"So", "Sk"})

# Letters and symbols by category that print as nothing at all.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")

# Most text at the speed of C: characters that are what they seem and take one cell each
# (Latin, Greek, Cyrillic, punctuation, arrows, what our own views are drawn with).
_SIMPLE = re.compile(
    "[ -~\xa1-\xac\xae-\u02ff\u0391-\u03a1\u03a3-\u03ff\u0400-\u0482\u048a-\u052f"
    "\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u2264\u2265\u2500-\u25fc\u2713\u2717]*"
).fullmatch


def line(text: str) -> str:
    """Return *text* as one line with nothing in it a terminal would act on."""
    if _SIMPLE(text):
        return text
    return "".join(shown for shown, _ in _Cells(text))


def fit(text: str, cells: int) -> str:
    """Return *text* as one line of at most *cells* cells, ending in … when it was cut.

    The work done follows *cells*, not the length of *text*.
    """
    if len(text) <= cells and _SIMPLE(text):
        return text
    if cells > 0 and _SIMPLE(text[:cells]):
        return text[: cells - 1] + "…"
    kept: list[tuple[str, int]] = []
    used = 0
    for shown, size in _Cells(text):
        kept.append((shown, size))
        used += size
        if used > cells:
            break
    else:
        return "".join(shown for shown, _ in kept)
    while kept and used > cells - 1:
        used -= kept.pop()[1]
    return "".join(shown for shown, _ in kept) + "…" if cells > 0 else ""


def width(text: str) -> int:
    """Return how many cells *text* takes; *text* has been through `line` or `fit`."""
    if _SIMPLE(text):
        return len(text)
    return sum(0 if category(char) in ("Mn", "Me") else _cells_of(char) for char in text)


def block(text: str) -> list[str]:
    """Return the lines of *text*, each as `line` makes it, with its tabs as spaces."""
    lines = text.replace("\r\n", "\n").replace("\t", _TAB).split("\n")
    return [line(each) for each in lines]


def wrap(text: str, cells: int, most: int) -> list[str]:
    """Return *text* as at most *most* lines of *cells* cells, broken at spaces; the last ends in … if cut."""
    lines: list[str] = []
    words = line(text).split(" ")
    while words and len(lines) < most - 1:
        taken = [words.pop(0)]
        if width(taken[0]) > cells:
            return [*lines, fit(" ".join([*taken, *words]), cells)]
        while words and width(" ".join([*taken, words[0]])) <= cells:
            taken.append(words.pop(0))
        lines.append(" ".join(taken))
    return [*lines, fit(" ".join(words), cells)] if words else lines


class _Cells:
    """Iterates what is shown of a text as ``(characters, cells)``, one piece for each character or mark."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._marks = 0
        self._before = ""

    def __iter__(self):  # type: ignore[no-untyped-def]
        for place, char in enumerate(self._text):
            piece = self._piece(place, char)
            if piece is not None:
                yield piece
            self._before = char

    def _piece(self, place: int, char: str) -> tuple[str, int] | None:
        if char in _JOINERS or char in _SELECTORS:
            return self._joiner(place, char)
        if char not in _BLANK and category(char) in ("Mn", "Me"):
            return self._mark(char)
        self._marks = 0
        return _shown(char)

    def _mark(self, char: str) -> tuple[str, int] | None:
        self._marks += 1
        if not self._before:
            return "\u25cc" + char, 1  # nothing to sit on: a dotted circle, as Unicode shows it
        if self._marks <= _MAX_MARKS:
            return char, 0
        return ("…", 1) if self._marks == _MAX_MARKS + 1 else None

    def _joiner(self, place: int, char: str) -> tuple[str, int] | None:
        after = self._text[place + 1 : place + 2]
        before = self._before
        if char in _SELECTORS:
            # One after a visible character only chooses its looks; rows of them carry hidden data.
            is_plain = before != "" and before.isprintable() and before not in _SELECTORS
            return None if is_plain else (_escaped(char), 6)
        if before and after and category(before) in _SCRIPT and category(after) in _SCRIPT:
            return char, 0
        if before and after and after.isprintable() and _is_picture(before) and _is_picture(after):
            return None
        return _escaped(char), 6


def _is_picture(char: str) -> bool:
    return char in _SELECTORS or category(char) in _PICTURE or _is_future_emoji(char)


def _is_future_emoji(char: str) -> bool:
    # Emoji younger than this Python's tables; their blocks are reserved for them.
    return "\U0001f000" <= char <= "\U0001faff"


@lru_cache(maxsize=4096)
def _shown(char: str) -> tuple[str, int]:
    if char < " ":
        return chr(0x2400 + ord(char)), 1
    if char == "\x7f":
        return "␡", 1
    if char in _BLANK or not (char.isprintable() or category(char) == "Zs" or _is_future_emoji(char)):
        escaped = _escaped(char)
        return escaped, len(escaped)
    return char, _cells_of(char)


def _cells_of(char: str) -> int:
    if char in _JOINERS:
        return 0
    return 2 if east_asian_width(char) in "WF" or (_is_future_emoji(char) and category(char) == "Cn") else 1


def _escaped(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
