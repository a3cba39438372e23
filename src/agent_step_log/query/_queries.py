"""What may be asked, and what is said of a query that cannot be answered."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from agent_step_log.query._columns import VIEWS
from agent_step_log.query.errors import QueryError

if TYPE_CHECKING:
    import duckdb

__all__ = ["checked", "explained"]

_EXPLAIN = re.compile(r"\s*explain\s+(?:analyze\s+)?(?:\([^()]*\)\s*)?", re.IGNORECASE)
# They are called in a SELECT, and change what the engine does from then on.
_EFFECTS = re.compile(
    r"\b(?:enable|disable)_(?:logging|profiling|profile|progress_bar|object_cache|checkpoint_on_shutdown)\b"
    r"|\btruncate_duckdb_logs\b|\bforce_checkpoint\b|\bcheckpoint\s*\(",
    re.IGNORECASE,
)
_PLACE = re.compile(r"^LINE (?P<line>\d+): (?P<text>[^\n]*)\n(?P<gap> *)\^", re.MULTILINE)
_UNKNOWN_COLUMN = re.compile(
    r'Referenced column "(?P<a>[^"]+)" not found|does not have a column named "(?P<b>[^"]+)"'
)
_UNKNOWN_VIEW = re.compile(r"Table with name (?P<name>\S+) does not exist")
_ONLY = "Only one SELECT (or FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE, EXPLAIN) can be asked"
_OUTSIDE = "open_logs(..., outside=True) lifts this"


def checked(query: str, *, outside: bool) -> None:
    """Do nothing if *query* is one that may be asked.

    Raises:
        QueryError: It is not SQL, not one statement, or, unless *outside*, more than a question.
    """
    import duckdb

    try:
        statements = duckdb.extract_statements(query)
        explained_one = _EXPLAIN.match(query)
        if explained_one is not None and not outside:
            # EXPLAIN ANALYZE does what it explains.
            statements = duckdb.extract_statements(query[explained_one.end() :])
    except duckdb.Error as error:
        raise explained(error, query) from None
    if not statements:
        raise QueryError("There is no query")
    if outside:
        return
    if len(statements) > 1 or statements[0].type != duckdb.StatementType.SELECT:
        found = "several statements" if len(statements) > 1 else statements[0].type.name.replace("_", " ")
        raise QueryError(f"{_ONLY}, not {found}; {_OUTSIDE}")
    if effect := _EFFECTS.search(query):
        raise QueryError(f"{_ONLY}, and {effect[0].rstrip('( ')} does more; {_OUTSIDE}")


def explained(error: duckdb.Error, query: str) -> QueryError:
    """Return what is wrong with *query*, from what the engine says of it."""
    import duckdb

    text = str(error)
    if isinstance(error, duckdb.PermissionException):
        return QueryError(f"The query reaches outside the logs, which is not allowed; {_OUTSIDE}")
    line, column, excerpt = _place(text, query)
    why = _sentence(text)
    suggestions: tuple[str, ...] = ()
    if unknown := _UNKNOWN_COLUMN.search(text):
        name = unknown["a"] or unknown["b"]
        why = f"There is no column {name!r} here"
        suggestions = _near(name, _columns_of(query))
    elif unknown := _UNKNOWN_VIEW.search(text):
        why = f"There is no view {unknown['name']!r}"
        suggestions = _near(unknown["name"], VIEWS) or tuple(VIEWS)
    return QueryError(why, line=line, column=column, excerpt=excerpt, suggestions=suggestions)


def _sentence(text: str) -> str:
    """Return the engine's first line without its class in front and its full stop."""
    first = text.strip().partition("\n")[0].strip()
    return re.sub(r"^(?:[A-Z]\w+ )+Error: ", "", first).rstrip(".!?")


def _place(text: str, query: str) -> tuple[int | None, int | None, str]:
    """Return line, column and excerpt. The engine cuts a long line, so its caret is found again in ours."""
    place = _PLACE.search(text)
    if place is None:
        return None, None, ""
    line = int(place["line"])
    shown, gap = place["text"], len(place["gap"]) - len(f"LINE {line}: ")
    lines = query.splitlines()
    own = lines[line - 1] if line <= len(lines) else shown
    stripped = shown.removeprefix("...")
    start = own.find(stripped.removesuffix("..."))
    column = max(gap - (len(shown) - len(stripped)) + max(start, 0), 0)
    return line, column + 1, f"{own}\n{' ' * column}^"


def _columns_of(query: str) -> list[str]:
    """Return the columns of the views that *query* names; of all where it names none."""
    words = set(re.findall(r"\w+", query.lower()))
    named = [view for view in VIEWS if view in words] or list(VIEWS)
    return list(dict.fromkeys(column.name for view in named for column in VIEWS[view]))


def _near(name: str, names: object) -> tuple[str, ...]:
    return tuple(get_close_matches(name.lower(), list(names), n=3, cutoff=0.55))  # type: ignore[call-overload]
