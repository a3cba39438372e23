"""What is different between two snapshots, named.

Steps are brought together in three passes: those that are alike in name and arguments,
in order; between these, those alike in name, in order; and of what is left, those that
stand elsewhere (reordered), then a tool in the place of another (changed). The rest is
missing, or new.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterator, Sequence

    from agentsnap._snapshot import Snapshot

__all__ = ["Change", "ChangeKind", "SnapshotDiff", "compare"]

ChangeKind: TypeAlias = Literal[
    "step missing",
    "step added",
    "tool changed",
    "reordered",
    "arguments changed",
    "output drift",
    "new error",
    "error gone",
    "error changed",
    "model changed",
    "answer changed",
    "status changed",
]
KINDS: tuple[str, ...] = get_args(ChangeKind)

#: Characters of a value that a report shows.
_SHOWN = 100
#: Differences inside one value that a report shows.
_PARTS = 5


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        kind: What it is; see `ChangeKind`.
        step: The step, such as ``tool_call search``; "run" for the run as a whole.
        old_place, new_place: Its place among all steps, from 1; None where it is not there.
        detail: What differs, in words, as ASCII: fit for any terminal.
    """

    kind: ChangeKind
    step: str
    old_place: int | None = None
    new_place: int | None = None
    detail: str = ""


@dataclass
class SnapshotDiff:
    """The differences between two snapshots, in the order of the new one.

    True where there are any.
    """

    changes: list[Change] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.changes)

    def report(self, limit: int = 50) -> str:
        """Return them for people, *limit* at most: a line each, and one for each value that differs."""
        if not self.changes:
            return "The two runs are alike."
        lines = []
        for change in self.changes[:limit]:
            where = f"{_place(change.old_place, change.new_place)}{change.step}"
            first, *more = change.detail.split("\n") if change.detail else [""]
            # What a step is called may hold anything.
            where = where.encode("ascii", "backslashreplace").decode()
            lines.append(f"  {where}: {change.kind}{':' if change.detail else ''} {first}".rstrip())
            lines += [f"      {line}" for line in more]
        if len(self.changes) > limit:
            lines.append(f"  and {len(self.changes) - limit} more changes")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.report()


@dataclass(frozen=True)
class _Place:
    """A step, and where it stands."""

    number: int
    step: dict[str, Any]
    within: tuple[str, ...]  # the names of the steps around it

    @property
    def words(self) -> str:
        name = _name(self.step)
        inside = f" in {' > '.join(self.within)}" if self.within else ""
        return f"{self.step['type']} {_plain(name)}{inside}" if name else f"{self.step['type']}{inside}"

    @property
    def by_name(self) -> Hashable:
        # Of a model call the model is a detail: the call is the same with another one.
        name = None if self.step["type"] == "llm_call" else str(_name(self.step))
        return self.within, self.step["type"], name

    @property
    def whole(self) -> Hashable:
        asked = self.step.get("tools_asked")
        return self.by_name, _text(self.step.get("input")), _text(asked)


def _place(old: int | None, new: int | None) -> str:
    if new is None:
        return "" if old is None else f"step {old} of before, "
    return f"step {new}, " if old in (None, new) else f"step {new} (was {old}), "


def compare(old: Snapshot, new: Snapshot, *, ignore: Collection[ChangeKind] = ()) -> SnapshotDiff:
    """Return what is different in *new*.

    Args:
        old, new: The snapshots.
        ignore: Kinds of changes that do not matter: ``ignore={"output drift"}``.

    Raises:
        ValueError: *ignore* names a kind there is not.
    """
    if strange := sorted(set(ignore) - set(KINDS)):
        raise ValueError(f"no such kind of change: {', '.join(strange)}; there are {', '.join(KINDS)}")
    before, after = list(_flat(old.steps)), list(_flat(new.steps))
    changes = list(_of_run(old, new))
    for kind, left, right in _pairs(before, after):
        changes += _of_step(kind, left, right)
    return SnapshotDiff([change for change in changes if change.kind not in ignore])


def _flat(steps: list[dict[str, Any]]) -> Iterator[_Place]:
    waiting: list[tuple[dict[str, Any], tuple[str, ...]]] = [(step, ()) for step in reversed(steps)]
    number = 0
    while waiting:
        step, within = waiting.pop()
        number += 1
        yield _Place(number, step, within)
        inside = (*within, _plain(_name(step) or step["type"]))
        waiting += [(child, inside) for child in reversed(step.get("steps", ()))]


def _name(step: dict[str, Any]) -> Any:
    return step.get("tool") or step.get("agent") or step.get("model")


# Bringing steps together.

_Pair: TypeAlias = "tuple[ChangeKind | None, _Place | None, _Place | None]"


def _pairs(before: list[_Place], after: list[_Place]) -> list[_Pair]:
    """Return the steps brought together, in the order of *after*; what is missing where it stood."""
    pairs: list[_Pair] = []
    gaps: list[tuple[list[_Place], list[_Place]]] = []
    for left, right, is_equal in _aligned(before, after, "whole"):
        if is_equal:
            pairs += [(None, one, other) for one, other in zip(left, right, strict=True)]
            continue
        rest: tuple[list[_Place], list[_Place]] = ([], [])
        for inner_left, inner_right, is_named in _aligned(left, right, "by_name"):
            if is_named:
                pairs += [(None, one, other) for one, other in zip(inner_left, inner_right, strict=True)]
            else:
                rest[0].extend(inner_left)
                rest[1].extend(inner_right)
        gaps.append(rest)
    for key in ("whole", "by_name"):
        pairs += _moved(gaps, key)
    for left, right in gaps:
        pairs += _replaced(left, right)
        pairs += [("step missing", one, None) for one in left]
        pairs += [("step added", None, one) for one in right]
    return sorted(pairs, key=_order(pairs))


def _aligned(
    before: Sequence[_Place], after: Sequence[_Place], key: str
) -> Iterator[tuple[list[_Place], list[_Place], bool]]:
    left, right = [getattr(one, key) for one in before], [getattr(one, key) for one in after]
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        yield list(before[a:b]), list(after[c:d]), tag == "equal"


def _moved(gaps: list[tuple[list[_Place], list[_Place]]], key: str) -> list[_Pair]:
    """Take out of *gaps* the steps that stand elsewhere in the new run."""
    waiting: dict[Hashable, list[tuple[list[_Place], _Place]]] = {}
    for left, _ in gaps:
        for one in left:
            waiting.setdefault(getattr(one, key), []).append((left, one))
    pairs: list[_Pair] = []
    for _, right in gaps:
        for other in list(right):
            if found := waiting.get(getattr(other, key)):
                left, one = found.pop(0)
                left.remove(one)
                right.remove(other)
                pairs.append(("reordered", one, other))
    return pairs


def _replaced(left: list[_Place], right: list[_Place]) -> list[_Pair]:
    """Take out of one gap the tools that stand in the place of others."""
    pairs: list[_Pair] = []
    for one in [place for place in left if place.step["type"] == "tool_call"]:
        other = next((p for p in right if p.step["type"] == "tool_call" and p.within == one.within), None)
        if other is not None:
            left.remove(one)
            right.remove(other)
            pairs.append(("tool changed", one, other))
    return pairs


def _order(pairs: list[_Pair]) -> Any:
    # A missing step stands behind the one that came before it and is still there.
    behind = sorted((one.number, other.number) for _, one, other in pairs if one and other)

    def key(pair: _Pair) -> tuple[float, int]:
        _, one, other = pair
        if other is not None:
            return other.number, 0
        assert one is not None
        places = [new for old, new in behind if old < one.number]
        return (places[-1] if places else 0) + 0.5, one.number

    return key


# What is different between two steps.


def _of_run(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    if old.status != new.status:
        yield Change("status changed", "run", detail=f"{_plain(old.status)} -> {_plain(new.status)}")
    yield from _of_error("run", None, None, old.error, new.error)


def _of_step(kind: ChangeKind | None, old: _Place | None, new: _Place | None) -> Iterator[Change]:
    if new is None:
        assert old is not None
        yield Change("step missing", old.words, old.number, None, _given(old.step))
        return
    if old is None:
        yield Change("step added", new.words, None, new.number, _given(new.step))
        return
    one, other = old.step, new.step
    place = (new.words, old.number, new.number)
    if kind == "tool changed":
        yield Change("tool changed", *place, f"{_shown(_name(one))} -> {_shown(_name(other))}")
    elif kind == "reordered":
        yield Change("reordered", *place)
    if one["type"] == "llm_call":
        if one.get("model") != other.get("model"):
            yield Change("model changed", *place, _detail(one.get("model"), other.get("model")))
        for key in ("tools_asked", "stop_reason"):
            if one.get(key) != other.get(key):
                words = key.replace("_", " ")
                yield Change("answer changed", *place, f"{words}: {_detail(one.get(key), other.get(key))}")
                break
    if one.get("input") != other.get("input"):
        yield Change("arguments changed", *place, _detail(one.get("input"), other.get("input")))
    yield from _of_error(*place, one.get("error"), other.get("error"))
    if one.get("status") != other.get("status"):
        yield Change(
            "status changed", *place, _detail(one.get("status", "ended"), other.get("status", "ended"))
        )
    elif one.get("output") != other.get("output") and (one.get("error") is None) == (
        other.get("error") is None
    ):
        yield Change("output drift", *place, _detail(one.get("output"), other.get("output")))


def _of_error(
    words: str, old_place: int | None, new_place: int | None, old: Any, new: Any
) -> Iterator[Change]:
    if old is None and new is not None:
        yield Change("new error", words, old_place, new_place, _shown(new))
    elif old is not None and new is None:
        yield Change("error gone", words, old_place, new_place, _shown(old))
    elif old != new:
        yield Change("error changed", words, old_place, new_place, _detail(old, new))


# In words.


def _given(step: dict[str, Any]) -> str:
    return _shown(step["input"]) if step.get("input") else ""


def _detail(old: Any, new: Any) -> str:
    """Return what differs between two values: the places inside them where it does."""
    parts = list(_parts("", old, new, 0))
    if len(parts) == 1 and not parts[0][0]:
        return _change(*parts[0][1:])
    lines = [f"{place}: {_change(one, other)}" for place, one, other in parts[:_PARTS]]
    if len(parts) > _PARTS:
        lines.append(f"and {len(parts) - _PARTS} more")
    return "\n".join(["", *lines]) if len(lines) > 1 else lines[0]


_NOTHING = object()


def _parts(place: str, old: Any, new: Any, depth: int) -> Iterator[tuple[str, Any, Any]]:
    if type(old) is dict and type(new) is dict and depth < 20:
        for key in [*old, *(key for key in new if key not in old)]:
            one, other = old.get(key, _NOTHING), new.get(key, _NOTHING)
            if one != other:
                yield from _parts(f"{place}.{_plain(key)}" if place else _plain(key), one, other, depth + 1)
    elif type(old) is list and type(new) is list and len(old) == len(new) and depth < 20:
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            if one != other:
                yield from _parts(f"{place}[{number}]", one, other, depth + 1)
    else:
        yield place, old, new


def _change(old: Any, new: Any) -> str:
    if old is _NOTHING:
        return f"(nothing) -> {_shown(new)}"
    if new is _NOTHING:
        return f"{_shown(old)} -> (nothing)"
    if type(old) is str and type(new) is str:
        # Where they part, not what they begin with alike.
        alike = next(
            (n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new))
        )
        if alike > _SHOWN // 2:
            begin = alike - _SHOWN // 4
            return f"...{_shown(old[begin:])} -> ...{_shown(new[begin:])} (from character {alike + 1})"
    return f"{_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    text = _text(value, is_ascii=True)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _text(value: Any, *, is_ascii: bool = False) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=is_ascii)


def _plain(name: Any) -> str:
    """Return a name for the eyes: nothing in it can move a terminal's cursor."""
    return json.dumps(str(name))[1:-1]
