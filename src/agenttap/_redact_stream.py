"""Redacting a response event by event, though its texts come in pieces.

A text that is streamed stands in many events, a key perhaps in several of them. So the pieces are joined by
what they continue (their *channel*, see `agenttap.decoders.deltas`), the joined text is searched, and each
piece gets its part of it back: the token where the secret began, nothing where it went on. Events are
handed on in order, once nothing in them can become part of a secret (`agenttap._open_ended`): mostly at
once, but for the last word.

Of messages that come joined (`agenttap._runs.Run`) the text is searched as one. Only where there is
something to take out are they read one by one.

At most `HELD_BYTES` of events are held back; beyond, what is open is taken for finished, and should it go
on to be a secret after all, its rest is taken out. What is not JSON is one channel of its own, its bytes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from agenttap._open_ended import decided
from agenttap._patterns import MAX_SECRET, Match, find
from agenttap._redact import Walk, unescaped
from agenttap._redact_raw import data_of, is_frame, raw_with
from agenttap._runs import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from agenttap._events import Event
    from agenttap._redact import Redactor

__all__ = ["HELD_BYTES", "Deltas", "StreamRedactor"]

Deltas: TypeAlias = "Callable[[str, Any], Iterable[tuple[Hashable, Any, str | int]]]"

#: A user's own pattern may need as many characters to be recognised.
_USER_HOLD = 256
#: Bytes of events that wait for what follows them.
HELD_BYTES = 4 * 1024 * 1024
#: Characters kept of what is decided: what comes before a key tells whether it is one.
_CONTEXT = 600
_CHANNELS = 1024


# A string of an event: the event's number, the container and the key in it (None and None: the raw of an
# event that is not JSON), and what of it is not decided. A plain tuple: there are very many.
_Piece: TypeAlias = "tuple[int, Any, Any, str]"


#: The channel of what is not JSON; equal to none of a provider's.
_NO_JSON = object()


class _Channel:
    """A text in pieces."""

    __slots__ = ("context", "done", "is_bytes", "is_changed", "is_forced", "pieces", "seen")

    def __init__(self, *, is_bytes: bool) -> None:
        self.is_bytes = is_bytes
        #: The end of what is decided.
        self.context = ""
        #: What is not decided; of the first piece *done* is, and what it was replaced by.
        self.pieces: list[_Piece] = []
        self.done = ""
        self.is_changed = False
        #: How many of the pieces were searched.
        self.seen = 0
        #: Decided before its time, so a secret may have begun in *context*.
        self.is_forced = False


class StreamRedactor:
    """See the module. Not for several threads at once.

    Args:
        redactor: Whose patterns and tokens.
        api: Whose events they are.
        deltas: Default: `agenttap.decoders.deltas`.
    """

    def __init__(self, redactor: Redactor, api: str, deltas: Deltas | None = None) -> None:
        if deltas is None:
            from agenttap.decoders import deltas as default  # only where a stream is decoded

            deltas = default
        self._redactor, self._api, self._deltas = redactor, api, deltas
        self._channels: dict[Any, _Channel] = {}
        #: What waits, its size, and the number of the first; all events of the stream are numbered.
        self._queue: list[Event] = []
        self._held = 0
        self._first = 0
        #: Numbers of events of which a piece was changed, and of those that may hold a secret elsewhere.
        self._changed: set[int] = set()
        self._suspect: set[int] = set()

    def feed(self, events: list[Event]) -> list[Event]:
        """Take *events*; return those that can be handed on now, in order."""
        self._take(events)
        for channel in self._channels.values():
            if channel.seen < len(channel.pieces):
                self._settle(channel)
        done = self._released()
        if self._held > HELD_BYTES:
            self._settle_all()
            done += self._released()
        return done

    def end(self) -> list[Event]:
        """No more will come; return what is left."""
        self._settle_all()
        self._channels.clear()
        return self._released()

    # -- taking in -------------------------------------------------------------------------------------------

    def _take(self, events: list[Event]) -> None:
        api, deltas, channels = self._api, self._deltas, self._channels
        number = self._first + len(self._queue)
        self._queue += events
        self._find_suspects(events, number)
        for event in events:
            if event.data is None:
                pieces = self._pieces_of(_NO_JSON)
                pieces.append((number, None, None, event.raw.decode("latin-1")))
            else:
                try:
                    for key, container, place in deltas(api, event.data):
                        text = container[place]
                        if text and type(text) is str:
                            channel = channels.get(key)
                            pieces = self._pieces_of(key) if channel is None else channel.pieces
                            pieces.append((number, container, place, text))
                except Exception:  # noqa: BLE001  without its pieces it is searched by itself
                    self._suspect.add(number)
            number += 1

    def _pieces_of(self, key: Any) -> list[_Piece]:
        channel = self._channels.get(key)
        if channel is None:
            if len(self._channels) >= _CHANNELS:
                self._settle_all()
                self._channels.clear()
            channel = self._channels[key] = _Channel(is_bytes=key is _NO_JSON)
        return channel.pieces

    def _find_suspects(self, events: list[Event], number: int) -> None:
        if self._redactor.has_user_patterns:
            self._suspect.update(range(number, number + len(events)))
            return
        raws = [_besides_text(event) if type(event) is Run else event.raw for event in events]
        text = b"".join(raws).decode("latin-1")
        if "\0" in text:
            # Frames of an event stream: what they say may be packed into them.
            raws = [_unpacked(event) for event in events]
            text = b"".join(raws).decode("latin-1")
        matches = find(text, is_json=True)
        if matches:
            ends = list(accumulate(map(len, raws)))
            for match in matches:
                first, last = bisect_right(ends, match.start), bisect_left(ends, match.end)
                self._suspect.update(range(number + first, number + last + 1))

    # -- searching -------------------------------------------------------------------------------------------

    def _settle_all(self) -> None:
        for channel in self._channels.values():
            self._settle(channel, is_forced=True)

    def _settle(self, channel: _Channel, *, is_forced: bool = False) -> None:
        """Decide as much of *channel* as can be, or all, and give the pieces their parts back."""
        if not channel.pieces:
            return
        begin = len(channel.context)
        text = channel.context + "".join([text for _, _, _, text in channel.pieces])
        matches = self._redactor.matches(text)
        if not channel.is_forced:
            # What begins in the context was no secret when more of what is before it was to be seen.
            matches = [match for match in matches if match.start >= begin]
        end = len(text) if is_forced else self._decided(text, matches, begin)
        tokens = []
        for match in matches:
            if begin < match.end <= end:
                secret = text[match.start : match.end]
                if channel.is_bytes:
                    secret = secret.encode("latin-1").decode("utf-8", "replace")
                secret = unescaped(secret)
                token = self._redactor.token(match.kind, secret)
                if token != secret:
                    tokens.append((max(begin, match.start), match.end, token))
        if tokens or channel.is_changed:
            self._take_apart(channel)
            self._give_back(channel, begin, end, tokens)
        else:
            _pass_on(channel, len(text), end)
        channel.seen = len(channel.pieces)
        channel.is_forced = is_forced
        channel.context = text[max(0, end - (MAX_SECRET if is_forced else _CONTEXT)) : end]

    def _decided(self, text: str, matches: list[Match], begin: int) -> int:
        end = decided(text, matches)
        if self._redactor.has_user_patterns:
            end = min(end, len(text) - _USER_HOLD)
            for match in reversed(matches):
                if match.start < end < match.end:
                    end = match.start
        return max(begin, end)

    def _give_back(self, channel: _Channel, begin: int, end: int, tokens: list[tuple[int, int, str]]) -> None:
        """Finish the pieces up to *end*; *tokens*, with their places, stand in for what is there."""
        at = begin
        for index, piece in enumerate(channel.pieces):
            number, container, key, text = piece
            upto = min(at + len(text), end)
            if upto > at:
                was = text[: upto - at]
                new = _part_with(was, at, tokens)
                channel.done += was if new is None else new
                channel.is_changed |= new is not None
            if upto < at + len(text):
                channel.pieces = [(number, container, key, text[upto - at :]), *channel.pieces[index + 1 :]]
                return
            if channel.is_changed:
                self._change(piece, channel.done)
            channel.done, channel.is_changed = "", False
            at = upto
        channel.pieces = []

    def _take_apart(self, channel: _Channel) -> None:
        """Put in place of the piece of a run those of its messages."""
        pieces: list[_Piece] = []
        for piece in channel.pieces:
            number, container, key, text = piece
            if container is None:
                return  # what is no JSON comes in no run
            run = self._queue[number - self._first]
            if type(run) is not Run or container is run.texts:
                pieces.append(piece)
                continue
            if not pieces:
                channel.done = ""
            decided = len(container[key]) - len(text)
            for place, part in enumerate(run.texts):
                if decided:
                    channel.done = part[:decided]
                if decided < len(part):
                    pieces.append((number, run.texts, place, part[decided:]))
                decided = max(0, decided - len(part))
        channel.pieces = pieces

    def _change(self, piece: _Piece, text: str) -> None:
        number, container, key, _ = piece
        self._changed.add(number)
        if container is None:
            self._queue[number - self._first].raw = text.encode("latin-1", "replace")
        else:
            container[key] = text

    # -- handing on ------------------------------------------------------------------------------------------

    def _released(self) -> list[Event]:
        waiting = [channel for channel in self._channels.values() if channel.pieces]
        channel = min(waiting, key=lambda each: each.pieces[0][0], default=None)
        count = len(self._queue) if channel is None else channel.pieces[0][0] - self._first
        done, self._queue = self._queue[:count], self._queue[count:]
        to_rewrite = sorted(each for each in self._suspect | self._changed if each < self._first + count)
        for number in reversed(to_rewrite):  # from the end: of a run come many
            place = number - self._first
            event = done[place]
            if type(event) is Run:
                done[place : place + 1] = self._rewritten(event)
            else:
                self._rewrite(event, is_changed=number in self._changed)
        self._first += count
        self._suspect = {number for number in self._suspect if number >= self._first}
        self._changed = {number for number in self._changed if number >= self._first}
        if channel is not None and self._first not in self._suspect | self._changed:
            done += self._begun(channel)
        self._held = sum([len(event.raw) for event in self._queue])
        return done

    def _begun(self, channel: _Channel) -> list[Event]:
        """Return what is decided of the run that waits, if it is one; *channel* waits for its rest."""
        run = self._queue[0]
        number, container, _, text = channel.pieces[0]
        if type(run) is not Run or container is run.texts:
            return []
        count, left = len(run.texts), len(text)
        while left > 0:
            count -= 1
            left -= len(run.texts[count])
        if not count:
            return []
        decided, self._queue[0] = run.divided(count)
        [(_, container, key)] = self._deltas(self._api, self._queue[0].data)
        channel.pieces[0] = (number, container, key, text)
        return [decided]

    def _rewritten(self, run: Run) -> list[Event]:
        """Return the messages of *run*, each with its part of the text as it is now, and without secrets."""
        events = run.singles()
        for event, text in zip(events, run.texts, strict=True):
            [(_, container, key)] = self._deltas(self._api, event.data)
            is_changed = container[key] != text
            container[key] = text
            self._rewrite(event, is_changed=is_changed)
        return events

    def _rewrite(self, event: Event, *, is_changed: bool) -> None:
        if event.data is None:
            event.is_redacted |= is_changed
            return
        try:
            pieces = {(id(container), key) for _, container, key in self._deltas(self._api, event.data)}
        except Exception:  # noqa: BLE001
            pieces = set()
        if not pieces and not is_frame(event.raw):
            raw = self._redactor.json_text(event.raw)
            data = data_of(raw) if raw is not event.raw else None
            if data is not None:
                event.raw, event.data, event.is_redacted = raw, data, True
                return
        new = Walk(self._redactor, pieces).value(event.data)
        if new is not event.data or is_changed:
            event.raw = raw_with(event.raw, event.data, new)
            event.data, event.is_redacted = new, True


def _besides_text(run: Run) -> bytes:
    """Return what is to be searched of *run*: its text is a channel's, all else is in its last message."""
    return run.raws[-1] + run.marks


def _unpacked(event: Event) -> bytes:
    if type(event) is Run:
        packed = is_frame(event.raws[-1])
        return msgspec.json.encode(event.data) + event.marks if packed else _besides_text(event)
    return msgspec.json.encode(event.data) if event.data is not None and is_frame(event.raw) else event.raw


def _pass_on(channel: _Channel, length: int, end: int) -> None:
    """Finish the pieces up to *end* as they are, the last of which ends at *length*."""
    pieces = channel.pieces
    index = len(pieces)
    while index and length > end:
        index -= 1
        length -= len(pieces[index][3])
    if length < end:
        number, container, key, text = pieces[index]
        split = end - length
        channel.done = (channel.done if index == 0 else "") + text[:split]
        channel.pieces = [(number, container, key, text[split:]), *pieces[index + 1 :]]
    else:
        if index:
            channel.done = ""
        channel.pieces = pieces[index:]


def _part_with(part: str, at: int, tokens: list[tuple[int, int, str]]) -> str | None:
    """Return *part*, which stands at *at*, with its share of *tokens*; None if it has none."""
    upto = at + len(part)
    new: list[str] = []
    taken = at
    is_touched = False
    for start, finish, token in tokens:
        if finish <= at:
            continue
        if start >= upto:
            break
        is_touched = True
        if start >= at:
            new += part[taken - at : start - at], token
        taken = min(finish, upto)
    return "".join([*new, part[taken - at :]]) if is_touched else None
