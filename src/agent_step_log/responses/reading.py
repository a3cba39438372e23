"""Looking into a response without running code of its own, and keeping what it said within bounds.

Everything here reads what an object *stores*: the items of a dict, the fields of
a pydantic model (every SDK's response classes are such models), the ``__dict__``
of anything else. No attribute is asked for by name, so no property, no
``__getattr__`` and no lazy body is ever set off. A provider's decoder gets plain
dicts, lists, strings and numbers, under the names the wire uses.
"""

from __future__ import annotations

import sys
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from io import StringIO
from types import GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias, cast
from uuid import UUID

import msgspec

from agent_step_log._values import plain, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "MAX_BLOCKS",
    "Budget",
    "Parts",
    "Text",
    "count",
    "dicts",
    "known",
    "members",
    "parse_arguments",
    "text",
    "token_fields",
    "tree",
]

Parts: TypeAlias = dict[str, Any]
_DictDescriptor: TypeAlias = GetSetDescriptorType | MemberDescriptorType

#: Blocks, choices, tool calls kept of one stream. Real ones hold tens.
MAX_BLOCKS = 4096

_MAX_STREAM_TEXT = 1024 * 1024  # characters of text kept of one stream
_MAX_DEPTH = 64  # of nested values in one response
_MAX_NODES = 200_000  # values read of one response
_MAX_NAME = 256  # characters of an id or name kept once the budget is used up
_MAX_COUNT = 1 << 53  # tokens; more is no count, and no float would hold it
_MAX_READERS = 1024  # classes remembered

# What an SDK adds to its models that never was on the wire: parsed answers
# (objects of the user's own), the transport's response, the history sent.
_ADDED = frozenset(
    {"parsed", "parsed_output", "parsed_arguments", "sdk_http_response", "automatic_function_calling_history"}
)

_mro = cast("Callable[[type], tuple[type, ...]]", type.__dict__["__mro__"].__get__)
_class_dict = cast("Callable[[type], dict[str, Any]]", type.__dict__["__dict__"].__get__)


def members(value: object) -> Parts:
    """Return the named parts *value* stores, each as it is; empty for what has none."""
    cls = type(value)
    if cls is dict:
        return {key: part for key, part in cast("Parts", value).items() if type(key) is str}
    return _reader(cls)(value)


def tree(value: object) -> Any:
    """Return *value* as fresh dicts, lists, strings and numbers, bounded in depth and size."""
    return _tree(value, 0, [_MAX_NODES])


def _tree(value: Any, depth: int, left: list[int]) -> Any:
    cls = type(value)
    if cls is str or cls is int or cls is float or cls is bool or value is None:
        return value
    left[0] -= 1
    if depth >= _MAX_DEPTH or left[0] < 0:
        return "<cut: too deep>" if left[0] >= 0 else "<cut: too many values>"
    depth += 1
    if cls is dict:
        return {key: _tree(part, depth, left) for key, part in value.items() if type(key) is str}
    if cls is list or cls is tuple:
        return [_tree(part, depth, left) for part in value]
    if issubclass(cls, list | tuple):
        base: Any = list if issubclass(cls, list) else tuple
        return [_tree(part, depth, left) for part in base.__iter__(value)]
    if issubclass(cls, str):
        return str.__str__(value)
    parts = _reader(cls)(value)
    if parts or issubclass(cls, dict):
        return {key: _tree(part, depth, left) for key, part in parts.items()}
    return _leaf(value, depth, left)


def _leaf(value: Any, depth: int, left: list[int]) -> Any:
    cls = type(value)
    try:
        is_scalar = issubclass(cls, Enum | UUID | Decimal | date | time | timedelta)
        form = msgspec.to_builtins(value) if is_scalar else plain(value)
    except Exception:  # noqa: BLE001  one odd value must not cost the rest
        form = value
    return f"<{type_name(cls)}>" if type(form) is cls else _tree(form, depth, left)


# By the id of the class, which is kept beside it: a class may have a metaclass
# whose __hash__ is not ours to run.
_readers: dict[int, tuple[type, Callable[[Any], Parts]]] = {}


def _reader(cls: type) -> Callable[[Any], Parts]:
    """Return the function that reads the stored parts of instances of *cls*."""
    found = _readers.get(id(cls))
    if found is not None:
        return found[1]
    reader = _find_reader(cls)
    if len(_readers) >= _MAX_READERS:
        _readers.clear()
    _readers[id(cls)] = (cls, reader)
    return reader


def _find_reader(cls: type) -> Callable[[Any], Parts]:
    if issubclass(cls, dict):
        return _read_dict
    stored = None if issubclass(cls, type | ModuleType) else _dict_descriptor(cls)
    if stored is None:
        return _read_nothing
    for module in ("pydantic.main", "pydantic.v1.main"):
        base = vars(sys.modules[module]).get("BaseModel") if module in sys.modules else None
        if base is not None and any(ancestor is base for ancestor in _mro(cls)):
            return _model_reader(cls, base, stored)
    return lambda value: _public(_read_dict(stored.__get__(value)))


def _read_nothing(_: object) -> Parts:
    return {}


def _read_dict(value: dict[Any, Any]) -> Parts:
    return {key: part for key, part in dict.items(value) if type(key) is str}


def _dict_descriptor(cls: type) -> _DictDescriptor | None:
    """Return what fetches an instance's own ``__dict__``, past any property of that name."""
    for ancestor in _mro(cls):
        found = _class_dict(ancestor).get("__dict__")
        if type(found) is GetSetDescriptorType or type(found) is MemberDescriptorType:
            return found
    return None


def _public(parts: Parts) -> Parts:
    """Return *parts* without what their class keeps to itself: clients, sockets, caches."""
    return {name: part for name, part in parts.items() if name[:1] != "_" or name == "_request_id"}


def _model_reader(cls: type, base: type, stored: _DictDescriptor) -> Callable[[Any], Parts]:
    """Return the reader of one pydantic class: the fields that were sent, under their wire names."""
    slots = _class_dict(base)
    sent = slots.get("__pydantic_fields_set__") or slots.get("__fields_set__")
    extra = slots.get("__pydantic_extra__")
    wire = _wire_names(cls)

    def read(value: object) -> Parts:
        own, names = stored.__get__(value), _slot(sent, value)
        if type(names) is not set:
            names = own
        parts = {
            wire.get(name, name): part
            for name, part in dict.items(own)
            if type(name) is str and name in names and name not in _ADDED
        }
        more = _slot(extra, value)
        if type(more) is dict and more:
            parts.update(_read_dict(more))
        if "_request_id" in own:  # set by the SDK from the response's headers
            parts["_request_id"] = own["_request_id"]
        return parts

    return read


def _slot(descriptor: Any, value: object) -> object:
    try:
        return None if descriptor is None else descriptor.__get__(value)
    except AttributeError:
        return None


def _wire_names(cls: type) -> dict[str, str]:
    """Return the names on the wire of the fields of a model that have others in Python."""
    fields = _class_dict(cls).get("__pydantic_fields__")
    if type(fields) is not dict:
        return {}
    if type_name(cls).startswith("google.genai."):  # its aliases are made when first used
        return {name: _camel_case(name) for name in fields}
    pairs = ((name, getattr(field, "alias", None)) for name, field in fields.items())
    return {name: alias for name, alias in pairs if type(alias) is str}


def _camel_case(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def text(value: object) -> str | None:
    """Return *value* if it is text that says something, else None."""
    cls = type(value)
    if cls is not str:
        if not issubclass(cls, str):
            return None
        value = str.__str__(cast("str", value))
    return cast("str", value) or None


def count(value: object) -> int | None:
    """Return *value* if it can be a number of tokens, else None."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _MAX_COUNT else None


def dicts(value: object) -> list[Parts]:
    """Return the dicts of a list a decoder has read with `tree`, others left out."""
    return [item for item in value if type(item) is dict] if type(value) is list else []


def known(**fields: Any) -> Parts:
    """Return the fields that say something."""
    return {name: value for name, value in fields.items() if value is not None and value not in ([], {})}


def token_fields(
    usage: Parts,
    *,
    prompt: int | None,
    output: int | None,
    cache_read: int | None = None,
    cache_write: int | None = None,
    reasoning: int | None = None,
) -> Parts:
    """Return the normalised counts beside *usage*, the provider's own.

    A part larger than its whole was counted in some other way (some resellers
    count reasoning with another tokenizer): it is left out, and `usage` keeps it.
    """
    if prompt is not None and (cache_read or 0) + (cache_write or 0) > prompt:
        cache_read = cache_write = None
    if output is not None and reasoning is not None and reasoning > output:
        reasoning = None
    return known(
        input_tokens=prompt,
        output_tokens=output,
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        reasoning_tokens=reasoning,
        usage=usage,
    )


def parse_arguments(arguments: str) -> Any:
    """Return the JSON of a streamed tool input, or the text itself while it is not whole."""
    try:
        return msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return arguments


class Budget:
    """The room one stream has for what is assembled from it, shared by all its texts."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = _MAX_STREAM_TEXT

    def keep(self, block: Parts) -> Parts:
        """Return *block* if there is room, else what identifies it and how much was cut."""
        try:
            size = len(msgspec.json.encode(block))
        except (msgspec.EncodeError, UnicodeError, RecursionError, OverflowError):
            size = self.left + 1
        if size <= self.left:
            self.left -= size
            return block
        kept = {name: block.get(name) for name in ("type", "id", "call_id", "name", "role")}
        short = {name: part[:_MAX_NAME] for name, part in kept.items() if type(part) is str}
        return {**short, "cut": f"{size} bytes"}


class Text:
    """Text that arrives in pieces; past the budget it is counted, not kept."""

    __slots__ = ("_budget", "_buffer", "_dropped", "_length")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._buffer = StringIO(newline="")
        self._length = self._dropped = 0

    def add(self, piece: object) -> None:
        """Append *piece* if it is text."""
        if type(piece) is not str:
            return
        budget, size = self._budget, len(piece)
        if size <= budget.left:
            budget.left -= size
            self._length += size
            self._buffer.write(piece)
            return
        kept = budget.left
        budget.left = 0
        self._dropped += size - kept
        self._length += kept
        self._buffer.write(piece[:kept])

    def value(self) -> str:
        """Return the text so far, with a mark where it was cut."""
        kept = self._buffer.getvalue()
        return f"{kept}…[cut: {self._dropped} characters]" if self._dropped else kept

    def release(self) -> None:
        """Give the room back: the whole text came in another way."""
        self._budget.left += self._length
        self._buffer, self._length, self._dropped = StringIO(newline=""), 0, 0
