"""Turning any Python value into JSON: the table of `docs/values.md`, in code.

Encoding is tried at full speed first and almost always ends there. A value that
JSON has no form for goes through `plain`, one object at a time; a record that
still cannot be encoded (a cycle, a lone surrogate, a record too large) is walked
once by `_Walker`, which bounds its depth and size, and is marked ``degraded``.

Nothing here raises, and nothing here runs code of the value's own: no
``__repr__``, ``__str__``, ``__iter__``, property or ``__getattr__`` of a class
this module does not know. What it reads of an unknown object is its type's name.
The encoder itself is not as strict with dataclasses and sets; `docs/values.md` says
where.
"""

from __future__ import annotations

import sys
from binascii import b2a_base64
from collections import deque
from decimal import Decimal
from enum import Enum
from gc import is_tracked
from itertools import islice
from math import isfinite
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
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
_MAX_TEXT = 1024 * 1024  # characters kept of one string of such a record: at most 6 MB in JSON
_MAX_ROOM = 8 * 1024 * 1024  # bytes all its values together may take before the rest is cut
_NUMBER_ROOM = 24  # bytes the longest ordinary number takes
_MAX_PLAIN = 4 * MAX_RECORD_BYTES  # bytes a value may seem to take and still be encoded without a walk
_SAMPLE = 8  # values of a dict looked at for one that holds others
_MAX_ARRAY = 10_000  # elements of a numpy array written out in full
_ARRAY_HEAD = 100  # elements kept of a larger one

# What a class is, asked in a way that its metaclass has no say in.
_qualname = cast("Callable[[type], object]", type.__dict__["__qualname__"].__get__)
_module = cast("Callable[[type], object]", type.__dict__["__module__"].__get__)
_mro = cast("Callable[[type], tuple[type, ...]]", type.__dict__["__mro__"].__get__)
_namespace = cast("Callable[[type], MappingProxyType[str, Any]]", type.__dict__["__dict__"].__get__)
_MISSING = object()


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
    except Exception as failure:  # a broken __str__ must not reach the agent
        if is_from_signal(failure):
            raise
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


def _base64(data: bytes | bytearray) -> str:
    return b2a_base64(data, newline=False).decode()


def _scalar(value: Any) -> object:
    """Form of a numpy scalar: Python's; the text of a date or duration Python has no type for."""
    numpy = sys.modules["numpy"]
    answer = numpy.generic.item(value)
    if type(answer) is int:
        for known in (numpy.datetime64, numpy.timedelta64):
            if issubclass(type(value), known):
                return known.__str__(value)
    return answer


def _array(value: Any) -> object:
    """Form of a numpy array: nested lists up to _MAX_ARRAY elements, else its shape and beginning."""
    array = sys.modules["numpy"].ndarray
    dtype, size = array.dtype.__get__(value), array.size.__get__(value)
    if size <= _MAX_ARRAY:
        return _elements(value, dtype.kind)
    return {
        "dtype": dtype.str,
        "shape": list(array.shape.__get__(value)),
        "head": _elements(array.__getitem__(array.reshape(value, -1), slice(_ARRAY_HEAD)), dtype.kind),
        "cut": f"{_ARRAY_HEAD} of {size} elements",
    }


def _elements(value: Any, kind: str) -> object:
    array = sys.modules["numpy"].ndarray
    masked = sys.modules.get("numpy.ma")
    if masked is not None and type(value) is masked.MaskedArray:
        return value.tolist()  # null where it is masked
    # Dates and durations as text: Python's types cannot hold all of them.
    return array.tolist(array.astype(value, str) if kind in "mM" else value)


def _pydantic(value: object) -> object:
    """Form of a pydantic model (1 and 2): the fields as stored, aliases and serialisers not applied."""
    extra = _stored(value, "__pydantic_extra__")
    return {**_instance_dict(value), **(extra if type(extra) is dict else {})}


def _fraction(value: Any) -> str:
    fraction = sys.modules["fractions"].Fraction
    return f"{fraction.numerator.fget(value)}/{fraction.denominator.fget(value)}"


def _duration(value: Any) -> object:
    """A subclass of timedelta as a plain one, which the encoder knows."""
    timedelta = sys.modules["datetime"].timedelta
    return timedelta(
        *(getattr(timedelta, name).__get__(value) for name in ("days", "seconds", "microseconds"))
    )


def _instance_dict(value: object) -> dict[str, Any]:
    """Return the dict an object keeps its attributes in, whatever its class says ``__dict__`` is."""
    for base in _mro(type(value)):
        found = _namespace(base).get("__dict__")
        if type(found) is GetSetDescriptorType:
            attributes: dict[str, Any] = found.__get__(value)
            return attributes
    return {}


def _stored(value: object, name: str) -> object:
    """Return what *value* keeps under *name*, in a slot or its dict; never what a property makes of it."""
    for base in _mro(type(value)):
        found = _namespace(base).get(name)
        if type(found) is MemberDescriptorType:
            try:
                return found.__get__(value)
            except AttributeError:
                return _MISSING
    return dict.get(_instance_dict(value), name, _MISSING)


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
    memoryview: lambda value: _base64(value.tobytes()),  # one with gaps; the encoder knows the others
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
    (Decimal, Decimal.__str__),
    (bytes, lambda value: _base64(bytes.__getitem__(value, slice(None)))),
    (bytearray, lambda value: _base64(bytearray.__getitem__(value, slice(None)))),
    (tuple, lambda value: json_text([*tuple.__iter__(value)])),  # as a key
    (frozenset, lambda value: json_text([*frozenset.__iter__(value)])),  # as a key
    (deque, lambda value: [*deque.__iter__(value)]),
    (type, type_name),
)

# Classes of libraries that may not be installed: asked for only when loaded.
_OPTIONAL: tuple[tuple[str, str, Callable[[Any], object]], ...] = (
    ("pathlib", "PurePath", lambda value: sys.modules["pathlib"].PurePath.__str__(value)),
    ("datetime", "datetime", lambda value: sys.modules["datetime"].datetime.isoformat(value)),
    ("datetime", "date", lambda value: sys.modules["datetime"].date.isoformat(value)),
    ("datetime", "time", lambda value: sys.modules["datetime"].time.isoformat(value)),
    ("datetime", "timedelta", _duration),
    ("numpy", "generic", _scalar),
    ("numpy", "ndarray", _array),
    ("pydantic", "BaseModel", _pydantic),
    ("pydantic.v1", "BaseModel", _pydantic),
    ("fractions", "Fraction", _fraction),
    ("array", "array", lambda value: sys.modules["array"].array.tolist(value)),
)


def plain(value: object) -> object:
    """Return the JSON form of one object the encoder does not know.

    Used by the encoder for each such object it meets, keys included; its answer
    is encoded in turn. Never raises.
    """
    cls = type(value)
    try:
        # None of these has a metaclass, and one could have a hash of its own.
        form = _EXACT.get(cls) if type(cls) is type else None
        if form is not None:
            return form(value)
        for base, form in _BASES:
            if issubclass(cls, base):
                return form(value)
        for module, name, form in _OPTIONAL:
            loaded = sys.modules.get(module)
            known: type | None = getattr(loaded, name, None) if loaded is not None else None
            if known is not None and any(known is base for base in _mro(cls)):
                # numpy's longdouble and object scalars return themselves
                answer = form(value)
                return _describe(value) if type(answer) is cls else answer
    except Exception as error:  # a value must never break the recorder
        if is_from_signal(error):
            raise
    return _describe(value)


_encode = msgspec.json.Encoder(enc_hook=plain).encode


def may_explode(value: Any) -> bool:
    """Whether *value* may be far larger written out than it is in memory; it is then walked, not encoded.

    Ten lists, each holding the one before ten times, are a hundred references and ten
    billion values once written out: what a YAML file with aliases can make. The encoder
    has no bound against it, and counting every value first would cost as much as
    encoding it. What multiplies so is alike on every level, so this goes down one way
    only and multiplies the lengths it meets. It costs some hundred nanoseconds; where
    it errs on the large side, the walk is a waste of time and no more.
    """
    size = 2  # bytes a value takes at least, with its comma
    for _ in range(_MAX_DEPTH):
        cls = type(value)
        children: Iterable[Any]
        if cls is dict or cls is set or cls is frozenset:
            children = islice(value.values() if cls is dict else value, _SAMPLE)
        elif cls is list or cls is tuple:
            children = value if len(value) < 4 else (value[0], value[len(value) // 2], value[-1])
        else:
            return False
        below = None
        seen = nested = longest = 0
        for child in children:
            seen += 1
            kind = type(child)
            if kind is str:
                if len(child) > longest:
                    longest = len(child)
            elif (kind is dict or kind is list or kind is tuple or kind is frozenset) and child:
                nested += 1
                below = child
        if size * len(value) * longest > _MAX_PLAIN:
            return True
        size *= len(value) * nested // seen or 1 if nested else len(value)
        if size > _MAX_PLAIN:
            return True
        if below is None:
            return False
        value = below
    return True


def json_text(value: object) -> str:
    """Return *value* as JSON text under the rules of this module. Never raises."""
    try:
        return _encode(value).decode()
    except Exception as error:
        if is_from_signal(error):
            raise
        return _encode(_Walker().safely(value)).decode()


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
    given = {
        info.name: getattr(record, info.name)
        for info in msgspec.structs.fields(record)
        if info.required or getattr(record, info.name) is not info.default
    }
    # Payloads last: what is cut is cut from them, and not from the error or the step's place.
    first = [name for name in given if name not in _PAYLOADS]
    kept = {name: walker.safely(given[name]) for name in (*first, *_PAYLOADS) if name in given}
    fields = {name: kept[name] for name in given}
    if walker.reasons:
        fields["degraded"] = record.degraded = sorted(walker.reasons)  # type: ignore[attr-defined]
    try:
        line = _encode(fields) + b"\n"
    except Exception as error:  # no known value comes here
        if is_from_signal(error):
            raise
        line = b""
    if 0 < len(line) <= MAX_RECORD_BYTES:
        return line
    record.degraded = ["value"] if not line else ["cut"]  # type: ignore[attr-defined]
    # The head still tells that a step happened.
    head = {name: fields[name] for name in ("run_id", "step", "type", "ts")}
    return _encode({**head, "degraded": record.degraded}) + b"\n"  # type: ignore[attr-defined]


class _Walker:
    """One walk over the values of one record, within fixed bounds of depth, count and size.

    `reasons` collects why the result differs from the value.
    """

    def __init__(self) -> None:
        self.reasons: set[str] = set()
        self._nodes = _MAX_NODES
        self._room = _MAX_ROOM
        self._above: set[int] = set()  # ids of the containers being walked: a cycle shows here
        # The same long string may be referred to a thousand times: by id, with itself to keep the id its own.
        self._cuts: dict[int, tuple[str, str]] = {}

    def safely(self, value: object) -> object:
        """Walk *value*; its type's name when that fails, which no known value makes it do."""
        try:
            return self.walk(value)
        except Exception as error:
            if is_from_signal(error):
                raise
            return self._mark("value", _describe(value))

    def walk(self, value: object, depth: int = 0) -> object:
        self._nodes -= 1
        cls = type(value)
        if value is None or cls is bool or cls is float:
            self._room -= _NUMBER_ROOM
            return value
        if cls is str:
            return self._string(cast("str", value))
        if cls is int:
            return self._integer(cast("int", value))
        if self._is_full():
            return self._mark("cut", "<cut>")
        if issubclass(cls, (dict, list, tuple, set, frozenset)):
            return self._container(value, depth)
        return self._object(value, depth)

    def _is_full(self) -> bool:
        return self._nodes < 0 or self._room < 0

    def _mark(self, reason: str, form: object) -> object:
        self.reasons.add(reason)
        return form

    def _string(self, text: str) -> str:
        if self._is_full() and text:
            self.reasons.add("cut")
            return "<cut>"
        kept = text if len(text) <= _MAX_TEXT else self._cut(text)
        try:
            size = len(_encode(kept))
        except UnicodeEncodeError:
            self.reasons.add("text")
            kept = kept.encode("utf-8", "backslashreplace").decode()
            size = len(_encode(kept))
        self._room -= size
        return kept

    def _cut(self, text: str) -> str:
        self.reasons.add("cut")
        known = self._cuts.get(id(text))
        if known is None:
            from hashlib import sha256

            digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            short = f"{text[:_MAX_TEXT]}…[cut: {len(text)} characters, sha256 {digest}]"
            known = self._cuts[id(text)] = (text, short)
        return known[1]

    def _integer(self, number: int) -> object:
        if -(1 << 64) < number < 1 << 64:
            self._room -= _NUMBER_ROOM
            return number
        # Python refuses to write longer ones in decimal; hexadecimal is linear.
        if -(1 << 4096) < number < 1 << 4096:
            self._room -= number.bit_length() // 3
            return number if not self._is_full() else self._mark("cut", "<cut>")
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
            if self._is_full():
                self.reasons.add("cut")
                break
            result[self._key(key)] = self.walk(value, depth + 1)
        return result

    def _sequence(self, values: Iterable[object], depth: int) -> list[object]:
        result: list[object] = []
        for value in values:
            if self._is_full():
                self.reasons.add("cut")
                break
            result.append(self.walk(value, depth + 1))
        return result

    def _key(self, key: object) -> str:
        if type(key) is str:
            return self._string(key)
        form = self.walk(key)
        if type(form) is float and not isfinite(form):
            return repr(form)
        return form if type(form) is str else json_text(form)

    def _object(self, value: object, depth: int) -> object:
        if depth >= _MAX_DEPTH:
            return self._mark("depth", "<cut: too deep>")
        cls = type(value)
        module = _module(cls)
        if issubclass(cls, (Enum, UUID, Decimal)) or (type(module) is str and module == "datetime"):
            return self.walk(self._leaf(value), depth + 1)
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
        except Exception as error:
            if is_from_signal(error):
                raise
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
    names = _field_names(type(value))
    if names is None:
        return None
    fields = {shown: _stored(value, name) for name, shown in names}
    return {name: kept for name, kept in fields.items() if kept is not _MISSING and kept is not msgspec.UNSET}


def _field_names(cls: type) -> list[tuple[str, str]] | None:
    """Return the names of the fields, each with the name it is written under."""
    for base in _mro(cls):
        namespace = _namespace(base)
        names = namespace.get("__dataclass_fields__")
        if type(names) is dict:
            return [(name, name) for name in names if type(name) is str]
        names = namespace.get("__attrs_attrs__")
        if names is not None and issubclass(type(names), tuple):
            found = [_stored(item, "name") for item in tuple.__iter__(names)]
            # attrs' own convention for what is private; the encoder keeps to it, too
            return [(name, name) for name in found if type(name) is str and not name.startswith("_")]
        if type(base) is type(msgspec.Struct):
            return list(zip(base.__struct_fields__, base.__struct_encode_fields__, strict=True))
    return None
