"""``agent-step-log cost``: what the model calls came to, in tokens and dollars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent_stack._options import color_option, json_option, remark, time_options
from agent_stack.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent_stack._screen import Screen
    from agentsnap import Prices

__all__ = ["command"]

#: The words of the command line, and what `agentsnap.usage_of` groups by.
VIEWS = {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "session": "session",
    "run": "run",
    "model": "model",
    "provider": "provider",
    "agent": "agent",
    "task": "task",
    "tool": "tool",
}


def _use_zone(context: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    """Make *name* the zone of this process until the command is done: times are typed and shown in it."""
    if name is None:
        return None
    import os
    import time
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        message = f"{name!r} is no time zone; zones are named like Europe/Berlin or UTC."
        raise click.BadParameter(message) from None
    before = os.environ.get("TZ")

    def put_back() -> None:
        if before is None:
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = before
        time.tzset()

    context.call_on_close(put_back)
    os.environ["TZ"] = name
    time.tzset()
    return name


@click.command(
    "cost",
    short_help="Add up tokens and dollars by day, model, run, task and more.",
    epilog="""\b
Examples:
  agent-step-log cost                              by day
  agent-step-log cost monthly ~/.claude/projects   what Claude Code came to
  agent-step-log cost task logs                    which kinds of runs are expensive
  agent-step-log cost model --since 7d --json
  agent-step-log cost --explain 3f9a1c2b           one run, down to its records
""",
)
@click.argument(
    "arguments",
    metavar="[VIEW] [SOURCE]...",
    nargs=-1,
    type=click.Path(),
)
@click.option("--breakdown", is_flag=True, help="Each model in a row of its own below.")
@click.option(
    "--timezone",
    metavar="ZONE",
    is_eager=True,
    expose_value=False,
    callback=_use_zone,
    help="Zone of days and times, like Europe/Berlin. Default: the local one.",
)
@time_options
@click.option(
    "--prices",
    "price_file",
    metavar="FILE",
    type=click.Path(),
    help="Own prices (TOML, see docs/cost.md), which come before the list's.",
)
@click.option("--explain", "run", metavar="RUN", help="Derive the cost of this run, call by call.")
@json_option
@color_option
def command(
    arguments: tuple[str, ...],
    breakdown: bool,
    since: float | None,
    until: float | None,
    price_file: str | None,
    run: str | None,
    as_json: bool,
    color: str,
) -> None:
    """Add up tokens and cost of the model calls in SOURCE.

    VIEW is daily (the default), weekly, monthly, session, run, model, provider, agent, task or
    tool. SOURCE is a log, a directory or a pattern, or a transcript of Claude Code or Codex; default:
    $AGENT_STEP_LOG_DIR, else ./logs. Each call is priced at the list price of its day, tier and
    kind of token. A figure that is only a lower bound is marked ≥, what is not known is ?.
    """
    from agent_stack._screen import Screen
    from agent_stack._sources import is_path, sources_of
    from agentsnap import Prices

    by = "day"
    if arguments and arguments[0] in VIEWS:
        by, arguments = VIEWS[arguments[0]], arguments[1:]
    elif arguments and not is_path(arguments[0]):
        views = ", ".join(VIEWS)
        raise CommandError(f"{arguments[0]!r} is neither a view ({views}) nor a place of logs.")
    sources = sources_of(arguments)
    prices, screen = Prices.load(price_file), Screen(color)
    if run is not None:
        if breakdown or since is not None or until is not None:
            raise CommandError(
                "--explain is about one whole run: leave --since, --until and --breakdown out."
            )
        _explain(run, sources, prices, screen, as_json=as_json)
    else:
        _add_up(by, sources, since, until, prices, screen, as_json=as_json, has_models=breakdown)


def _add_up(
    by: Any,
    sources: Sequence[str],
    since: float | None,
    until: float | None,
    prices: Prices,
    screen: Screen,
    *,
    as_json: bool,
    has_models: bool,
) -> None:
    from agent_stack._facts import damage_dict
    from agent_stack._json import json_line
    from agent_stack._render.cost import render_usage
    from agent_stack._render.notes import render_damage
    from agentsnap import usage_of

    table = usage_of(sources, by=by, since=since, until=until, prices=prices)
    if as_json:
        shape = table.to_dict(has_models=has_models)
        screen.write(json_line({**shape, "damage": [damage_dict(each) for each in table.damage]}))
        return
    if table.total.calls:
        screen.print(render_usage(table, screen.width, has_models=has_models))
    else:
        when = " in that time" if since is not None or until is not None else ""
        remark(f"No model call{when} in {', '.join(sources)}.")
    screen.print(render_damage(table.damage))


def _explain(run: str, sources: Sequence[str], prices: Prices, screen: Screen, *, as_json: bool) -> None:
    from agent_stack._facts import damage_dict
    from agent_stack._json import json_line
    from agent_stack._render.cost import render_explanation
    from agent_stack._render.notes import render_damage
    from agentsnap import explain

    found = explain(sources, run, prices=prices)
    if as_json:
        shape = {**found.to_dict(), "damage": [damage_dict(each) for each in found.damage]}
        screen.write(json_line(shape))
        return
    screen.print(render_explanation(found))
    screen.print(render_damage(found.damage))
