"""``agent-step-log diff``: two runs compared, and where they part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent_stack._options import color_option, json_option, remark
from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from agent_debug_replay import Divergence, RunDiff
    from agent_stack._conversation import Diff
    from agent_step_log import Record, Step

__all__ = ["command"]

#: The words of ``--only``, and the kinds of `agent_debug_replay.PAIR_KINDS`.
_CLASSES = {
    "same": "same",
    "output": "output",
    "arguments": "arguments",
    "only-a": "only_a",
    "only-b": "only_b",
    "reordered": "reordered",
}


@click.command(
    "diff",
    short_help="Compare two runs: where do they part?",
    epilog="""\b
Examples:
  agent-step-log diff 3f9a1c2b 77aa01cd             two runs in ./logs, by the ends of their ids
  agent-step-log diff before.jsonl after.jsonl      the last run of each log
  agent-step-log diff logs:3f9a1c2b ci.jsonl:run-7  a run of each
  agent-step-log diff before.jsonl after.jsonl --only only-b --only arguments
""",
)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("--all", "show_all", is_flag=True, help="Every step: nothing is folded or left out.")
@click.option(
    "--only",
    "classes",
    multiple=True,
    type=click.Choice(list(_CLASSES)),
    help="Only steps of this class; may be given several times.",
)
@click.option("--full", is_flag=True, help="Values in full, and what differs in every step.")
@json_option
@color_option
def command(
    a: str, b: str, show_all: bool, classes: tuple[str, ...], full: bool, as_json: bool, color: str
) -> int:
    """Compare run A with run B, step by step, by what the steps are and not by their numbers.

    A and B are each SOURCE, SOURCE:RUN, or a RUN of the default SOURCE ($AGENT_STEP_LOG_DIR,
    else ./logs). RUN is an id, or the beginning or end of one; default: the last run started.

    Exit status: 0 the runs did the same, 1 they did not, 2 they could not be compared.
    """
    from agent_debug_replay import diff
    from agent_stack._screen import Screen

    screen = Screen(color)
    places = [_place(a), _place(b)]
    found = diff(*places)
    only = frozenset(_CLASSES[name] for name in classes)
    messages = _messages(found.first, places)
    if as_json:
        from agent_stack._diff_json import diff_json

        shape = diff_json(found, only, with_same=show_all, costs=_costs(found), messages=messages)
        screen.write("".join(shape))
        return 0 if found.is_same else 1
    from agent_stack._render.run_diff import DiffOptions, render_run_diff

    options = DiffOptions(show_all=show_all, full=full, only=only)
    screen.print(render_run_diff(found, screen.width, options, costs=_costs(found), messages=messages))
    for run_id, damage in ((found.a_id, found.a_damage), (found.b_id, found.b_damage)):
        if damage:
            lost = f"{len(damage)} stretches of {run_id} are no record and were left out"
            remark(f"{lost}: agent-step-log verify lists them.")
    return 0 if found.is_same else 1


# -- which run --------------------------------------------------------------------


def _place(text: str) -> tuple[str, str | None]:
    """Tell SOURCE from RUN.

    Raises:
        CommandError: *text* can be neither.
    """
    from pathlib import Path

    from agent_stack._sources import default_source, is_path

    source, colon, run_id = text.rpartition(":")
    # A name that is there is meant, whatever it looks like.
    if is_path(text) and (Path(text).exists() or not colon or not is_path(source)):
        return text, None
    if colon and is_path(source):
        return source, run_id
    default = default_source()
    if not Path(default).exists():
        raise CommandError(
            f"{text} is no file or directory, and there are no logs in {default} to have such a run."
        )
    return default, text


# -- what it cost, and what crossed the wire ----------------------------------------


def _costs(found: RunDiff) -> Any:
    """Return what the runs cost; None where the price library is not installed."""
    from agent_step_log.errors import MissingExtraError

    try:
        from agentsnap import Prices

        return found.costs(Prices.load())
    except MissingExtraError:
        return None


def _messages(first: Divergence | None, places: list[tuple[str, str | None]]) -> Diff | None:
    """Return the requests of the two model calls where the runs part, compared; None without tapes."""
    if first is None or first.a is None or first.b is None:
        return None
    if (first.a.type, first.b.type) != ("llm_call", "llm_call"):
        return None
    requests = [_request(source, step) for (source, _), step in zip(places, (first.a, first.b), strict=True)]
    if requests[0] is None or requests[1] is None:
        return None
    from agent_stack._conversation import compare

    return compare(*requests)


def _request(source: str, step: Step) -> Any:
    """Return the request of a model call as a conversation; None if there is no tape of it."""
    record: Record = step.record
    exchange = record.exchange
    if not isinstance(exchange, dict) or not isinstance(exchange.get("n"), int):
        return None
    from agent_stack._conversation import conversation_of
    from agent_stack._tapes import find_run
    from agenttap.errors import TapError

    try:
        tapes = find_run(source, record.run_id).tapes
        tape = next((tape for tape in tapes if tape.path.name == exchange.get("tape")), None)
        taped = None if tape is None else tape.exchange(exchange["n"])
    except (CommandError, TapError, ImportError, OSError):
        return None
    if taped is None or not taped.request_body:
        return None
    return conversation_of(taped.api, taped.request_json(), taped.url)
