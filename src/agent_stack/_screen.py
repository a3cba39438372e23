"""The terminal: how wide it is, whether it takes colours, which characters it can show.

Renderers give `Line`s; a `Screen` writes them. Colours need a terminal (or
``--color always``), and only then is rich imported. An output that cannot show
every character gets ASCII in the place of ours and escapes in the place of others'.
"""

from __future__ import annotations

import os
import shutil
import sys
from itertools import islice
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import Console

    from agent_stack._render.lines import Line

__all__ = ["PIPE_WIDTH", "STYLES", "Screen", "print_lines", "rich_console"]

#: Cells to fill when the output is no terminal and COLUMNS is not set.
PIPE_WIDTH = 120

_BATCH = 200  # lines handed to rich at once: a call for each would cost more than their colours

#: The styles a renderer may name, in the words of rich. The sixteen colours of the
#: terminal itself, so that they fit its theme, light or dark.
STYLES = {
    "bold": "bold",
    "dim": "dim",
    "head": "bold",
    "ok": "green",
    "error": "red",
    "error_bold": "bold red",
    "warn": "yellow",
    "warn_bold": "bold yellow",
    "note": "cyan",
    "llm": "magenta",
    "tool": "cyan",
    "agent": "bold blue",
    "event": "dim",
    "number": "dim",
    "guide": "dim",
    "command": "bold green",
    "title": "bold cyan",
    "chapter": "bold reverse cyan",
}

_ASCII: dict[int, str] = {
    **{0x2400 + code: f"\\x{code:02x}" for code in range(0x20)},
    **{
        ord(char): plain
        for char, plain in (
            *zip("│├└─┄‖", "||`-.!", strict=True),
            *zip("◆●▾◌◇·✓✗▲▶○↳", "*o+~?.+x!>o>", strict=True),
            *(("…", "..."), ("→", "->"), ("←", "<-"), ("≥", ">="), ("≤", "<="), ("␡", "\\x7f")),
            # Eighths of a block, of bars, trends and scrollbars: by how much they fill.
            *zip("▁▂▃▄▅▆▇█", "_.-=+*%#", strict=True),
            *zip("▏▎▍▌▋▊▉░▒▓▔▕", "|::=++#.:%~|", strict=True),
            *(("«", "<<"), ("»", ">>"), ("■", "#"), ("▪", "#"), ("▞", "#"), ("━", "=")),
            *(("↑", "^"), ("↓", "v"), ("↔", "<>"), ("↻", "@"), ("≠", "!="), ("✂", "%"), ("✎", "&")),
            *(("“", '"'), ("”", '"'), ("×", "x")),  # noqa: RUF001
        )
    },
}


class Screen:
    """Where the output of one command goes.

    Args:
        color: "auto" (a terminal, and NO_COLOR not set), "always" or "never".
        stream: Default: stdout.

    Attributes:
        width: Cells in a line, from COLUMNS or the terminal; `PIPE_WIDTH` when there is neither.
    """

    def __init__(self, color: str = "auto", stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self.is_terminal = self._stream.isatty()
        self.width = (
            max(40, shutil.get_terminal_size((PIPE_WIDTH, 24)).columns) if self._is_sized() else PIPE_WIDTH
        )
        self.has_color = color == "always" or (color == "auto" and self.is_terminal and _takes_color())
        self._is_unicode = _is_unicode(self._stream)
        self._console: Console | None = None

    def print(self, lines: Iterable[Line]) -> None:
        """Write *lines*, each with its newline."""
        if self.has_color:
            print_lines(self._rich(), lines, self._shown)
            return
        for line in lines:
            text = "".join(text for text, _ in line.pieces)
            self._stream.write(self._shown(text.rstrip()) + "\n")

    def write(self, text: str) -> None:
        """Write one line of text as it is: JSON, or a script."""
        self._stream.write(text + "\n")

    def flush(self) -> None:
        """Hand everything to whoever reads it."""
        self._stream.flush()

    def _rich(self) -> Console:
        if self._console is None:
            self._console = rich_console(self._stream, self.width)
        return self._console

    def _shown(self, text: str) -> str:
        if self._is_unicode or text.isascii():
            return text
        return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()

    def _is_sized(self) -> bool:
        return self.is_terminal or os.environ.get("COLUMNS", "").isdigit()


def rich_console(stream: TextIO, width: int, *, record: bool = False) -> Console:
    """Return a console that knows `STYLES` and colours whatever it is given."""
    from rich.console import Console
    from rich.theme import Theme

    return Console(
        file=stream,
        width=width,
        theme=Theme(STYLES),
        force_terminal=True,
        # NO_COLOR was asked about before; `--color always` outranks it.
        no_color=False,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        record=record,
    )


def print_lines(console: Console, lines: Iterable[Line], shown: Callable[[str], str] = str) -> None:
    """Print *lines* to a console of rich, which is left to wrap and to crop nothing."""
    from rich.segment import Segment, Segments

    waiting = iter(lines)
    while batch := list(islice(waiting, _BATCH)):
        pieces: list[Segment] = []
        for line in batch:
            pieces += [
                Segment(shown(text), console.get_style(style or "none")) for text, style in line.pieces
            ]
            pieces.append(Segment.line())
        console.print(Segments(pieces), end="", crop=False, soft_wrap=True)


def _takes_color() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _is_unicode(stream: TextIO) -> bool:
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("_", "-")
    return encoding.startswith(("utf-", "utf8"))
