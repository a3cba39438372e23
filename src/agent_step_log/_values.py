"""Turning any Python value into JSON: the table of `docs/values.md`, in code.

Encoding is tried at full speed first and almost always ends there. A value that
JSON has no form for goes through `plain`, one object at a time; a record that
still cannot be encoded (a cycle, a lone surrogate, a record too large) is walked
once by `_Walker`, which bounds its depth and size, and is marked ``degraded``.

Nothing here raises, and nothing here runs code of the value's own: no
``__repr__``, ``__str__``, ``__iter__``, property or ``__getattr__`` of a class
this module does not know. What it reads of an unknown object is its type's name.
"""

from __future__ import annotations

import sys
from binascii import b2a_base64
from collections import deque
from contextlib import suppress
from decimal import Decimal
from enum import Enum
from gc import is_tracked
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec

from agent_step_log._interrupts import is_from_signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "MAX_RECORD_BYTES",
    "encode_record",
    "error_text",
    "json_text",
    "may_explode",
    "plain",
    "type_name",
]

#: A longer line is walked and cut. Readers take lines four times as long.
MAX_RECORD_BYTES = 16 * 1024 * 1024

_MAX_DEPTH = 64  # of nested containers, in a record that had to be walked
_MAX_NODES = 200_000  # values kept of such a record; msgspec writes about 1 MB a 100,000
_MAX_TEXT = 1024 * 1024  # characters kept of one string of such a record
_MAX_TOTAL = 8 * 1024 * 1024  # characters kept of all its strings together
_SHORT_TEXT = 256  # characters kept of a string once _MAX_TOTAL is used up
_DEEP = 8  # levels from which a value is walked before it is encoded
_NESTING = frozenset({dict, list, tuple})
_MAX_ARRAY = 10_000  # elements of a numpy array written out in full
_ARRAY_HEAD = 100  # elements kept of a larger one

_qualname = cast("Callable[[type], object]", type.__dict__["__qualname__"].__get__)
_module = cast("Callable[[type], object]", type.__dict__["__module__"].__get__)


def type_name(cls: type) -> str:
    """Return ``module.QualifiedName`` of *cls* (no module for builtins), without running its code."""
    try:
        name, module = _qualname(cls), _module(cls)
    except Exception:  # noqa: BLE001  a metaclass may have broken either
        return "object"
    if type(name) is not str:
        return "object"
    return f"{module}.{name}" if type(module) is str and module != "builtins" else name


def _describe(value: object) -> str:
    """Name *value* by its type alone: ``<module.Class>``."""
    return f"<{type_name(type(value))}>"


def error_text(error: BaseException) -> str:
    """Return the message of an exception that was raised, as a traceback would show it.

    This is the one place that asks a value for its text: an exception's message
    is why it exists. If that fails too, the message says so.
    """
    try:
        text = str(error)
        return text if type(text) is str else str.__str__(text)
    except Exception as failure:  # noqa: BLE001  a broken __str__ must not reach the agent
        return f"<message unavailable: {type_name(type(failure))}>"


def _error_value(error: BaseException) -> dict[str, object]:
    """Form of an exception met as a value: its C-level arguments, never its ``__str__``."""
    args = BaseException.__dict__["args"].__get__(error)
    return {"error_type": type_name(type(error)), "args": list(args)}


def _function_name(value: Any) -> str:
    if type(value) is MethodType:
        value = value.__func__
    if type(value) in (FunctionType, BuiltinFunctionType):
        module, name = value.__module__, value.__qualname__
        return f"{module}.{name}" if type(module) is str else str(name)
    return _describe(value)


def _array(value: Any) -> object:
    """Form of a numpy array: nested lists up to _MAX_ARRAY elements, else its shape and beginning."""
    if value.size <= _MAX_ARRAY:
        return value.tolist()
    return {
        "dtype": value.dtype.str,
        "shape": list(value.shape),
        "head": value.reshape(-1)[:_ARRAY_HEAD].tolist(),
        "cut": f"{_ARRAY_HEAD} of {value.size} elements",
    }


def _pydantic(value: object) -> object:
    """Form of a pydantic model (1 and 2): the fields as stored, aliases and serialisers not applied."""
    fields = dict(object.__getattribute__(value, "__dict__"))
    with suppress(AttributeError):
        fields.update(object.__getattribute__(value, "__pydantic_extra__") or {})
    return fields


_EXACT: dict[type, Callable[[Any], object]] = {
    type(...): lambda _: "...",
    type(None): lambda _: "null",  # met here only as a key; as a value the encoder writes null
    bool: lambda value: "true" if value else "false",  # as a key
    tuple: lambda value: json_text(list(value)),  # as a key
    frozenset: lambda value: json_text(list(value)),  # as a key
    complex: complex.__repr__,
    deque: list,
    range: lambda value: [value.start, value.stop, value.step],
    slice: lambda value: [value.start, value.stop, value.step],
    type({}.keys()): list,
    type({}.values()): list,
    type({}.items()): list,
    MappingProxyType: dict,
    SimpleNamespace: lambda value: dict(vars(value)),
    FunctionType: _function_name,
    BuiltinFunctionType: _function_name,
    MethodType: _function_name,
    CodeType: lambda value: str(value.co_qualname),
    ModuleType: lambda value: str(vars(value).get("__name__")),
}

# Looked up by inheritance, in this order. `type(value)` is used throughout, as
# `isinstance` would fall back to an attribute of the value.
_BASES: tuple[tuple[type, Callable[[Any], object]], ...] = (
    (str, str.__str__),
    (bool, bool),
    (int, int.__int__),
    (float, float.__float__),
    (BaseException, _error_value),
    (bytes, lambda value: b2a_base64(bytes.__getitem__(value, slice(None)), newline=False).decode()),
    (bytearray, lambda value: b2a_base64(bytearray.__getitem__(value, slice(None)), newline=False).decode()),
    (deque, lambda value: [*deque.__iter__(value)]),
    (type, type_name),
)

# Classes of libraries that may not be installed: asked for only when loaded.
_OPTIONAL: tuple[tuple[str, str, Callable[[Any], object]], ...] = (
    ("pathlib", "PurePath", lambda value: sys.modules["pathlib"].PurePath.__str__(value)),
    ("numpy", "generic", lambda value: value.item()),
    ("numpy", "ndarray", _array),
    ("pydantic", "BaseModel", _pydantic),
    ("pydantic.v1", "BaseModel", _pydantic),
    ("fractions", "Fraction", lambda value: f"{value.numerator}/{value.denominator}"),
    ("array", "array", list),
)


def plain(value: object) -> object:
    """Return the JSON form of one object the encoder does not know.

    Used by the encoder for each such object it meets, keys included; its answer
    is encoded in turn. Never raises.
    """
    cls = type(value)
    try:
        form = _EXACT.get(cls)
        if form is not None:
            return form(value)
        for base, form in _BASES:
            if issubclass(cls, base):
                return form(value)
        for module, name, form in _OPTIONAL:
            loaded = sys.modules.get(module)
            known: type | None = getattr(loaded, name, None) if loaded is not None else None
            if known is not None and issubclass(cls, known):
                # numpy's longdouble and object scalars return themselves
                answer = form(value)
                return _describe(value) if type(answer) is cls else answer
    except Exception:  # noqa: BLE001  a value must never break the recorder
        return _describe(value)
    return _describe(value)


_encode = msgspec.json.Encoder(enc_hook=plain).encode


def may_explode(value: object) -> bool:
    """Whether *value* is nested so deeply that shared parts could multiply; it is then walked, not encoded.

    Ten lists, each holding the one before ten times, are a hundred references and ten
    billion values once written out: what a YAML file with aliases can make. The encoder
    has no bound against it, and counting every value first would cost as much as
    encoding it. Such a thing must be deep to be small, so this follows the first and the
    last child down, which costs tens of nanoseconds, and calls for the walk from
    `_DEEP` levels on.
    """
    return _is_deep(value, 0) or _is_deep(value, -1)


def _is_deep(value: Any, end: int) -> bool:
    for _ in range(_DEEP):
        cls = type(value)
        if not value if cls in _NESTING else True:
            return False
        if cls is dict:
            value = next(iter(value.values()) if end == 0 else reversed(value.values()))
        else:
            value = value[end]
    return True


def json_text(value: object) -> str:
    """Return *value* as JSON text under the rules of this module. Never raises."""
    try:
        return _encode(value).decode()
    except Exception:  # noqa: BLE001
        return _encode(_Walker().walk(value)).decode()


def encode_record(record: msgspec.Struct) -> bytes:
    """Return *record* as one line with its newline. Never raises.

    A record that cannot be encoded as it is, or is longer than
    `MAX_RECORD_BYTES`, is written with what had to give way marked: its
    ``degraded`` key lists the reasons, each once: ``cut``, ``cycle``, ``depth``,
    ``number``, ``text``, ``value``.
    """
    try:
        for name in _payloads_of(type(record)):
            value = getattr(record, name)
            # Only a container of containers is tracked; text, the usual payload, is not.
            if is_tracked(value) and may_explode(value):
                return _encode_degraded(record)
        line = _encode(record)
    except Exception as error:
        if is_from_signal(error):
            raise
        return _encode_degraded(record)  # the walk answers every case
    return line + b"\n" if len(line) <= MAX_RECORD_BYTES else _encode_degraded(record)


# Keys that hold values of the agent's own, of whatever shape.
_PAYLOADS = ("input", "output", "data", "attrs", "usage", "metadata", "tool_calls", "exchange")
_payloads: dict[type, tuple[str, ...]] = {}


def _payloads_of(cls: type[msgspec.Struct]) -> tuple[str, ...]:
    names = _payloads.get(cls)
    if names is None:
        names = _payloads[cls] = tuple(name for name in _PAYLOADS if name in cls.__struct_fields__)
    return names


def _encode_degraded(record: msgspec.Struct) -> bytes:
    walker = _Walker()
    fields: dict[str, object] = {}
    for info in msgspec.structs.fields(record):
        value = getattr(record, info.name)
        if info.required or value is not info.default:
            fields[info.name] = walker.walk(value)
    if walker.reasons:
        fields["degraded"] = record.degraded = sorted(walker.reasons)  # type: ignore[attr-defined]
    try:
        return _encode(fields) + b"\n"
    except Exception:  # noqa: BLE001  no known value comes here; the head still tells a step happened
        head = {name: fields[name] for name in ("run_id", "step", "type", "ts")}
        return _encode({**head, "degraded": ["value"]}) + b"\n"


class _Walker:
    """One walk over the values of one record, within fixed bounds of depth, count and text.

    `reasons` collects why the result differs from the value.
    """

    def __init__(self) -> None:
        self.reasons: set[str] = set()
        self._nodes = _MAX_NODES
        self._text = _MAX_TOTAL
        self._above: set[int] = set()  # ids of the containers being walked: a cycle shows here

    def walk(self, value: object, depth: int = 0) -> object:
        self._nodes -= 1
        cls = type(value)
        if value is None or cls is bool or cls is float:
            return value
        if cls is str:
            return self._string(cast("str", value))
        if cls is int:
            return self._integer(cast("int", value))
        if self._nodes < 0:
            return self._mark("cut", "<cut: too many values>")
        if issubclass(cls, (dict, list, tuple, set, frozenset)):
            return self._container(value, depth)
        return self._object(value, depth)

    def _mark(self, reason: str, form: object) -> object:
        self.reasons.add(reason)
        return form

    def _string(self, text: str) -> str:
        limit = _MAX_TEXT if self._text > 0 else _SHORT_TEXT
        kept = text
        if len(text) > limit:
            from hashlib import sha256

            self.reasons.add("cut")
            digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            kept = f"{text[:limit]}…[cut: {len(text)} characters, sha256 {digest}]"
        self._text -= len(kept)
        try:
            kept.encode()
        except UnicodeEncodeError:
            self.reasons.add("text")
            kept = kept.encode("utf-8", "backslashreplace").decode()
        return kept

    def _integer(self, number: int) -> object:
        # Python refuses to write longer ones in decimal; hexadecimal is linear.
        if -(1 << 4096) < number < 1 << 4096:
            return number
        return self._mark("number", self._string(hex(number)))

    def _container(self, value: Any, depth: int) -> object:
        if id(value) in self._above:
            return self._mark("cycle", "<cycle>")
        if depth >= _MAX_DEPTH:
            return self._mark("depth", "<cut: too deep>")
        self._above.add(id(value))
        try:
            if issubclass(type(value), dict):
                return self._mapping(dict.items(value), depth)
            return self._sequence(_iterate(value), depth)
        finally:
            self._above.discard(id(value))

    def _mapping(self, items: Iterable[tuple[object, object]], depth: int) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, value in items:
            if self._nodes < 0:
                self.reasons.add("cut")
                break
            result[self._key(key)] = self.walk(value, depth + 1)
        return result

    def _sequence(self, values: Iterable[object], depth: int) -> list[object]:
        result: list[object] = []
        for value in values:
            if self._nodes < 0:
                self.reasons.add("cut")
                break
            result.append(self.walk(value, depth + 1))
        return result

    def _key(self, key: object) -> str:
        if type(key) is str:
            return self._string(key)
        form = self.walk(key)
        return form if type(form) is str else json_text(form)

    def _object(self, value: object, depth: int) -> object:
        if depth >= _MAX_DEPTH:
            return self._mark("depth", "<cut: too deep>")
        cls = type(value)
        if issubclass(cls, (Enum, UUID, Decimal)) or cls.__module__ == "datetime":
            return self._leaf(value)
        if id(value) in self._above:
            return self._mark("cycle", "<cycle>")
        fields = _struct_fields(value)
        form = plain(value) if fields is None else fields
        if type(form) is cls:
            return self._mark("value", _describe(value))
        # The form is a fresh container each time; the object itself is what may recur.
        self._above.add(id(value))
        try:
            return self.walk(form, depth + 1)
        finally:
            self._above.discard(id(value))

    def _leaf(self, value: object) -> object:
        """What the encoder writes as one scalar; its own words, read back."""
        try:
            form: object = msgspec.json.decode(_encode(value))
        except Exception:  # noqa: BLE001
            return self._mark("value", _describe(value))
        return form


def _iterate(value: Any) -> Iterable[object]:
    """Iterate a list, tuple or set by its built-in base, whatever a subclass overrides."""
    for base in (list, tuple, set, frozenset):
        if issubclass(type(value), base):
            return cast("Iterable[object]", base.__iter__(value))
    return ()


def _struct_fields(value: object) -> dict[str, object] | None:
    """Return the stored fields of a dataclass, attrs or msgspec object, None for anything else."""
    names: object = None
    for marker in ("__dataclass_fields__", "__attrs_attrs__", "__struct_fields__"):
        for cls in type.__dict__["__mro__"].__get__(type(value)):
            names = vars(cls).get(marker)
            if names is not None:
                break
        if names is not None:
            break
    if names is None:
        return None
    fields: dict[str, object] = {}
    for item in cast("Iterable[Any]", names):
        name = item if type(item) is str else item.name
        try:
            fields[name] = object.__getattribute__(value, name)
        except AttributeError:
            continue
    return fields
