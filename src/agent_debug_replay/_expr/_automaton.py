"""A regular expression as a machine that reads a text once, whatever the pattern.

The pattern becomes a nondeterministic automaton (Thompson 1968). Its sets of states are
made into states of a deterministic one as the text needs them, and kept: a character
costs one look into a dict. What is kept is bounded; past the bound it is made anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

__all__ = ["Automaton", "PatternError", "parse_pattern"]

_MOST_REPEATS = 1_000  # of a {n,m}
_MOST_STATES = 20_000  # a pattern like (a{1000}){1000} would make a million
_MOST_KEPT = 2_000  # deterministic states
_DEEPEST = 50


class PatternError(ValueError):
    """A pattern that cannot be used; *column* is where in it, from 0."""

    def __init__(self, column: int, why: str) -> None:
        self.column = column
        super().__init__(why)


# -- the pattern as a tree ----------------------------------------------------------


@dataclass(frozen=True)
class _Chars:
    """One character out of ranges; out of none of them if *is_negated*."""

    ranges: tuple[tuple[str, str], ...]
    is_negated: bool = False


@dataclass(frozen=True)
class _Edge:
    """A place between characters: ^ $ b (at a word's edge) B (not at one)."""

    kind: str


@dataclass(frozen=True)
class _Sequence:
    parts: tuple[_Tree, ...]


@dataclass(frozen=True)
class _Choice:
    parts: tuple[_Tree, ...]


@dataclass(frozen=True)
class _Repeat:
    inner: _Tree
    least: int
    most: int | None


_Tree: TypeAlias = _Chars | _Edge | _Sequence | _Choice | _Repeat


class Pattern(NamedTuple):
    """A pattern that was read."""

    tree: _Tree
    ignores_case: bool


_DIGIT = (("0", "9"),)
_WORD = (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z"), ("\xaa", "\U0010ffff"))
_SPACE = (("\t", "\r"), (" ", " "), ("\x85", "\x85"), ("\xa0", "\xa0"))
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0", "a": "\a"}
_ANY = _Chars((("\n", "\n"),), is_negated=True)


def parse_pattern(pattern: str) -> Pattern:
    """Return *pattern* as a tree.

    Raises:
        PatternError: It is none, or needs backtracking.
    """
    reader = _Reader(pattern)
    tree = reader.choice()
    if reader.at < len(pattern):
        raise PatternError(reader.at, "This ')' closes nothing")
    return Pattern(tree, reader.ignores_case)


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.text = pattern
        self.at = 0
        self.ignores_case = self._is_dotall = False
        self._depth = 0
        if pattern.startswith("(?") and (end := pattern.find(")")) > 2 and set(pattern[2:end]) <= set("ims"):
            self.ignores_case = "i" in pattern[2:end]
            self._is_dotall = "s" in pattern[2:end]
            self.at = end + 1

    def choice(self) -> _Tree:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise PatternError(self.at, f"Groups are nested more than {_DEEPEST} deep")
        parts = [self._sequence()]
        while self._peek() == "|":
            self.at += 1
            parts.append(self._sequence())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else _Choice(tuple(parts))

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _sequence(self) -> _Tree:
        parts: list[_Tree] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._one()))
        return parts[0] if len(parts) == 1 else _Sequence(tuple(parts))

    def _repeated(self, tree: _Tree) -> _Tree:
        start = self.at
        bounds = self._bounds()
        if bounds is None:
            return tree
        if isinstance(tree, _Edge) and self.text[start - 1] != ")":
            raise PatternError(start, "There is nothing to repeat")
        if self._peek() == "?":  # lazy: finds the same
            self.at += 1
        if self._peek() in ("*", "+", "?") and self._peek():
            raise PatternError(self.at, "Repeated twice")
        return _Repeat(tree, *bounds)

    def _bounds(self) -> tuple[int, int | None] | None:
        char = self._peek()
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        if char in simple:
            self.at += 1
            return simple[char]
        end = self.text.find("}", self.at) if char == "{" else -1
        low, comma, high = self.text[self.at + 1 : max(end, self.at + 1)].partition(",")
        if end < 0 or not all(part == "" or (part.isascii() and part.isdigit()) for part in (low, high)):
            return None
        if not low and not high:
            return None  # a brace that is meant
        least, most = int(low or 0), (int(high) if high else None) if comma else int(low)
        if max(least, most or 0) > _MOST_REPEATS or (most is not None and most < least):
            raise PatternError(
                self.at, f"A repeat goes from a lower number to a higher one, up to {_MOST_REPEATS}"
            )
        self.at = end + 1
        return least, most

    def _one(self) -> _Tree:
        start, char = self.at, self._peek()
        self.at += 1
        if char == "(":
            return self._group(start)
        if char == "[":
            return self._set(start)
        if char == ".":
            return _Chars((), is_negated=True) if self._is_dotall else _ANY
        if char in ("^", "$"):
            return _Edge(char)
        if char in ("*", "+", "?"):
            raise PatternError(start, "There is nothing to repeat")
        return self._escape(start) if char == "\\" else _Chars(((char, char),))

    def _group(self, start: int) -> _Tree:
        if self._peek() == "?":
            kind = self.text[self.at + 1 : self.at + 2]
            name_end = self.text.find(">", self.at)
            if kind == ":":
                self.at += 2
            elif kind == "P" and self.text[self.at + 2 : self.at + 3] == "<" and name_end > 0:
                self.at = name_end + 1
            else:
                raise PatternError(start, "Groups are (...), (?:...) and (?P<name>...); (?i) stands first")
        tree = self.choice()
        if self._peek() != ")":
            raise PatternError(start, "This '(' is not closed")
        self.at += 1
        return tree

    def _escape(self, start: int) -> _Tree:
        char = self._peek()
        self.at += 1
        if char in ("b", "B"):
            return _Edge(char)
        if char in ("A", "Z"):
            return _Edge("A" if char == "A" else "Z")
        if char.isdigit() and char != "0":
            raise PatternError(start, "Back references are not supported: they can take for ever")
        return self._escaped(char, start)

    def _escaped(self, char: str, start: int) -> _Chars:
        if char.lower() in _CLASSES:
            return _Chars(_CLASSES[char.lower()], is_negated=char.isupper())
        if char in ("x", "u"):
            size = 2 if char == "x" else 4
            digits = self.text[self.at : self.at + size]
            try:
                code = chr(int(digits, 16)) if len(digits) == size else ""
            except ValueError:
                code = ""
            if not code:
                raise PatternError(start, f"\\{char} takes {size} hexadecimal digits")
            self.at += size
            return _Chars(((code, code),))
        if char == "" or (char.isascii() and char.isalnum() and char not in _CONTROLS):
            raise PatternError(start, f"There is no escape \\{char}")
        char = _CONTROLS.get(char, char)
        return _Chars(((char, char),))

    def _set(self, start: int) -> _Chars:
        is_negated = self._peek() == "^"
        self.at += is_negated
        ranges: list[tuple[str, str]] = []
        is_first = True
        while is_first or self._peek() != "]":
            if not self._peek():
                raise PatternError(start, "This '[' is not closed")
            is_first = False
            low = self._member(start)
            is_range = self._peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("", "]")
            if is_range and len(low) == 1 and low[0][0] == low[0][1]:
                self.at += 1
                high = self._member(start)
                if len(high) != 1 or high[0][0] < low[0][0]:
                    raise PatternError(self.at - 1, "A range goes from a lower character to a higher one")
                ranges.append((low[0][0], high[0][1]))
            else:
                ranges += low
        self.at += 1
        return _Chars(tuple(ranges), is_negated=is_negated)

    def _member(self, start: int) -> tuple[tuple[str, str], ...]:
        char = self._peek()
        self.at += 1
        if char != "\\":
            return ((char, char),)
        escaped = self._peek()
        self.at += 1
        if escaped == "b":
            return (("\b", "\b"),)
        if escaped in ("D", "W", "S"):
            raise PatternError(self.at - 2, f"\\{escaped} cannot stand in a set")
        return self._escaped(escaped, start).ranges


# -- the automaton -----------------------------------------------------------------


class _State:
    """Reads a character of *chars* and goes to *next*; or without reading goes to all of *jumps*."""

    __slots__ = ("chars", "edge", "jumps", "next", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.chars: _Chars | None = None
        self.edge: str | None = None
        self.next = -1
        self.jumps: list[int] = []


class Automaton:
    """Tells whether a pattern is found in a text. Not for several threads at once."""

    def __init__(self, pattern: Pattern) -> None:
        self._states: list[_State] = []
        self._ignores_case = pattern.ignores_case
        self._end = self._new().number
        self._start = self._build(pattern.tree, self._end)
        self._reset()

    def _reset(self) -> None:
        # A deterministic state: its set, and where each character leads. -1 is: found.
        self._sets: list[frozenset[int]] = []
        self._numbers: dict[tuple[frozenset[int], str], int] = {}
        self._befores: list[str] = []
        self._ways: list[dict[str, int]] = []
        self._ends: dict[int, bool] = {}

    def search(self, text: str) -> bool:
        """Whether the pattern is found anywhere in *text*."""
        if self._ignores_case:
            text = text.lower()
        if len(self._sets) > _MOST_KEPT:
            self._reset()
        state = self._number(frozenset({self._start}), "")
        ways = self._ways
        for char in text:
            following = ways[state].get(char)
            if following is None:
                if len(self._sets) > 4 * _MOST_KEPT:
                    state = self._renewed(state)
                    ways = self._ways
                following = self._step(state, char)
            if following < 0:
                return True
            state = following
        return self._is_end(state)

    def _renewed(self, state: int) -> int:
        kept, before = self._sets[state], self._befores[state]
        self._reset()
        return self._number(kept, before)

    def _number(self, states: frozenset[int], before: str) -> int:
        """Return the number of a set of states, not yet followed, behind a character of class *before*."""
        found = self._numbers.get((states, before))
        if found is None:
            found = self._numbers[states, before] = len(self._sets)
            self._sets.append(states)
            self._befores.append(before)
            self._ways.append({})
        return found

    def _step(self, state: int, char: str) -> int:
        before = self._befores[state]
        reached = self._closure(self._sets[state], before, char)
        if self._end in reached:
            following = -1
        else:
            moved = {
                self._states[number].next
                for number in reached
                if (chars := self._states[number].chars) is not None and self._takes(chars, char)
            }
            moved.add(self._start)  # it may begin anywhere
            following = self._number(frozenset(moved), _class_of(char))
        self._ways[state][char] = following
        return following

    def _is_end(self, state: int) -> bool:
        found = self._ends.get(state)
        if found is None:
            reached = self._closure(self._sets[state], self._befores[state], "")
            found = self._ends[state] = self._end in reached
        return found

    def _closure(self, states: frozenset[int], before: str, after: str) -> set[int]:
        """Return the states reached without reading, between a character of class *before* and *after*."""
        reached: set[int] = set()
        waiting = list(states)
        while waiting:
            number = waiting.pop()
            if number in reached:
                continue
            reached.add(number)
            state = self._states[number]
            if state.edge is None or _holds(state.edge, before, after):
                waiting += state.jumps
        return reached

    def _takes(self, chars: _Chars, char: str) -> bool:
        is_in = any(low <= char <= high for low, high in chars.ranges)
        if not is_in and self._ignores_case:
            upper = char.upper()
            is_in = len(upper) == 1 and any(low <= upper <= high for low, high in chars.ranges)
        return is_in is not chars.is_negated

    def _new(self) -> _State:
        if len(self._states) >= _MOST_STATES:
            raise PatternError(0, "This regular expression is too large")
        state = _State(len(self._states))
        self._states.append(state)
        return state

    def _build(self, tree: _Tree, then: int) -> int:
        """Add states that read *tree* and go on with *then*; return the first."""
        if isinstance(tree, _Sequence):
            for part in reversed(tree.parts):
                then = self._build(part, then)
            return then
        if isinstance(tree, _Repeat):
            return self._repeat(tree, then)
        state = self._new()
        if isinstance(tree, _Choice):
            state.jumps = [self._build(part, then) for part in tree.parts]
        elif isinstance(tree, _Edge):
            state.edge, state.jumps = tree.kind, [then]
        else:
            state.chars, state.next = tree, then
        return state.number

    def _repeat(self, tree: _Repeat, then: int) -> int:
        if tree.most is None:
            again = self._new()
            again.jumps = [self._build(tree.inner, again.number), then]
            then = again.number
        else:
            for _ in range(tree.most - tree.least):
                skip = self._new()
                skip.jumps = [self._build(tree.inner, then), then]
                then = skip.number
        for _ in range(tree.least):
            then = self._build(tree.inner, then)
        return then


def _class_of(char: str) -> str:
    """Return what of a character those behind it can see: n for a newline, w of a word, o for others."""
    return "n" if char == "\n" else "w" if char.isalnum() or char == "_" else "o"


def _holds(edge: str, before: str, after: str) -> bool:
    # As in `re` with MULTILINE: what is searched is mostly output of many lines.
    if edge == "^":
        return before in ("", "n")
    if edge == "$":
        return after in ("", "\n")
    if edge == "A":
        return before == ""
    if edge == "Z":
        return after == ""
    is_edge = (before == "w") is not (after != "" and _class_of(after) == "w")
    return is_edge is (edge == "b")
