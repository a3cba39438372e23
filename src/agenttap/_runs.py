r"""Messages of a stream that do no more than continue a text, read many at a time.

Nearly all messages of a stream are like the one before but for a few characters of text, and for numbers
and marks that tell nothing. So two that are alike in all else are made into a regular expression, their
*shape*, and one pass of it finds all that follow them::

    data: {"id":"c1","choices":[{"index":0,"delta":{"content":"Hel"}}]}
    data: {"id": any ,"choices":[{"index":0,"delta":{"content":" text "}}]}

They come as one `Run`, an event that says what they say together: the last of them, with all their text.
Whatever has no shape, or is not quite JSON, is read message by message.

A shape leaves open, besides the text: padding, times, counts so far, ids of messages and items. Where those
count at all, the last one counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import msgspec

from agenttap._events import Event
from agenttap.decoders import deltas

__all__ = ["Joiner", "Read", "Run"]

#: Messages that stand alone behind one another until a shape is looked for.
_FIRST_LOOK = 4
#: Fewer are not worth a run.
_SHORTEST = 4
#: Bytes of a message that may have a shape; of longer ones there are few.
_LONGEST = 4096
#: Shapes of one body: text, thoughts, and a few calls side by side.
_MOST_SHAPES = 8

_TEXT = rb'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+'
_MARK = rb'"[ !#-\[\]-~]*+"'
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"
# The id of a message stands first; any other may be that of a call, which begins where its id changes.
_OPEN = re.compile(
    rb'("(?:(?:(?<=^\{")|(?<=data: \{")|(?<=data:\{"))id|obfuscation|p|sequence_number|item_id|responseId'
    rb'|created|created_at|[A-Za-z_]*+(?:(?<=_tokens)|(?<=okenCount)|(?<=en_count)))"\s*+:\s*+)'
    rb"(?:%b|%b)" % (_MARK, _NUMBER)
)
# Anthropic pads its events with spaces before the last brace.
_PADDING = re.compile(rb" *+(?=\}\s*+\Z)")
#: What stands in a form for the text, for what is open besides, and for padding; JSON holds none of them.
_TEXT_HERE, _OPEN_HERE, _PADDING_HERE = b"\1", b"\2", b"\3"
_OPENED = rb"\1" + _OPEN_HERE

_decode_text = msgspec.json.Decoder(str).decode
_decode_texts = msgspec.json.Decoder(list[str]).decode
Read: TypeAlias = Callable[[list[bytes]], list[Event]]


class Run(Event):
    """Messages that follow each other and continue one text.

    Attributes:
        raws: Each as it stood on the wire.
        texts: The text of each, as many; `data` has them joined.
        marks: What else was left open in any of them. All besides is as in the last one.
    """

    __slots__ = ("_api", "_read", "marks", "raws", "texts")

    def __init__(
        self, api: str, raws: list[bytes], texts: list[str], read: Read, *, marks: bytes = b""
    ) -> None:
        [last] = read(raws[-1:])
        [(_, container, key)] = deltas(api, last.data)
        container[key] = "".join(texts)
        super().__init__(b"".join(raws), last.data, last.name)
        self.raws, self.texts, self.marks = raws, texts, marks
        self._api, self._read = api, read

    def singles(self) -> list[Event]:
        """Return the messages one by one, read anew."""
        return self._read(self.raws)

    def of(self, raws: list[bytes], read: Read) -> Run:
        """Return the same of other *raws*, which say the same."""
        return Run(self._api, raws, self.texts, read, marks=self.marks)

    def divided(self, count: int) -> tuple[Run, Run]:
        """Return the first *count* messages, and the others."""
        parts = ((self.raws[:count], self.texts[:count]), (self.raws[count:], self.texts[count:]))
        first, second = (Run(self._api, *part, self._read, marks=self.marks) for part in parts)
        return first, second


class _Shape(NamedTuple):
    """What finds messages of one form.

    Attributes:
        split: Returns what is between the messages, and of each its bytes and what is left open in it.
        width: How many there are of these in all.
        text: Which of them is the text.
    """

    split: Callable[[bytes], list[bytes]]
    width: int
    text: int


class Joiner:
    """Reads the messages of one body.

    Args:
        api: As `agenttap.decoders.recognise` names it; None to read them one by one.
        end: What ends a message.
        read: Reads whole messages, one event each.
    """

    def __init__(self, api: str | None, end: bytes, read: Read) -> None:
        self.end = end
        self._api, self._read = api, read
        self._shapes: tuple[_Shape, ...] = ()

    def take(self, data: bytes) -> tuple[list[Event], bytes]:
        """Return the events of *data*, which begins with a message, and the rest that has no end yet."""
        events: list[Event] = []
        rest = self._cut(data, self._shapes, events)
        return events, rest

    def _cut(self, data: bytes, shapes: tuple[_Shape, ...], events: list[Event]) -> bytes:
        if not shapes:
            return self._one_by_one(data, events)
        shape = shapes[0]
        parts = shape.split(data)
        between, raws = parts[:: shape.width], parts[1 :: shape.width]
        begin = 0
        for place, other in enumerate(between):
            if not other:
                continue
            self._join(shape, parts, begin, place, events)
            begin = place
            rest = self._cut(other, shapes[1:], events)
            if place == len(raws):
                return rest
            if rest:  # the shape was found inside of a message
                self._one_by_one(rest + raws[place], events)
                begin = place + 1
        self._join(shape, parts, begin, len(raws), events)
        return b""

    def _join(self, shape: _Shape, parts: list[bytes], begin: int, end: int, events: list[Event]) -> None:
        """Join the messages of *parts* from the one at *begin* to before that at *end*."""
        if begin == end:
            return
        width = shape.width
        parts = parts[begin * width : end * width]
        raws, texts = parts[1::width], parts[shape.text :: width]
        if self._api is not None and end - begin >= _SHORTEST:
            try:
                said = _decode_texts(b'["%b"]' % b'","'.join(texts))
                marks = b"\n".join(
                    [b"\n".join(parts[at::width]) for at in range(2, width) if at != shape.text]
                )
                events.append(Run(self._api, raws, said, self._read, marks=marks))
            except (msgspec.DecodeError, UnicodeDecodeError):
                pass
            else:
                return
        events += self._read(raws)

    def _one_by_one(self, data: bytes, events: list[Event]) -> bytes:
        end = self.end
        messages = data.split(end)
        rest = messages.pop()
        begin, count = 0, _FIRST_LOOK
        while begin < len(messages):
            found = self._read([message + end for message in messages[begin : begin + count]])
            events += found
            begin += count
            is_worth_a_look = begin + _SHORTEST < len(messages) and len(self._shapes) < _MOST_SHAPES
            if self._api is not None and is_worth_a_look:
                shape = _shape(self._api, found[-1], found[-2])
                if shape is not None:
                    self._shapes = (shape, *self._shapes)
                    return self._cut(end.join([*messages[begin:], rest]), (shape,), events)
            count *= 2
        return rest


def _shape(api: str, event: Event, before: Event) -> _Shape | None:
    """Return the shape of *event*, if it is known from another stream or also that of the event *before*."""
    form = _form(api, event)
    if form is None:
        return None
    shape = _known.get(form)
    if shape is None and form == _form(api, before):
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        shape = _known[form] = _compiled(form)
    return shape


# Compiling one takes as long as reading some hundred messages; the streams of one model share theirs.
_known: dict[bytes, _Shape] = {}
_MOST_KNOWN = 512


def _form(api: str, event: Event) -> bytes | None:
    """Return the message with marks in the place of what its shape leaves open; None if it has no shape."""
    raw = event.raw
    if len(raw) > _LONGEST:
        return None
    try:
        [(_, container, key)] = deltas(api, event.data)
        [(start, stop)] = [
            match.span(1)
            for match in _strings(key).finditer(raw)
            if _decode_text(b'"%b"' % match[1]) == container[key] != ""
        ]
    except Exception:  # noqa: BLE001  none, several, or a hostile one: it is read alone
        return None
    if any(mark in raw for mark in (_TEXT_HERE, _OPEN_HERE, _PADDING_HERE)):
        return None
    behind = _PADDING.sub(_PADDING_HERE, raw[stop:], count=1)
    return _OPEN.sub(_OPENED, raw[:start]) + _TEXT_HERE + _OPEN.sub(_OPENED, behind)


@lru_cache(maxsize=64)
def _strings(key: str) -> re.Pattern[bytes]:
    """Return what finds strings under *key*."""
    return re.compile(rb'"%b"\s*+:\s*+"(%b)"' % (re.escape(key).encode(), _TEXT))


def _compiled(form: bytes) -> _Shape:
    regex = re.escape(form).replace(_TEXT_HERE, b"(%b)" % _TEXT).replace(_PADDING_HERE, b" *+")
    regex = regex.replace(_OPEN_HERE, b"(%b|%b)" % (_MARK, _NUMBER))
    pattern = re.compile(b"(%b)" % regex)
    text = 2 + form[: form.index(_TEXT_HERE)].count(_OPEN_HERE)
    return _Shape(pattern.split, 1 + pattern.groups, text)
