"""``agent-step-log wire``: what crossed the wire of a run."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import click

from agent_stack import _safe
from agent_stack._options import color_option, json_option, remark
from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from agent_stack._screen import Screen
    from agent_stack._tapes import Row, WireRun
    from agenttap import TapedExchange

__all__ = ["command"]

#: What stands last and looks so is an exchange; a longer number is the end of a run's id.
_NAME = re.compile(r"(?:[0-9a-f]{1,16}:)?[0-9]{1,6}")
_CHOICES = {"request": "request", "response": "response"}


@click.command(
    "wire",
    short_help="Show what was sent to a model, and what came back.",
    epilog="""\b
Examples:
  agent-step-log wire                      the exchanges of the last run in ./logs
  agent-step-log wire 3                    its third exchange: request, response, times
  agent-step-log wire 3f9a1c2b --diff 3 4  what changed between two requests
  agent-step-log wire run.jsonl 3 --curl   a command that sends the request again
  agent-step-log wire --find "rate limit"  where a text was said
""",
)
@click.argument("arguments", metavar="[SOURCE] [RUN] [N]", nargs=-1, type=click.Path())
@click.option("--diff", nargs=2, metavar="N M", help="Compare two requests, message by message.")
@click.option("--find", metavar="TEXT", help="Where TEXT was sent or received, whatever its case.")
@click.option("--events", is_flag=True, help="The events of exchange N as received, each with its time.")
@click.option("--raw", type=click.Choice(list(_CHOICES)), help="The bytes of exchange N as they are kept.")
@click.option("--headers", is_flag=True, help="The headers of exchange N as well.")
@click.option("--curl", is_flag=True, help="A shell command that sends request N again, without its secrets.")
@click.option("--full", is_flag=True, help="Nothing is cut.")
@json_option
@color_option
def command(
    arguments: tuple[str, ...],
    diff: tuple[str, str] | None,
    find: str | None,
    events: bool,
    raw: str | None,
    headers: bool,
    curl: bool,
    full: bool,
    as_json: bool,
    color: str,
) -> None:
    """Show the exchanges of a run, one of them, or what changed between two.

    SOURCE and RUN as for `show`; SOURCE may be a tape (.tape.zst). N is an exchange's number;
    WRITER:N on the tape of another process.
    """
    from agent_stack._screen import Screen
    from agent_stack._tapes import find_run

    source, run_id, name = _named(arguments)
    _check(name, diff=diff, find=find, of_one={"--events": events, "--raw": raw, "--curl": curl})
    run = find_run(source, run_id)
    screen = Screen(color)
    if diff is not None:
        _diff(run, diff, screen, full=full, as_json=as_json)
    elif find is not None:
        _find(run, find, screen, as_json=as_json)
    elif name is None:
        _list(run, screen, as_json=as_json)
    elif raw is not None:
        _raw(run.exchange(name)[1], raw, name)
    elif curl:
        _curl(run.exchange(name)[1], screen, name)
    else:
        _one(run, name, screen, full=full, events=events, headers=headers, as_json=as_json)
    for each in run.damage():
        remark(f"{each.tape}, from byte {each.offset:,}: {each.reason}.")


def _named(arguments: tuple[str, ...]) -> tuple[str, str | None, str | None]:
    """Tell SOURCE, RUN and N apart.

    Raises:
        CommandError: There are too many, or they can be neither.
    """
    from pathlib import Path

    from agent_stack._sources import default_source, is_path, source_of
    from agent_stack._tapes import is_tape

    rest = list(arguments)
    if len(rest) > 3:
        raise CommandError("Give SOURCE, RUN and N at most. See agent-step-log wire --help.")
    name = None
    if rest and (len(rest) == 3 or (_NAME.fullmatch(rest[-1]) and not Path(rest[-1]).exists())):
        name = rest.pop()
        _check_name(name)
    if len(rest) == 1 and not is_path(rest[0]) and not is_tape(rest[0]):
        default = default_source()
        if not Path(default).exists():
            raise CommandError(
                f"{rest[0]} is no file or directory, and there are no logs in {default} to have such a run."
            )
        return default, rest[0], name
    source = source_of(rest[0] if rest else None)
    return source, rest[1] if len(rest) == 2 else None, name


def _check_name(name: str) -> None:
    if not re.fullmatch(r"(?:[^:]+:)?[0-9]{1,18}", name, re.ASCII):
        raise CommandError(f"N is a number, or WRITER:NUMBER, and not {name!r}.")


def _check(
    name: str | None, *, diff: tuple[str, str] | None, find: str | None, of_one: dict[str, Any]
) -> None:
    """Refuse options that do not go together."""
    for each in diff or ():
        _check_name(each)
    asked = [option for option, value in of_one.items() if value]
    if diff is not None:
        asked.append("--diff")
    if find is not None:
        asked.append("--find")
    if len(asked) > 1:
        raise CommandError(f"{asked[0]} and {asked[1]} do not go together.")
    if asked and asked[0] in of_one and name is None:
        raise CommandError(f"{asked[0]} needs N, the number of an exchange.")
    if find == "":
        raise CommandError("--find needs a text to look for.")


# -- the run ----------------------------------------------------------------------


def _list(run: WireRun, screen: Screen, *, as_json: bool) -> None:
    rows = run.rows()
    if as_json:
        from agent_stack._json import json_line

        tapes = [{"path": str(tape.path), "writer": tape.writer} for tape in run.tapes]
        shape = {"run_id": run.run_id, "tapes": tapes, "exchanges": [row.to_dict() for row in rows]}
        screen.write(json_line({**shape, "damage": [each._asdict() for each in run.damage()]}))
        return
    from agent_stack._render.wire_list import render_exchanges, render_wire_header

    screen.print(render_wire_header(run, rows, screen.width))
    screen.print(render_exchanges(rows, screen.width))


def _find(run: WireRun, text: str, screen: Screen, *, as_json: bool) -> None:
    from agent_stack._tape_search import places_in

    hits = []
    for tape, exchange in run.exchanges():
        found = list(places_in(exchange, text))
        if found:
            row = run.row(tape, exchange)
            hits += [(row, *place) for place in found]
    hits.sort(key=lambda hit: hit[0].ts)
    if as_json:
        from agent_stack._json import json_line

        for row, place, before, words, after in hits:
            excerpt = {"before": before, "found": words, "after": after}
            screen.write(
                json_line({"name": row.name, "n": row.n, "tape": row.tape, "place": place, **excerpt})
            )
        return
    if not hits:
        remark(f"No exchange of run {run.run_id} holds {text!r}.")
        return
    from agent_stack._render.wire_list import render_hits

    screen.print(render_hits(hits, screen.width))


# -- one exchange -----------------------------------------------------------------


def _one(
    run: WireRun, name: str, screen: Screen, *, full: bool, events: bool, headers: bool, as_json: bool
) -> None:
    from agent_stack._conversation import conversation_of

    tape, exchange = run.exchange(name)
    row = _row_among_its_attempts(run, run.row(tape, exchange))
    conversation = conversation_of(exchange.api, exchange.request_json(), exchange.url)
    if as_json:
        from agent_stack._wire_json import exchange_json

        screen.write(exchange_json(run.run_id, row, exchange, conversation, with_events=events))
        return
    from agent_stack._render.wire_exchange import render_events, render_exchange

    if events:
        screen.print(render_events(exchange, screen.width, full=full))
        return
    screen.print(
        render_exchange(
            row,
            exchange,
            conversation,
            exchange.facts(),
            screen.width,
            run_id=run.run_id,
            full=full,
            with_headers=headers,
        )
    )


def _row_among_its_attempts(run: WireRun, row: Row) -> Row:
    """Return *row* with its place among the attempts of its step."""
    if row.step is None:
        return row
    same = [
        other.n for tape, other in run.exchanges() if tape.path.name == row.tape and other.step == row.step
    ]
    row.attempts, row.attempt = len(same), 1 + sorted(same).index(row.n)
    return row


def _raw(exchange: TapedExchange, which: str, name: str) -> None:
    body = exchange.request_body if which == "request" else exchange.body
    size = exchange.request_size if which == "request" else exchange.size
    if not body and size:
        raise CommandError(
            f"The {which} of exchange {name} is not on the tape: it was recorded without content."
        )
    if sys.stdout.isatty() and not _is_harmless(body):
        raise CommandError(
            "These bytes hold what a terminal would act on: send them to a file or through a pipe."
        )
    sys.stdout.flush()
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()


def _is_harmless(body: bytes) -> bool:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return False
    return all(_safe.line(line) == line for line in text.replace("\r\n", "\n").replace("\t", " ").split("\n"))


def _curl(exchange: TapedExchange, screen: Screen, name: str) -> None:
    from hashlib import sha256

    from agent_stack._curl import curl_command
    from agenttap import Redactor

    if not exchange.request_body and exchange.request_size:
        raise CommandError(
            f"The request of exchange {name} is not on the tape: it was recorded without content."
        )
    # A tape that was written with redact=False may hold secrets; what is printed here gets pasted.
    redactor = Redactor(key=b"curl")
    body, found = redactor.body(exchange.request_body)
    exchange.url = redactor.url(exchange.url)
    exchange.headers = [[name, redactor.text(value)] for name, value in exchange.headers]
    screen.write(curl_command(exchange, body=body))
    sent = exchange.request_sha256
    if found or (sent is not None and body and sha256(body).hexdigest() != sent):
        remark(
            "The body is not what was sent: secrets have been taken out of it, or the tape has not all of it."
        )


# -- two requests -----------------------------------------------------------------


def _diff(run: WireRun, names: tuple[str, str], screen: Screen, *, full: bool, as_json: bool) -> None:
    from agent_stack._conversation import compare, conversation_of

    rows, conversations = [], []
    for name in names:
        tape, exchange = run.exchange(name)
        if not exchange.request_body:
            raise CommandError(
                f"The request of exchange {name} is not on the tape, so there is nothing to compare."
            )
        rows.append(run.row(tape, exchange))
        conversations.append(conversation_of(exchange.api, exchange.request_json(), exchange.url))
    found = compare(*conversations)
    if as_json:
        from agent_stack._wire_json import diff_json

        screen.write(diff_json(run.run_id, rows, found))
        return
    from agent_stack._render.wire_diff import render_diff

    screen.print(render_diff(found, rows, screen.width, run_id=run.run_id, full=full))
