"""One request answered: read, planned, and written the way its marks say."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.provider._behaviours import Marks, compressor, marks_of
from tests.provider._facts import Piece, Reply, Truth, as_json
from tests.provider._script import say
from tests.provider._sinks import Left
from tests.provider.apis import APIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.provider._facts import Answer
    from tests.provider._gate import Gate
    from tests.provider._served import Served
    from tests.provider._sinks import Framing, Sink

__all__ = ["Answerer"]

_HTML = b"<html><body><h1>Bad gateway</h1></body></html>"


@dataclass(frozen=True)
class _Write:
    """Bytes to write together; then wait until *seen* of the text or of the bytes has been seen."""

    data: bytes
    text_seen: int | None = None


class Answerer:
    """Answers requests; *gate* is the test's side, *number* counts the answers."""

    def __init__(self, gate: Gate, number: Callable[[], int], refusals: dict[tuple[str, bytes], int]) -> None:
        self._gate, self._number, self._refusals = gate, number, refusals

    async def answer(self, served: Served, sink: Sink) -> None:
        """Answer *served*; it says how that ended."""
        try:
            await self._answer(served, sink)
        except Left:
            served.ended = "left"
        finally:
            served.ended = served.ended or "cut"

    async def _answer(self, served: Served, sink: Sink) -> None:
        path = served.path.partition("?")[0]
        api = next((api for api in APIS if api.path.search(path)), None)
        header = served.header.get("x-test", "")
        if served.method != "POST" or api is None:
            served.number = 0
            raw = Reply("text/plain", [Piece(b"pong\n")], Truth())
            await self._write(served, sink, raw, Marks(header.split(",")), None)
            return
        asked = api.read(served.path, json.loads(served.body))
        served.api, served.asked = api.name, asked
        marks = marks_of(asked.model, header)
        if marks.has("redirect") and "again=1" not in served.path:
            joint = "&" if "?" in served.path else "?"
            moved = Reply("text/plain", [], Truth(), [("location", f"{served.path}{joint}again=1")], 307)
            await self._write(served, sink, moved, Marks(()), None)
            return
        if (refused := self._refusal(served, marks)) is not None:
            body, kind = api.error(refused)
            headers = [("retry-after-ms", "1"), ("retry-after", "0"), ("x-amzn-errortype", kind)]
            truth = Truth(api=api.name, error_type=kind)
            reply = Reply("application/json", [Piece(as_json(body))], truth, headers, refused)
            await self._write(served, sink, reply, Marks(()), None)
            return
        served.number = self._number()
        answer = say(asked, marks, number=served.number, gives_ids=api.gives_ids)
        if (size := marks.number("big")) is not None:
            answer = replace(answer, text="0123456789abcde " * (size * 64) + "end")
        reply = api.reply(asked, answer, marks)
        await self._write(served, sink, _changed(reply, marks), marks, answer)

    def _refusal(self, served: Served, marks: Marks) -> int | None:
        if marks.refusal is None:
            return None
        status, times = marks.refusal
        key = (served.path, served.body)
        self._refusals[key] = self._refusals.get(key, 0) + 1
        return status if self._refusals[key] <= times else None

    async def _write(
        self, served: Served, sink: Sink, reply: Reply, marks: Marks, answer: Answer | None
    ) -> None:
        served.truth = reply.truth
        if marks.has("hang"):
            await sink.wait_until_left()
            raise Left
        writes = list(_writes(reply, marks, answer))
        length = sum(len(write.data) for write in writes)
        framing: Framing = "chunked" if reply.is_streamed else "content-length"
        if marks.has("to-the-end"):
            framing = "to-the-end"
        elif marks.has("content-length"):
            framing = "content-length"
        if marks.has("long-content-length"):
            framing, length = "content-length", length + 100
        elif marks.has("short-content-length"):
            framing, length = "content-length", length // 2
        headers = [] if marks.has("no-content-type") else [("content-type", reply.content_type)]
        headers += reply.headers
        if marks.encoding is not None:
            headers.append(("content-encoding", marks.encoding.removeprefix("raw-")))
        served.status, served.response_headers = reply.status, headers
        await sink.start(reply.status, headers, framing, length)
        await self._write_body(served, sink, writes, reply, marks)

    async def _write_body(
        self, served: Served, sink: Sink, writes: list[_Write], reply: Reply, marks: Marks
    ) -> None:
        limits = {name: marks.number(name) for name in ("cut-after", "reset-after", "hang-after")}
        base, total = self._gate.total, 0
        for place, write in enumerate(writes):
            if place == limits["hang-after"]:
                await sink.wait_until_left()
                raise Left
            if place in (limits["cut-after"], limits["reset-after"]):
                await sink.cut(is_reset=limits["reset-after"] is not None)
                served.ended = "cut"
                return
            served.wrote(write.data)
            total += len(write.data)
            await sink.write(write.data)
            wanted = (
                total if marks.has("lockstep-all") else write.text_seen if marks.has("lockstep") else None
            )
            if wanted is not None and not await self._gate.wait(base + wanted):
                await sink.cut(is_reset=False)
                served.ended = "unseen"
                return
            await asyncio.sleep(0)
        while marks.has("endless") and reply.more is not None:
            served.wrote(reply.more.data)
            await sink.write(reply.more.data)
            await asyncio.sleep(0)
        if marks.has("long-content-length"):
            await sink.cut(is_reset=False)
            served.ended = "cut"
            return
        if marks.has("short-content-length"):
            await sink.cut(is_reset=False)
        # Before the last byte: the client may be through, and the test looking, as soon as it has that.
        served.ended = "whole"
        served.done.set()
        await sink.finish()


def _changed(reply: Reply, marks: Marks) -> Reply:
    """Return *reply* as its marks spoil it."""
    texts = [place for place, piece in enumerate(reply.pieces) if piece.is_text]
    truth = reply.truth
    if marks.has("not-json") or marks.has("empty") or marks.has("deep-json"):
        body = _HTML if marks.has("not-json") else b"[" * 100_000 if marks.has("deep-json") else b""
        return Reply("application/json", [Piece(body)], Truth(api=truth.api), reply.headers)
    if marks.has("wrong-content-type"):
        reply = replace(reply, content_type="text/plain")
    if not reply.is_streamed:
        if marks.has("invalid-utf8"):
            spoilt = [Piece(piece.data.replace("Zürich".encode(), b"Z\xffrich")) for piece in reply.pieces]
            reply = replace(reply, pieces=spoilt)
        return reply
    pieces = list(reply.pieces)
    if marks.has("no-end") or marks.has("endless"):
        pieces = pieces[: texts[-1] + 1] if texts else pieces[:-1]
    if marks.has("error-midstream") and reply.failure is not None:
        pieces = [*pieces[: texts[1] if len(texts) > 1 else 2], reply.failure]
        truth = replace(truth, error_type=reply.failure_type)
    if marks.has("invalid-utf8"):
        pieces = [replace(p, data=p.data.replace("Zürich".encode(), b"Z\xffrich")) for p in pieces]
    if "event-stream" in reply.content_type and "amazon" not in reply.content_type:
        pieces = [replace(piece, data=_sse_changed(piece.data, marks)) for piece in pieces]
    return replace(reply, pieces=pieces, truth=truth)


def _sse_changed(data: bytes, marks: Marks) -> bytes:
    if marks.has("comments"):
        data = b": OPENROUTER PROCESSING\n\n" + data
    if marks.has("crlf"):
        return data.replace(b"\n", b"\r\n")
    return data.replace(b"\n", b"\r") if marks.has("cr") else data


def _writes(reply: Reply, marks: Marks, answer: Answer | None) -> Iterator[_Write]:
    """Yield what is written when, content-encoding put on."""
    packer, words, shown = compressor(marks.encoding), iter(answer.words if answer else ()), 0
    writes: list[_Write] = []
    for piece in reply.pieces:
        seen = None
        if piece.is_text and (word := next(words, None)) is not None:
            shown += len(word)
            seen = shown
        writes.append(_Write(packer.add(piece.data), seen))
    last = packer.end()
    if last:
        writes.append(_Write(last))
    whole = b"".join(write.data for write in writes)
    if marks.is_truncated:
        whole = whole[: len(whole) * 2 // 3]
    size = 1 if marks.has("drip") else marks.number("split")
    if size is None and (marks.has("one-write") or marks.is_truncated):
        size = max(len(whole), 1)
    if size is None:
        yield from (write for write in writes if write.data)
        return
    yield from (_Write(whole[at : at + size]) for at in range(0, len(whole), size))
