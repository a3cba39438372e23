"""The commands as help and the guide tell them: names, what follows them, their reverse, what they do."""

from __future__ import annotations

from typing import NamedTuple

from agent_debug_replay._commands import CATCHES

__all__ = ["TOPICS", "Topic"]


class Topic(NamedTuple):
    """One command as help tells it: its names, what follows them, its reverse, what it does."""

    names: tuple[str, ...]
    argument: str
    reverse: str
    meaning: str
    group: str


TOPICS: tuple[Topic, ...] = (
    Topic(("next", "n"), "[N]", "rn", "the following step beside this one", "move"),
    Topic(("step", "s"), "[N]", "rs", "the following row, into what is below and out again", "move"),
    Topic(
        ("in",), "[N]", "up", "the first step below this one, else the run it started; N: its Nth run", "move"
    ),
    Topic(("up", "out"), "[N]", "in", "the step this one is in, else the one that started this run", "move"),
    Topic(("finish", "fin"), "", "rfin", "behind the step this one is in; reverse: that step", "move"),
    Topic(("continue", "c"), "", "rc", "on to the next stop, or to the end", "move"),
    Topic(("until",), "EXPR", "runtil", "the following row where EXPR holds", "move"),
    Topic(
        ("goto", "g"),
        "N | N% | @TIME | ID | start | end",
        "",
        "that step; WRITER:N of another writer",
        "move",
    ),
    Topic(("turn", "t"), "[N]", "rt", "the following turn: what the user said, or else a model call", "move"),
    Topic(("peer",), "[N]", "rpeer", "the following step of the same type and name", "move"),
    Topic(("error", "e"), "[N]", "re", "the following step that failed", "move"),
    Topic(("back",), "[N]", "forward", "where the cursor was before", "move"),
    Topic(("forward",), "[N]", "back", "undo back", "move"),
    Topic(("/",), "TEXT", "?", "the following step whose records hold TEXT; alone: the next such", "move"),
    Topic(("mark", "m", "checkpoint"), "NAME", "", "give this step a name", "move"),
    Topic(("'",), "NAME", "", "go to a mark", "move"),
    Topic(("play",), "[SPEED]", "", "on to the next stop at the pace it was recorded, on the screen", "move"),
    Topic(("break", "b"), "[at PLACE | STEP] [if EXPR]", "", "stop there: at tool:bash, at llm, 12", "stop"),
    Topic(("tbreak", "tb"), "[at PLACE | STEP] [if EXPR]", "", "the same, once", "stop"),
    Topic(("watch", "w"), "EXPR", "", "stop where its value changes", "stop"),
    Topic(("catch",), "KIND [LIMIT]", "", "stop at " + ", ".join(CATCHES), "stop"),
    Topic(("ignore",), "NUMBER COUNT", "", "pass over so many hits of a stop", "stop"),
    Topic(("condition", "cond"), "NUMBER [EXPR]", "", "another condition for a breakpoint, or none", "stop"),
    Topic(("enable",), "[NUMBER ...]", "", "let stops stop again", "stop"),
    Topic(("disable",), "[NUMBER ...]", "", "let stops rest", "stop"),
    Topic(("delete", "d"), "[NUMBER ...]", "", "remove stops", "stop"),
    Topic(("info", "i"), "[b]", "", "the stops there are", "stop"),
    Topic(("print", "p"), "EXPR", "", "its value at this step", "look"),
    Topic(("pp",), "EXPR", "", "the same, all of it", "look"),
    Topic(("list", "l"), "[N]", "", "the rows around this one", "look"),
    Topic(("where", "bt"), "", "", "the steps this one is inside of, and the runs it started", "look"),
    Topic(
        ("ctx",),
        "[-d] [--full]",
        "",
        "the messages the model saw; -d: what was added since the call before",
        "look",
    ),
    Topic(("wire",), "[req | resp | sse] [--full]", "", "the exchange on the tape", "look"),
    Topic(
        ("diff",),
        "[STEP]",
        "",
        "what differs between a step and this one; alone: the one before of its type and name",
        "look",
    ),
    Topic(("files",), "", "", "files touched so far", "look"),
    Topic(("state",), "", "", "totals, files, context and last error so far", "look"),
    Topic(("display",), "[EXPR]", "", "print it after every move; alone: those there are", "look"),
    Topic(("undisplay",), "", "", "print nothing after moves", "look"),
    Topic(
        ("log",),
        "EXPR [, EXPR ...] [if EXPR]",
        "",
        "its value on every step: printing put into the past",
        "look",
    ),
    Topic(("marks",), "", "", "the marks there are", "look"),
    Topic(("note",), "TEXT", "", "write TEXT beside this step; - takes it away", "keep"),
    Topic(("notes",), "", "", "the notes there are", "keep"),
    Topic(("save",), "FILE", "", "write marks and notes to FILE, a new one or one of earlier ones", "keep"),
    Topic(("load",), "FILE", "", "take over the marks and notes in FILE", "keep"),
    Topic(
        ("export",),
        "FILE [[PLACE]..[PLACE]] [if EXPR]",
        "",
        "write the log's lines of these steps to FILE, a new one",
        "keep",
    ),
    Topic(("cmd",), "", "", "the command line that opens this run at this step", "session"),
    Topic(("help", "h"), "[COMMAND | fields]", "", "this", "session"),
    Topic(("quit", "q"), "", "", "leave", "session"),
)
