"""What needs more than the table: the tape, payloads of many steps, prices. Found when asked for and kept."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from contextlib import suppress
from math import isnan
from operator import itemgetter
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from agent_debug_replay._context import ContextSize, GrowthPoint, Message, State, Totals
from agent_debug_replay._files_touched import FileLedger
from agent_debug_replay._outcomes import Context
from agent_debug_replay._table import ERROR, IN_FLIGHT, UNKNOWN
from agent_step_log.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from agent_debug_replay._context import FileTouch
    from agent_debug_replay._replay import Replay
    from agent_step_log import Record
    from agentsnap import Amount, Prices
    from agenttap import Tape, TapedExchange

__all__ = ["Looking", "why_no_exchange"]

_KEPT_EXCHANGES = 16
_MOST_MESSAGES = 400  # put together from steps: what came before is left out
_MOST_PRICED = 5_000  # model calls whose cost is added up without being asked: some tenths of a second
_SHRUNK = 2 / 3

#: The agent whose steps are those of a user played by a model; see docs/importers.md.
_SIMULATED_USER = "user"
_SPEECH = frozenset({"user_message", "context_message", "synthetic_message"})

_PARTS = {
    "system": "system",
    "developer": "system",
    "tools": "tools",
    "user": "user",
    "assistant": "assistant",
}
_PARTS |= {"model": "assistant", "tool": "tool_output", "function": "tool_output", "instructions": "system"}


class Looking:
    """The slower half of a replay. All of it is dropped when rows get other numbers."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        # Two threads may look at once, see `Replay.tell_rows`: one of them forgets what is old, and once.
        self._lock = Lock()
        self._version = -1
        self._exchanges: OrderedDict[tuple[str, int], TapedExchange | None] = OrderedDict()
        self._tapes: dict[Path, Tape | None] = {}
        self._by_step: dict[int, tuple[Path, int]] | None = None
        self._files = FileLedger(replay)
        self._prices: Prices | None = None
        self._has_prices = True
        self._costs: dict[int, Amount[Decimal] | None] = {}
        self._priced_to = 0
        #: Row of a model call, and up to it: US dollars, whether that is all, whether anything is known.
        self._spent = [(-1, 0.0, True, False)]

    def _check(self) -> None:
        """Forget what was worked out when the replay has changed since."""
        with self._lock:
            if self._replay.version != self._version:
                self._version = self._replay.version
                self._files = FileLedger(self._replay)
                self._costs = {}
                self._priced_to, self._spent = 0, self._spent[:1]
                self._by_step = None
                # What had not ended may have by now, as may what had not begun.
                for key, exchange in list(self._exchanges.items()):
                    if exchange is None or exchange.state == "unfinished":
                        del self._exchanges[key]
                self._tapes = {path: tape for path, tape in self._tapes.items() if tape is not None}

    # -- search -----------------------------------------------------------------

    def holds(self, text: str) -> Callable[[int], bool]:
        """See `Replay.holds`."""
        replay, table = self._replay, self._replay.table
        needle = text.casefold()
        # Half a surrogate, typed or pasted, is in no log: what is looked for is then not found.
        forms = {form.casefold().encode("utf-8", "surrogatepass") for form in (text, _in_json(text))}
        is_plain = text.isascii()

        def found(row: int) -> bool:
            return any(found_in(line) for line in replay.lines(row))

        def found_in(line: bytes) -> bool:
            # Upper case in ASCII alone has a cheap form; other alphabets are folded as text.
            if is_plain and line.isascii() and b"\\u" not in line:
                folded = line.lower()
                return any(form in folded for form in forms)
            return needle in _unescaped(line).casefold()

        def named(row: int) -> bool:
            name = table.strings.texts[table.name[row]] or ""
            return needle in name.casefold()

        return lambda row: named(row) or found(row)

    def row_with_id(self, text: str) -> int | None:
        """See `Replay.row_with_id`."""
        holds = self.holds(text)
        near: int | None = None
        for row in range(len(self._replay)):
            if holds(row):
                payload = self._replay.payload(row)
                for record in payload:
                    if record is not None and text in (record.tool_call_id, record.request_id):
                        return row
                asked = [call.get("id") for call in payload.record.tool_calls or [] if type(call) is dict]
                near = row if near is None and text in asked else near
        return near

    # -- the tape ---------------------------------------------------------------

    def exchange(self, index: int) -> TapedExchange | None:
        """See `Replay.exchange`."""
        self._check()
        table = self._replay.table
        if table.strings.texts[table.kind[index]] != "llm_call":
            return None
        found = self._place(index)
        if found is None:
            return None
        path, number = found
        key = (str(path), number)
        with suppress(KeyError):  # in one look: another thread may make room
            return self._exchanges[key]
        exchange = self._read(path, number)
        with self._lock:
            self._exchanges[key] = exchange
            if len(self._exchanges) > _KEPT_EXCHANGES:
                self._exchanges.popitem(last=False)
        return exchange

    def _place(self, index: int) -> tuple[Path, int] | None:
        payload = self._replay.payload(index)
        told = payload.record.exchange
        if isinstance(told, dict):
            name, number = told.get("tape"), told.get("n")
            # A log says which tape, and never which directory.
            if isinstance(name, str) and type(number) is int and Path(name).name == name:
                path = self._directory() / name
                return (path, number) if path.is_file() else None
        by_step = self._by_step
        if by_step is None:
            by_step = self._by_step = self._steps_on_tapes()
        return by_step.get(self._replay.table.step[index])

    def _directory(self) -> Path:
        return self._replay.info.paths[0].parent

    def _steps_on_tapes(self) -> dict[int, tuple[Path, int]]:
        """Return where the steps stand that tapes name; of several attempts, the last."""
        found: dict[int, tuple[Path, int]] = {}
        with suppress(OSError, MissingExtraError):
            from agenttap import tapes_of

            for path in tapes_of(self._directory(), self._replay.run_id):
                tape = self._tape(path)
                for exchange in tape.exchanges() if tape is not None else ():
                    if exchange.step is not None:
                        found[exchange.step] = (path, exchange.n)
        return found

    def _tape(self, path: Path) -> Tape | None:
        if path not in self._tapes:
            from agenttap import Tape
            from agenttap.errors import TapError

            try:
                self._tapes[path] = Tape(path)
            except (TapError, OSError):
                self._tapes[path] = None
        return self._tapes[path]

    def _read(self, path: Path, number: int) -> TapedExchange | None:
        from agenttap.errors import TapError

        tape = self._tape(path)
        if tape is None:
            return None
        try:
            return tape.exchange(number)
        except (TapError, OSError):
            return None

    # -- what the model saw -----------------------------------------------------

    def call_before(self, index: int) -> int | None:
        """See `Replay.call_before`."""
        table = self._replay.table
        call = table.strings.find("llm_call")
        anywhere: int | None = None
        for row in range(index, -1, -1):
            if table.kind[row] == call:
                if row == index or table.parent[row] == table.parent[index]:
                    return row
                anywhere = row if anywhere is None else anywhere
        return anywhere

    def context(self, index: int, *, difference: bool = False) -> Context:
        """See `Replay.context`."""
        call = self.call_before(index)
        if call is None:
            return Context(None, (), "none", is_difference=difference)
        messages, source = self._messages(call)
        row = self._replay.row(call)
        if not difference:
            return Context(row, tuple(messages), source)
        before = self._call_before_in_scope(call)
        earlier, _ = self._messages(before) if before is not None else ([], "none")
        same = _common(earlier, messages)
        return Context(row, tuple(messages[same:]), source, len(messages) - same, True, len(earlier) - same)

    def _call_before_in_scope(self, call: int) -> int | None:
        table = self._replay.table
        for row in range(call - 1, -1, -1):
            if (
                table.kind[row] == table.kind[call]
                and table.parent[row] == table.parent[call]
                and table.scope[row] == table.scope[call]
            ):
                return row
        return None

    def _messages(self, call: int) -> tuple[list[Message], str]:
        exchange = self.exchange(call)
        if exchange is not None:
            from agenttap.decoders import message_list

            sent = message_list(exchange.api or "unknown", exchange.request_json())
            if sent:
                return [Message(role, content) for role, content in sent], "tape"
        recorded = _recorded_messages(self._replay.payload(call))
        if recorded:
            return recorded, "record"
        put_together = self._from_steps(call)
        return put_together, "steps" if put_together else "none"

    def _from_steps(self, call: int) -> list[Message]:
        """Return what the steps beside *call*, and before it, said; the last few hundred messages."""
        table = self._replay.table
        parent = table.parent[call]
        found: list[list[Message]] = []
        sent: list[Message] = []
        to_user = self._replay.payload(call).record.agent == _SIMULATED_USER
        for row in range(call - 1, -1, -1):
            if table.parent[row] == parent:
                said = self._said(row, to_user=to_user)
                found.append(said)
                if table.kind[row] == table.kind[call] and table.scope[row] == table.scope[call]:
                    sent = _recorded_messages(self._replay.payload(row))
                    if sent:  # the call told what it was sent; what came since is beside it
                        found.append(sent)
                        break
                is_cut = "compact" in (table.strings.texts[table.name[row]] or "")
                if len(found) >= _MOST_MESSAGES or (said and is_cut and said[0].role == "system"):
                    break
            elif row == parent:
                break
        messages = [message for said in reversed(found) for message in said]
        if parent >= 0 and len(found) < _MOST_MESSAGES and not sent:
            task = self._replay.payload(parent).record.input
            messages[:0] = [Message("user", task, parent)] if task is not None else []
        return messages

    def _said(self, row: int, *, to_user: bool) -> list[Message]:
        """Return what *row* added to the messages of the agent, or to those of a user played by a model."""
        table = self._replay.table
        kind = table.strings.texts[table.kind[row]]
        name = table.strings.texts[table.name[row]] or ""
        if kind == "event" and name not in _SPEECH and "compact" not in name:
            return []
        record = self._replay.payload(row).record
        if kind == "event":
            data = record.data
            if not isinstance(data, dict):
                data = {"text": data}
            if name == "synthetic_message":
                return [Message("user" if to_user else "assistant", data.get("text", data), row)]
            is_system = "compact" in name or data.get("role") in ("system", "developer")
            return [Message("system" if is_system else "user", data.get("text", data), row)]
        if (record.agent == _SIMULATED_USER) != to_user:
            # Of the other side of the dialogue only its words are heard.
            heard = _words(record.output) if kind == "llm_call" else None
            return [Message("user", heard, row)] if heard else []
        if kind == "llm_call":
            content = record.output if record.output is not None else record.tool_calls
            return [Message("assistant", content, row)] if content is not None else []
        if kind == "tool_call":
            return [Message("tool", record.output if record.error is None else record.error, row)]
        return [Message("tool", record.output, row)] if record.output is not None else []

    def size_of(self, context: Context) -> ContextSize:
        """Return the characters of *context* by part."""
        sizes = dict.fromkeys(("system", "tools", "user", "assistant", "tool_output", "other"), 0)
        for message in context.messages:
            for part, size in _part_sizes(message):
                sizes[part] += size
        return ContextSize(**sizes, source=context.source)

    def growth(self) -> list[GrowthPoint]:
        """See `Replay.growth`."""
        table = self._replay.table
        call, event = table.strings.find("llm_call"), table.strings.find("event")
        points: list[GrowthPoint] = []
        last: dict[tuple[int, int], int] = {}  # by parent and agent: the prompt of the call before
        is_told = False
        for row, kind in enumerate(table.kind):
            if kind == event and "compact" in (table.strings.texts[table.name[row]] or ""):
                is_told = True
            if kind != call:
                continue
            into = table.input_tokens[row]
            place = (table.parent[row], table.scope[row])
            is_shrunk = into != UNKNOWN and into < last.get(place, 0) * _SHRUNK
            known = [
                None if count == UNKNOWN else count
                for count in (into, table.cache_read_tokens[row], table.output_tokens[row])
            ]
            points.append(GrowthPoint(row, known[0], known[1], known[2], is_told or is_shrunk))
            is_told = False
            if into != UNKNOWN:
                last[place] = into
        return points

    # -- sums -------------------------------------------------------------------

    def totals(self, index: int, *, with_cost: bool = True) -> Totals:
        """See `Replay.totals`."""
        self._check()
        table = self._replay.table
        found = self._replay.sums.up_to(index)
        took = table.duration[index]
        end = table.start[index] + (0.0 if isnan(took) else max(took, 0.0) / 1000)
        is_priced = with_cost and found.llm_calls <= _MOST_PRICED
        cost, is_whole = self._cost_so_far(index) if is_priced else (None, False)
        return Totals(
            *found[:-1],
            tokens_known=not found.unknown,
            cost_usd=cost,
            is_cost_whole=is_whole,
            elapsed_ms=(end - self._replay.started_at) * 1000,
        )

    def _cost_so_far(self, index: int) -> tuple[float | None, bool]:
        table = self._replay.table
        call = table.strings.find("llm_call")
        for row in range(self._priced_to, index + 1):
            if table.kind[row] == call and not table.flags[row] & IN_FLIGHT:
                amount = self.cost(row)
                _, total, is_whole, is_any = self._spent[-1]
                is_whole = is_whole and amount is not None and amount.is_whole
                if amount is not None:
                    total += float(amount.known)
                    is_any = is_any or amount.is_whole or amount.known > 0
                self._spent.append((row, total, is_whole, is_any))
        self._priced_to = max(self._priced_to, index + 1)
        at = bisect_right(self._spent, index, key=itemgetter(0)) - 1
        _, total, is_whole, is_any = self._spent[at]
        return (total if is_any else None), is_whole and is_any

    def cost(self, index: int) -> Amount[Decimal] | None:
        """Return what the model call at *index* cost; None for another step, or without prices."""
        self._check()
        if index in self._costs:
            return self._costs[index]
        table = self._replay.table
        found: Amount[Decimal] | None = None
        if table.strings.texts[table.kind[index]] == "llm_call" and not table.flags[index] & IN_FLIGHT:
            found = self._priced(self._replay.payload(index).record)
        self._costs[index] = found
        return found

    def _priced(self, record: Record) -> Amount[Decimal] | None:
        if not self._has_prices:
            return None
        try:
            from agentsnap import Prices

            if self._prices is None:
                self._prices = Prices()
            return self._prices.cost_of(record).amount
        except MissingExtraError:
            self._has_prices = False
            return None

    def cost_usd(self, index: int) -> float | None:
        """See `Replay.cost_usd`."""
        amount = self.cost(index)
        if amount is None or (not amount.is_whole and not amount.known):
            return None
        return float(amount.known)

    # -- together ---------------------------------------------------------------

    def files(self, index: int) -> tuple[FileTouch, ...]:
        """See `Replay.files`."""
        self._check()
        return self._files.up_to(index)

    def state(self, index: int) -> State:
        """See `Replay.state`."""
        context = self.context(index)
        flags = self._replay.table.flags
        return State(
            index,
            context.row.row if context.row is not None else None,
            context.messages,
            context.source,  # type: ignore[arg-type]  # one of the four
            self.totals(index),
            self.files(index),
            self.size_of(context),
            next((row for row in range(index, -1, -1) if flags[row] & ERROR), None),
        )


def why_no_exchange(replay: Replay, index: int) -> str:
    """Return in a sentence why a model call has no exchange: no tape, one that is gone, or is damaged."""
    label = replay.row(index).label
    told = replay.payload(index).record.exchange
    name = told.get("tape") if isinstance(told, dict) else None
    if not isinstance(name, str) or Path(name).name != name:
        return f"Step {label} is on no tape."
    if not (replay.info.paths[0].parent / name).is_file():
        return f"The tape of step {label} is not beside the log: {name}."
    return f"Step {label} cannot be read on its tape, {name}; `agent-step-log wire` tells what is left of it."


def _common(one: list[Message], other: list[Message]) -> int:
    """Return how many messages two contexts have in common at their beginning."""
    same = 0
    for before, after in zip(one, other, strict=False):
        if before.role != after.role or _neutral(before.content) != _neutral(after.content):
            break
        same += 1
    return same


def _neutral(content: Any) -> Any:
    """Leave out cache markers, which move from request to request; a text alone is a list of it."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, list):
        return [_unmarked(item) for item in content]
    return _unmarked(content)


def _unmarked(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    return {key: value for key, value in item.items() if key not in ("cache_control", "cachePoint")}


def _recorded_messages(payload: Any) -> list[Message]:
    """Return the messages an llm_call was recorded with."""
    value = payload.record.input
    if value is None and payload.begin is not None:
        value = payload.begin.input
    if value is None:
        return []
    messages: list[Message] = []
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        messages += [Message(key, value[key]) for key in ("tools", "system") if value.get(key)]
        value = value["messages"]
    if not isinstance(value, list):
        return [*messages, Message("user", value)]
    for item in value:
        if isinstance(item, dict) and isinstance(item.get("role"), str):
            messages.append(Message(item["role"], item.get("content", item)))
        else:
            messages.append(Message("user", item))
    return messages


def _words(output: Any) -> str:
    """Return what an answer says aloud: its text, and neither its thoughts nor what it asks of tools."""
    if isinstance(output, str):
        return output
    blocks = output if isinstance(output, list) else []
    texts = [each.get("text") for each in blocks if isinstance(each, dict) and each.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str))


def _part_sizes(message: Message) -> list[tuple[str, int]]:
    """Return the characters of a message by part: a user's message may carry the output of tools."""
    if message.role == "user" and isinstance(message.content, list):
        sizes = []
        for block in message.content:
            is_result = isinstance(block, dict) and (
                block.get("type") in ("tool_result", "function_call_output") or "functionResponse" in block
            )
            sizes.append(("tool_output" if is_result else "user", _size(block)))
        return sizes
    return [(_PARTS.get(message.role, "other"), _size(message.content))]


def _size(value: Any) -> int:
    """Return the characters of all texts and keys in a value."""
    total = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, dict):
            waiting += item
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
        elif item is not None:
            total += len(str(item))
    return total


def _in_json(text: str) -> str:
    """Return *text* as it stands inside of a string of JSON."""
    import json

    return json.dumps(text, ensure_ascii=False)[1:-1]


def _unescaped(line: bytes) -> str:
    import re

    text = line.decode(errors="replace").replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
    if "\\u" in text:
        text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), text)
    return text
