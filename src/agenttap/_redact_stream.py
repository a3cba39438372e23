"""Redacting a response event by event, though its texts come in pieces.

A text that is streamed stands in many events, a key perhaps in several of them. So the pieces are joined by
what they continue (their *channel*, see `agenttap.decoders.deltas`), the joined text is searched, and each
piece gets its part of it back: the token where the secret began, nothing where it went on. Events are
handed on in order, once nothing in them can become part of a secret (`agenttap._open_ended`): mostly at
once, but for the last word.

At most `HELD_BYTES` of events are held back; beyond, what is open is taken for finished, and should it go
on to be a secret after all, its rest is taken out. What is not JSON is one channel of its own, its bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from agenttap._open_ended import decided
from agenttap._patterns import MAX_SECRET, Match, find
from agenttap._redact import Walk, unescaped
from agenttap._redact_raw import data_of, is_frame, raw_with

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


class _Waiting:
    """An event that was not handed on yet."""

    __slots__ = ("event", "has_pieces", "is_changed", "is_suspect", "undecided")

    def __init__(self, event: Event) -> None:
        self.event = event
        #: How many of its pieces are not decided to their end.
        self.undecided = 0
        self.has_pieces = False
        self.is_changed = False
        self.is_suspect = False


class _Piece:
    """A string of an event: *container*[*key*]; None: the raw of an event that is not JSON."""

    __slots__ = ("container", "done", "is_changed", "key", "waiting")

    def __init__(self, waiting: _Waiting, container: Any, key: Any) -> None:
        self.waiting, self.container, self.key = waiting, container, key
        #: What the decided part has become.
        self.done = ""
        self.is_changed = False

    def finish(self) -> None:
        """All of it is decided."""
        self.waiting.undecided -= 1
        if not self.is_changed:
            return
        self.waiting.is_changed = True
        if self.container is None:
            self.waiting.event.raw = self.done.encode("latin-1", "replace")
        else:
            self.container[self.key] = self.done


class _Channel:
    """A text in pieces, of which *context* is the end of what is decided."""

    __slots__ = ("context", "is_bytes", "is_forced", "is_new", "pieces")

    def __init__(self, *, is_bytes: bool) -> None:
        self.is_bytes = is_bytes
        self.context = ""
        #: A piece, and the part of its text that is not decided.
        self.pieces: list[tuple[_Piece, str]] = []
        self.is_new = False
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
        self._queue: deque[_Waiting] = deque()
        self._held = 0
        self._channels: dict[Any, _Channel] = {}

    def feed(self, events: list[Event]) -> list[Event]:
        """Take *events*; return those that can be handed on now, in order."""
        self._take(events)
        for channel in self._channels.values():
            if channel.is_new:
                self._settle(channel)
        done = self._released()
        if self._held > HELD_BYTES:
            self._settle_all()
            done += self._released()
        return done

    def end(self) -> list[Event]:
        """No more will come; return what is left."""
        self._settle_all()
        done = self._released()
        self._channels.clear()
        return done

    # -- taking in -----------------------------------------------------------------------------------------

    def _take(self, events: list[Event]) -> None:
        added = []
        for event in events:
            waiting = _Waiting(event)
            added.append(waiting)
            self._held += len(event.raw)
            if event.data is None:
                self._add(None, _Piece(waiting, None, None), event.raw.decode("latin-1"))
                continue
            try:
                for channel, container, key in self._deltas(self._api, event.data):
                    text = container[key]
                    if text and isinstance(text, str):
                        self._add((channel,), _Piece(waiting, container, key), text)
            except Exception:  # noqa: BLE001, S112  without its pieces the event is searched as a whole
                continue
        self._queue += added
        self._suspect(added)

    def _add(self, key: Any, piece: _Piece, text: str) -> None:
        channel = self._channels.get(key)
        if channel is None:
            if len(self._channels) >= _CHANNELS:
                self._settle_all()
                self._channels = {}
            channel = self._channels[key] = _Channel(is_bytes=key is None)
        channel.pieces.append((piece, text))
        channel.is_new = True
        piece.waiting.undecided += 1
        piece.waiting.has_pieces = True

    def _suspect(self, added: list[_Waiting]) -> None:
        """Mark the events that may hold a secret by themselves, outside their pieces or in them."""
        if self._redactor.has_user_patterns:
            for waiting in added:
                waiting.is_suspect = True
            return
        places: list[int] = []
        parts: list[bytes] = []
        having_data = [waiting for waiting in added if waiting.event.data is not None]
        at = 0
        for waiting in having_data:
            event = waiting.event
            raw = msgspec.json.encode(event.data) if is_frame(event.raw) else event.raw
            places.append(at)
            parts.append(raw)
            at += len(raw)
        for match in find(b"".join(parts).decode("latin-1"), is_json=True):
            first = bisect_right(places, match.start) - 1
            last = bisect_right(places, match.end - 1) - 1
            for waiting in having_data[first : last + 1]:
                waiting.is_suspect = True

    # -- searching -----------------------------------------------------------------------------------------

    def _settle_all(self) -> None:
        for channel in self._channels.values():
            self._settle(channel, is_forced=True)

    def _settle(self, channel: _Channel, *, is_forced: bool = False) -> None:
        """Decide as much of *channel* as can be, or all, and give the pieces their parts back."""
        channel.is_new = False
        if not channel.pieces:
            return
        begin = len(channel.context)
        text = channel.context + "".join([part for _, part in channel.pieces])
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
                token = self._redactor.token(match.kind, unescaped(secret))
                tokens.append((max(begin, match.start), match.end, token))
        _give_back(channel, begin, end, tokens)
        channel.is_forced = is_forced
        channel.context = text[max(0, end - (MAX_SECRET if is_forced else _CONTEXT)) : end]

    def _decided(self, text: str, matches: list[Match], begin: int) -> int:
        end = decided(text)
        if self._redactor.has_user_patterns:
            end = min(end, len(text) - _USER_HOLD)
        for match in reversed(matches):
            if match.start < end < match.end:
                end = match.start
        return max(begin, end)

    # -- handing on ----------------------------------------------------------------------------------------

    def _released(self) -> list[Event]:
        done: list[Event] = []
        queue = self._queue
        while queue and not queue[0].undecided:
            waiting = queue.popleft()
            event = waiting.event
            self._held -= len(event.raw)
            if waiting.is_suspect or waiting.is_changed:
                self._rewrite(waiting)
            done.append(event)
        if not queue:
            self._held = 0
        return done

    def _rewrite(self, waiting: _Waiting) -> None:
        event = waiting.event
        if event.data is None:
            event.is_redacted |= waiting.is_changed
            return
        if not waiting.has_pieces and not is_frame(event.raw):
            raw = self._redactor.json_text(event.raw)
            if raw is not event.raw:
                data = data_of(raw)
                if data is not None:
                    event.raw, event.data, event.is_redacted = raw, data, True
                    return
        pieces = set()
        if waiting.has_pieces:
            pieces = {(id(container), key) for _, container, key in self._deltas(self._api, event.data)}
        new = Walk(self._redactor, pieces).value(event.data)
        if new is not event.data or waiting.is_changed:
            event.raw = raw_with(event.raw, event.data, new)
            event.data, event.is_redacted = new, True


def _give_back(channel: _Channel, begin: int, end: int, tokens: list[tuple[int, int, str]]) -> None:
    """Finish the pieces of *channel* up to *end*; *tokens*, with their places, stand in for what is there."""
    at, pieces = begin, channel.pieces
    for number, (piece, part) in enumerate(pieces):
        stop = at + len(part)
        upto = min(stop, end)
        if upto <= at:
            channel.pieces = pieces[number:]
            return
        was = part[: upto - at]
        new = _part_with(was, at, tokens) if tokens else None
        piece.done += was if new is None else new
        piece.is_changed |= new is not None
        if upto < stop:
            channel.pieces = [(piece, part[upto - at :]), *pieces[number + 1 :]]
            return
        piece.finish()
        at = stop
    channel.pieces = []


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
