"""Which key does what: the keys there are from the start, and those a person puts in their place.

The file is TOML, each key of the keyboard with the name of an action or a line of commands:

    "ctrl+n" = "next"             # a command of the grammar
    "b" = "break at tool:bash"
    "z" = "filter"                # an action of the screen
    "q" = ""                      # nothing

It is the one named by AGENT_STEP_LOG_KEYMAP, else ~/.config/agent-step-log/keymap.toml.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from agent_stack.errors import CommandError

__all__ = ["ACTIONS", "KEYMAP_VARIABLE", "Action", "Keymap", "key_sign", "load_keymap"]

KEYMAP_VARIABLE = "AGENT_STEP_LOG_KEYMAP"

#: Key, as textual names it, to the name of an action or a line of commands.
Keymap = dict[str, str]


class Action(NamedTuple):
    """What a key can do: its keys from the start, the commands it stands for if any, and its meaning."""

    keys: tuple[str, ...]
    commands: str
    meaning: str
    group: str


ACTIONS: dict[str, Action] = {
    "down": Action(("j", "down"), "", "the row below", "move"),
    "up": Action(("k", "up"), "", "the row above", "move"),
    "page-down": Action(("pagedown", "ctrl+d"), "", "a page down", "move"),
    "page-up": Action(("pageup", "ctrl+u"), "", "a page up", "move"),
    "first": Action(("g", "home"), "", "the first row", "move"),
    "last": Action(("G", "end"), "", "the last row", "move"),
    "next-turn": Action(("J",), "turn", "the next turn", "move"),
    "previous-turn": Action(("K",), "-turn", "the turn before", "move"),
    "next-error": Action(("e",), "error", "the next step that failed", "move"),
    "previous-error": Action(("E",), "-error", "the one before that failed", "move"),
    "next-peer": Action(("s",), "peer", "the next step of the same tool or model", "move"),
    "previous-peer": Action(("S",), "-peer", "the one before of the same tool or model", "move"),
    "parent": Action(("h", "left"), "up", "the step this one is in, or that started this run", "move"),
    "child": Action(("l", "right"), "in", "the first step in this one, or the run it started", "move"),
    "back": Action(("left_square_bracket",), "back", "where the cursor was before", "move"),
    "forward": Action(("right_square_bracket",), "forward", "and forward again", "move"),
    "continue": Action(("c",), "continue", "on to the next stop", "move"),
    "reverse-continue": Action(("C",), "-continue", "back to the stop before", "move"),
    "play": Action(("space",), "play", "play on at the pace the run had, or stop", "move"),
    "find": Action(("slash",), "", "find a text in the records", "find"),
    "find-next": Action(("n",), "", "the next place it is in", "find"),
    "find-previous": Action(("N",), "", "the place before", "find"),
    "filter": Action(("f",), "", "show only the steps where a condition holds", "find"),
    "command": Action(("colon",), "", "a line of commands", "find"),
    "mark": Action(("m",), "", "give this step a name: the next key", "find"),
    "go-mark": Action(("apostrophe",), "", "go to a mark: the next key; twice: list them", "find"),
    "fold": Action(("x",), "", "fold or unfold what is in this step", "look"),
    "fold-all": Action(("X",), "", "fold all, or unfold all", "look"),
    "open": Action(("o",), "", "show more of a value that was cut", "look"),
    "wire": Action(("w",), "", "the request on the wire, then the response", "look"),
    "compare-peer": Action(("d",), "diff", "what differs from the step before of the same kind", "look"),
    "compare-run": Action(("D",), "", "compare with another run, side by side", "look"),
    "growth": Action(("v",), "", "how the context grew, call by call", "look"),
    "stops": Action(("b",), "info", "the stops there are", "look"),
    "state": Action(("t",), "state", "totals, files and context so far", "look"),
    "copy": Action(("y",), "", "copy the value, its path or the command that leads here", "look"),
    "next-pane": Action(("tab",), "", "to the details and back", "screen"),
    "previous-pane": Action(("shift+tab",), "", "the same, backwards", "screen"),
    "enter": Action(("enter",), "", "into the details; on a hit: go there", "screen"),
    "tab-1": Action(("1",), "", "what went in", "screen"),
    "tab-2": Action(("2",), "", "what came out", "screen"),
    "tab-3": Action(("3",), "", "the request on the wire", "screen"),
    "tab-4": Action(("4",), "", "the response on the wire", "screen"),
    "tab-5": Action(("5",), "", "what the model saw", "screen"),
    "tab-6": Action(("6",), "", "times and tokens", "screen"),
    "tab-7": Action(("7",), "", "the record as it stands in the log", "screen"),
    "follow": Action(("full_stop",), "", "follow a run that goes on, or stop following", "screen"),
    "cancel": Action(("escape",), "", "close what is open: help, results, the filter", "screen"),
    "help": Action(("question_mark",), "", "this", "screen"),
    "quit": Action(("q", "ctrl+c"), "", "leave", "screen"),
}

_SIGNS = {
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "slash": "/",
    "colon": ":",
    "apostrophe": "'",
    "full_stop": ".",
    "question_mark": "?",
    "escape": "esc",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "down": "↓",
    "up": "↑",
    "left": "←",
    "right": "→",
}
_NAMED = frozenset(
    [
        "up",
        "down",
        "left",
        "right",
        "home",
        "end",
        "pageup",
        "pagedown",
        "insert",
        "delete",
        "backspace",
        "enter",
        "tab",
        "escape",
        "space",
    ]
) | {f"f{number}" for number in range(1, 25)}


def key_sign(key: str) -> str:
    """Return a key as a person writes it."""
    return _SIGNS.get(key, key)


def load_keymap() -> Keymap:
    """Return the keys there are from the start with the user's own over them.

    Raises:
        CommandError: The file cannot be read, or a key, an action or a command in it is none.
    """
    keymap = {key: name for name, action in ACTIONS.items() for key in action.keys}
    named = os.environ.get(KEYMAP_VARIABLE)
    path = Path(named).expanduser() if named else Path("~/.config/agent-step-log/keymap.toml").expanduser()
    if named or path.is_file():
        keymap.update(_read(path))
    return keymap


def _read(path: Path) -> Keymap:
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{path}: the keymap cannot be read: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: the keymap is no TOML: {error}.") from None
    return {_key(path, key): _meaning(path, key, value) for key, value in table.items()}


def _key(path: Path, text: str) -> str:
    """Return the name textual has for a key a person wrote.

    Raises:
        CommandError: There is no such key.
    """
    *prefixes, last = text.split("+") if len(text) > 1 else [text]
    if len(last) == 1 and last.isprintable():
        name = last if last.isalnum() else _name_of(last)
    elif last.lower() in _NAMED:
        name = last.lower()
    elif last in _SIGNS:
        name = last
    else:
        name = ""
    if not name or not {prefix.lower() for prefix in prefixes} <= {"ctrl", "alt", "shift"}:
        raise CommandError(
            f"{path}: there is no key {text!r}; a key is one character, ctrl+ and a letter, "
            "f1 to f24, or one of: " + ", ".join(sorted(key for key in _NAMED if key[1:2].isalpha())) + "."
        )
    return "+".join([*(prefix.lower() for prefix in prefixes), name])


def _name_of(char: str) -> str:
    """Return what textual calls a sign: its name in Unicode, or a shorter one."""
    import unicodedata

    from textual.keys import KEY_NAME_REPLACEMENTS

    name = unicodedata.name(char, char).lower().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name)


def _meaning(path: Path, key: str, value: object) -> str:
    """Return what a key was given.

    Raises:
        CommandError: It is no action and no command.
    """
    from difflib import get_close_matches

    from agent_debug_replay import CommandLineError, ExpressionError, parse_commands

    if not isinstance(value, str):
        raise CommandError(f'{path}: {key} is not a text; write an action or a command: {key} = "next".')
    if not value.strip() or value in ACTIONS:
        return value.strip()
    try:
        parse_commands(value)
    except (CommandLineError, ExpressionError) as error:
        near = get_close_matches(value, ACTIONS, 1)
        hint = f"the nearest is {near[0]!r}" if near else "actions are " + ", ".join(ACTIONS)
        why = error.why[0].lower() + error.why[1:].rstrip(".")
        raise CommandError(
            f"{path}: {key} = {value!r} is no action ({hint}) and no command: {why}."
        ) from None
    return value
