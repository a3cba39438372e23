"""Command lines read into commands: one grammar for the prompt, for `-x` and for programs.

line     := command (";" command)*      a ";" inside of quotes or a pattern is none
command  := word rest                   see `TOPICS`; every move but goto and find takes a leading
                                        "-" or "r" for its reverse
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Literal

from agent_debug_replay._commands import (
    CATCHES,
    AddBreak,
    AddCatch,
    AddWatch,
    AtPlace,
    Command,
    CompareSteps,
    EnterRun,
    Export,
    Find,
    Go,
    GoMark,
    KeepIn,
    Look,
    Play,
    Print,
    SetMark,
    SetNote,
    SetStop,
    Show,
    Tabulate,
    Target,
    Until,
    Walk,
)
from agent_debug_replay._expr import Expression
from agent_debug_replay._topics import TOPICS
from agent_debug_replay.errors import CommandLineError, ExpressionError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["parse_commands", "parse_place", "written_command"]


_NAMES = {name: topic for topic in TOPICS for name in topic.names}
_REVERSES = {"next", "step", "continue", "until", "turn", "peer", "error", "finish"}
_PLACE = re.compile(r"start|end|[\w-]+:\d+")  # what begins like a command and is a place alone
_WORD = re.compile(r"[A-Za-z]+|[/?'`-]|\S")
_TYPES = {
    "tool": "tool_call",
    "llm": "llm_call",
    "model": "llm_call",
    "agent": "agent_call",
    "event": "event",
    "tool_call": "tool_call",
    "llm_call": "llm_call",
    "agent_call": "agent_call",
}
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LIMIT = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|k|M|G)?")
_SCALES = {None: 1.0, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3, "k": 1e3, "M": 1e6, "G": 1e9}
_MOST_COMMANDS = 1_000


def parse_commands(text: str) -> list[Command]:
    """Return the commands of *text*.

    Raises:
        CommandLineError, ExpressionError: One cannot be understood; the column is that in *text*.
    """
    commands: list[Command] = []
    for start, part in _parts(text):
        if not part.strip():
            continue
        if len(commands) >= _MOST_COMMANDS:
            raise CommandLineError(text, start, f"A line has at most {_MOST_COMMANDS:,} commands")
        commands.append(_Line(text, start, part).command())
    return commands


def _parts(text: str) -> list[tuple[int, str]]:
    """Cut at each ``;`` outside of quotes; what is searched for, or noted, goes to the end of its part."""
    parts: list[tuple[int, str]] = []
    start = place = 0
    quote = ""
    while place < len(text):
        char = text[place]
        before = text[start:place].strip()
        is_search = not quote and (before[:1] in ("/", "?", "'") or before.split(None, 1)[:1] == ["note"])
        if quote:
            if char == "\\":
                place += 1
            elif char == quote:
                quote = ""
        elif char in "\"'" and not is_search and before:
            quote = char
        elif char in ";\n":
            parts.append((start, text[start:place]))
            start = place + 1
        place += 1
    parts.append((start, text[start:]))
    return parts


def parse_place(text: str) -> AtPlace:
    """Return the place *text* names: ``tool``, ``tool:bash``, ``llm:*haiku*``.

    Raises:
        CommandLineError: There is no such type.
    """
    kind, colon, name = text.partition(":")
    if kind not in _TYPES and kind not in ("", "*"):
        near = difflib.get_close_matches(kind, _TYPES, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise CommandLineError(text, 0, f"A place is tool, llm, agent or event, or tool:NAME{hint}")
    return AtPlace(_TYPES.get(kind), name if colon and name else None)


class _Line:
    """One command of a line."""

    def __init__(self, text: str, start: int, part: str) -> None:
        self._text = text
        blank = len(part) - len(part.lstrip())
        self._start = start + blank
        self._part = part.strip()

    def command(self) -> Command:
        match = _WORD.match(self._part)
        assert match is not None  # the part is not blank
        word, self._rest_at = match[0], match.end()
        self._rest = self._part[match.end() :].strip()
        self._rest_at += len(self._part[match.end() :]) - len(self._part[match.end() :].lstrip())
        if word in ("/", "?"):
            return Find(self._part[1:].strip() or None, is_reverse=word == "?")
        if word in ("'", "`"):
            return GoMark(self._needed("a mark"))
        if word.isdigit() or word == "@":
            self._rest, self._rest_at = self._part, 0
            return Go(self._target())
        if word == "-":
            return self._reversed(self._rest)
        topic = _NAMES.get(word)
        if topic is None and word[0] == "r" and _reversible(word[1:]) is not None:
            return self._do(_NAMES[word[1:]].names[0], is_reverse=True)
        if topic is None and _PLACE.fullmatch(self._part.strip()):
            self._rest, self._rest_at = self._part.strip(), 0
            return Go(self._target())
        if topic is None:
            raise self._unknown(word)
        return self._do(topic.names[0], is_reverse=False)

    def _reversed(self, rest: str) -> Command:
        match = _WORD.match(rest)
        word = match[0] if match is not None else ""
        name = _reversible(word)
        if name is None:
            raise self._wrong("'-' stands before a move: -n, -c, -until error", 0)
        self._rest_at += len(word)
        tail = rest[len(word) :]
        self._rest_at += len(tail) - len(tail.lstrip())
        self._rest = tail.strip()
        return self._do(name, is_reverse=True)

    def _do(self, name: str, *, is_reverse: bool) -> Command:
        handler = _HANDLERS.get(name)
        if handler is not None:
            return handler(self, name, is_reverse)
        raise self._unknown(name)

    # -- moves --------------------------------------------------------------------

    def go_in(self, name: str, is_reverse: bool) -> Command:
        if not self._rest:
            return self.walk(name, is_reverse)
        if not re.fullmatch(r"[1-9]\d{0,8}", self._rest):
            raise self._wrong("in takes the number of a run that this step started: 1, 2, ...")
        return EnterRun(int(self._rest))

    def walk(self, name: str, is_reverse: bool) -> Command:
        move = {"up": "out"}.get(name, name)
        takes_count = name not in ("in", "finish", "continue")
        count = self._count() if takes_count else 1
        if not takes_count:
            self._nothing()
        if count < 0:
            count, is_reverse = -count, not is_reverse
        return Walk(move, count, is_reverse)  # type: ignore[arg-type]  # the names are those of the moves

    def until(self, _name: str, is_reverse: bool) -> Command:
        return Until(self._expression(), is_reverse)

    def goto(self, _name: str, _is_reverse: bool) -> Command:
        return Go(self._target())

    def mark(self, _name: str, _is_reverse: bool) -> Command:
        name = self._needed("a name")
        if not re.fullmatch(r"[\w.-]{1,40}", name):
            raise self._wrong("A mark is letters, digits, '_', '-' and '.'")
        return SetMark(name)

    def play(self, _name: str, _is_reverse: bool) -> Command:
        match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})x?", self._rest or "1")
        if match is None or not float(match[1]):
            raise self._wrong("play takes how many times as fast: play 4, play 0.5")
        return Play(float(match[1]))

    # -- what is kept -------------------------------------------------------------

    def note(self, _name: str, _is_reverse: bool) -> Command:
        text = self._needed("a text")
        return SetNote(None if text == "-" else text)

    def keep_in(self, name: str, _is_reverse: bool) -> Command:
        path, rest = self._file()
        if rest:
            raise self._wrong('One file is expected here; one with spaces in its name in quotes: "my notes"')
        return KeepIn(name, path)  # type: ignore[arg-type]  # save or load

    def export(self, _name: str, _is_reverse: bool) -> Command:
        path, at = self._file()
        rest = self._rest[at:].strip() if at else ""
        begin = len(self._rest) - len(rest)
        match = re.search(r"(?:^|\s)if\s", rest)
        condition = self._expression(begin + match.end()) if match is not None else None
        span = rest[: match.start()].strip() if match is not None else rest
        first, dots, last = span.partition("..")
        if span and (not dots or len(first.split()) > 1 or len(last.split()) > 1):
            raise self._wrong(
                "Write which steps: 120..180, start..12, a..b of two marks, if error", self._rest_at + begin
            )
        return Export(path, self._end(first.strip(), begin), self._end(last.strip(), begin), condition)

    def _end(self, text: str, at: int) -> Target | None:
        if not text:
            return None
        rest, rest_at = self._rest, self._rest_at
        self._rest, self._rest_at = text, rest_at + at
        try:
            return self._target()
        finally:
            self._rest, self._rest_at = rest, rest_at

    def _file(self) -> tuple[str, int]:
        """Return the name of a file, and where what follows it begins; 0 when nothing does."""
        text = self._needed("the name of a file")
        if text[0] in "\"'":
            end = text.find(text[0], 1)
            if end < 2:
                raise self._wrong("The name of a file begins with a quote and has no other at its end")
            name, end = text[1:end], end + 1
        else:
            name = text.split(None, 1)[0]
            end = len(name)
        if "\0" in name:
            raise self._wrong("The name of a file has no such character")
        return name, end if text[end:].strip() else 0

    # -- stops --------------------------------------------------------------------

    def break_(self, name: str, _is_reverse: bool) -> Command:
        where, at, condition = self._rest, 0, None
        match = re.search(r"(?:^|\s)if\s", self._rest)
        if match is not None:
            where = self._rest[: match.start()].strip()
            condition = self._expression(match.end())
        place, step = None, None
        if where.startswith("at ") or where == "at":
            at = len(where) - len(where[2:].strip())
            place = self._place(where[2:].strip(), at)
        elif re.fullmatch(r"(?:[\w-]+:)?\d+", where):
            step = self._step(where)
        elif where and condition is None:
            condition = self._expression()
        elif where:
            place = self._place(where, 0)
        if place is None and step is None and condition is None:
            raise self._wrong("Write where: break at tool:bash, break 12, break if error")
        return AddBreak(place, condition, name == "tbreak", step)

    def _place(self, text: str, at: int) -> AtPlace:
        try:
            return parse_place(text)
        except CommandLineError as error:
            raise self._wrong(error.why, self._rest_at + at) from None

    def watch(self, _name: str, _is_reverse: bool) -> Command:
        return AddWatch(self._expression())

    def catch(self, _name: str, _is_reverse: bool) -> Command:
        kind, _, limit = self._needed(f"what: {', '.join(CATCHES)}").partition(" ")
        if kind not in CATCHES:
            near = difflib.get_close_matches(kind, CATCHES, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise self._wrong(f"There is nothing {kind!r} to catch: {', '.join(CATCHES)}{hint}")
        limit = limit.strip()
        of: Literal["tokens", "cost"] = "tokens"
        if kind == "budget":
            for sign in ("cost", "$"):
                if limit.startswith(sign):
                    of, limit = "cost", limit[len(sign) :].strip()
            if limit.startswith("tokens"):
                limit = limit[6:].strip()
        if not limit:
            return AddCatch(kind, None, of)
        match = _LIMIT.fullmatch(limit)
        if match is None or kind not in ("loop", "gap", "budget"):
            raise self._wrong(f"catch {kind} takes no {limit!r}; a limit is a number such as 3, 30s or 100k")
        return AddCatch(kind, float(match[1]) * _SCALES[match[2]], of)

    def set_stop(self, name: str, _is_reverse: bool) -> Command:
        words = self._rest.split()
        if name in ("enable", "disable", "delete"):
            return SetStop(name, tuple(map(self._number, words)))  # type: ignore[arg-type]
        if not words:
            raise self._wrong("Write the number of a stop")
        number = self._number(words[0])
        if name == "ignore":
            if len(words) != 2:
                raise self._wrong("Write the number of a stop, and how many hits: ignore 1 3")
            return SetStop("ignore", (number,), self._number(words[1]))
        rest = self._rest[len(words[0]) :].strip()
        condition = self._expression(len(self._rest) - len(rest)) if rest else None
        return SetStop("condition", (number,), condition=condition)

    # -- looking ------------------------------------------------------------------

    def print(self, name: str, _is_reverse: bool) -> Command:
        return Print(self._expression(), is_whole=name == "pp")

    def display(self, _name: str, _is_reverse: bool) -> Command:
        return Print(self._expression(), is_kept=True) if self._rest else Show("displays")

    def log(self, _name: str, _is_reverse: bool) -> Command:
        # An expression never holds the word "if".
        match = re.search(r"(?:^|\s)if\s", _blanked(self._rest))
        condition = self._expression(match.end()) if match is not None else None
        columns = self._rest[: match.start()] if match is not None else self._rest
        expressions: list[Expression] = []
        at = 0
        for piece in _at_commas(columns):
            expressions.append(self._expression(at, at + len(piece)))
            at += len(piece) + 1
        return Tabulate(tuple(expressions), condition)

    def list(self, _name: str, _is_reverse: bool) -> Command:
        return Look("list", self._count(10))

    def where(self, _name: str, _is_reverse: bool) -> Command:
        self._nothing()
        return Look("where")

    def ctx(self, _name: str, _is_reverse: bool) -> Command:
        words = self._rest.split()
        if not set(words) <= {"-d", "--full"}:
            raise self._wrong("ctx takes -d and --full")
        return Look("context", is_difference="-d" in words, is_whole="--full" in words)

    def wire(self, _name: str, _is_reverse: bool) -> Command:
        parts: dict[str, Literal["request", "response", "events"]] = {
            "": "request",
            "req": "request",
            "request": "request",
            "resp": "response",
            "response": "response",
            "sse": "events",
            "events": "events",
        }
        words = self._rest.split()
        part = " ".join(word for word in words if word != "--full")
        if part not in parts:
            raise self._wrong("wire takes req, resp or sse, and --full")
        return Look("wire", part=parts[part], is_whole="--full" in words)

    def diff(self, _name: str, _is_reverse: bool) -> Command:
        return CompareSteps(None if self._rest in ("", "-p") else self._target())

    def look(self, name: str, _is_reverse: bool) -> Command:
        self._nothing()
        return Look(name)  # type: ignore[arg-type]  # files, state

    def show(self, name: str, _is_reverse: bool) -> Command:
        if name == "info":
            if self._rest not in ("", "b", "break", "stops"):
                raise self._wrong("info lists the stops; `help` lists the commands")
            return Show("stops")
        if name == "help":
            return Show("help", self._rest)
        self._nothing()
        if name == "cmd":
            return Show("command")
        return Show(name)  # type: ignore[arg-type]  # marks, notes, undisplay, quit

    # -- pieces -------------------------------------------------------------------

    def _wrong(self, why: str, at: int | None = None) -> CommandLineError:
        return CommandLineError(self._text, self._start + (self._rest_at if at is None else at), why)

    def _unknown(self, word: str) -> CommandLineError:
        near = difflib.get_close_matches(word, _NAMES, 2)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; `help` lists the commands"
        return self._wrong(f"There is no command {word!r}{hint}", 0)

    def _nothing(self) -> None:
        if self._rest:
            raise self._wrong(f"{self._rest!r} is not expected here")

    def _needed(self, what: str) -> str:
        if not self._rest:
            raise self._wrong(f"Write {what}")
        return self._rest

    def _count(self, default: int = 1) -> int:
        if not self._rest:
            return default
        if not re.fullmatch(r"[+-]?\d{1,9}", self._rest):
            raise self._wrong("A number is expected here")
        return int(self._rest)

    def _number(self, word: str) -> int:
        if not re.fullmatch(r"\d{1,9}", word):
            raise self._wrong(f"{word!r} is no number")
        return int(word)

    def _expression(self, start: int = 0, end: int | None = None) -> Expression:
        text = self._rest[start:end]
        try:
            return Expression(text)
        except ExpressionError as error:
            column = self._start + self._rest_at + start + error.column
            raise ExpressionError(self._text, min(column, len(self._text)), error.why) from None

    def _step(self, text: str) -> Target:
        writer, colon, number = text.rpartition(":")
        return Target("step", int(number[:18]), writer if colon else None)

    def _target(self) -> Target:
        text = self._needed("where to: a step, 50%, @30s, an id, start or end")
        if text in ("start", "end"):
            return Target("start" if text == "start" else "end")
        if re.fullmatch(r"(?:[\w-]+:)?\d+", text):
            return self._step(text)
        if match := re.fullmatch(r"(\d+(?:\.\d+)?)%", text):
            return Target("percent", float(match[1]))
        if text.startswith("@"):
            return self._time(text[1:].strip())
        return Target("id", text)

    def _time(self, text: str) -> Target:
        if match := re.fullmatch(r"\+?(\d+(?:\.\d+)?)(ms|s|m|h|d)?", text):
            value = float(match[1])
            if match[2] is None and value > 1e8:
                return Target("clock", value)
            return Target("time", value * _UNITS[match[2] or "s"])
        if match := re.fullmatch(r"(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", text):
            hours, minutes, seconds = float(match[1] or 0), float(match[2]), float(match[3])
            return Target("time", hours * 3600 + minutes * 60 + seconds)
        from datetime import datetime

        try:
            return Target("clock", datetime.fromisoformat(text).astimezone().timestamp())
        except (ValueError, OverflowError, OSError):
            raise self._wrong("A time is @90s, @2m, @1:30 after the beginning, or a date and time") from None


_HANDLERS: dict[str, Callable[[_Line, str, bool], Command]] = {
    **dict.fromkeys(
        ("next", "step", "up", "finish", "continue", "turn", "peer", "error", "back", "forward"),
        _Line.walk,
    ),
    "in": _Line.go_in,
    "until": _Line.until,
    "goto": _Line.goto,
    "mark": _Line.mark,
    "play": _Line.play,
    "note": _Line.note,
    **dict.fromkeys(("save", "load"), _Line.keep_in),
    "export": _Line.export,
    "break": _Line.break_,
    "tbreak": _Line.break_,
    "watch": _Line.watch,
    "catch": _Line.catch,
    **dict.fromkeys(("ignore", "condition", "enable", "disable", "delete"), _Line.set_stop),
    "print": _Line.print,
    "pp": _Line.print,
    "display": _Line.display,
    "log": _Line.log,
    "list": _Line.list,
    "where": _Line.where,
    "ctx": _Line.ctx,
    "wire": _Line.wire,
    "diff": _Line.diff,
    **dict.fromkeys(("files", "state"), _Line.look),
    **dict.fromkeys(("info", "help", "marks", "notes", "undisplay", "cmd", "quit"), _Line.show),
}


def _reversible(word: str) -> str | None:
    """Return the full name of a move that has a reverse; None if *word* is none."""
    topic = _NAMES.get(word)
    return topic.names[0] if topic is not None and topic.names[0] in _REVERSES else None


def _blanked(text: str) -> str:
    """Return *text* with what stands in quotes blanked out, of the same length."""
    return re.sub(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", lambda match: "_" * len(match[0]), text)


def _at_commas(text: str) -> list[str]:
    """Cut at commas outside of quotes and parentheses."""
    pieces: list[str] = []
    depth = start = 0
    for place, char in enumerate(_blanked(text)):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            pieces.append(text[start:place])
            start = place + 1
    pieces.append(text[start:])
    return pieces


def written_command(stop: AddBreak | AddWatch | AddCatch) -> str:
    """Return the line that makes *stop* again."""
    if isinstance(stop, AddWatch):
        return f"watch {stop.expression.text}"
    if isinstance(stop, AddCatch):
        limit = "" if stop.limit is None else f" {'cost ' if stop.of == 'cost' else ''}{stop.limit:g}"
        return f"catch {stop.kind}{limit}{'ms' if stop.kind == 'gap' and limit else ''}"
    words = ["tbreak" if stop.is_temporary else "break"]
    if stop.step is not None:
        writer = f"{stop.step.writer}:" if stop.step.writer is not None else ""
        words.append(f"{writer}{int(stop.step.value)}")
    if stop.place is not None:
        kind = {"tool_call": "tool", "llm_call": "llm", "agent_call": "agent"}.get(
            stop.place.type or "", stop.place.type or "*"
        )
        words.append(f"at {kind}" + (f":{stop.place.name}" if stop.place.name is not None else ""))
    if stop.condition is not None:
        words.append(f"if {stop.condition.text}")
    return " ".join(words)
