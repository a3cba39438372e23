"""Two requests compared message by message, and what the difference does to the provider's prompt cache.

    conversation_of(api, body)     the request: settings, tools, system prompt, messages
    compare(before, after)         what was added, changed, dropped, moved, and where the cache breaks

A provider caches the beginning of a prompt: the tools, then the system prompt, then the
messages. What comes behind the first difference is read anew. Cache markers
(``cache_control``, ``cachePoint``) are no part of the prompt: that they move changes nothing, nor does
a text that becomes a list of that one text to carry one.

Messages are numbered from 1, tools and system prompt apart. Pure functions; nothing here does
input or output, and nothing raises, whatever a request holds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from agent_stack._message_parts import Part, lines_of, parts_of
from agent_stack._text_diff import DiffLine, diff_lines, similarity

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MISSING", "Break", "Change", "Conversation", "Diff", "Message", "compare", "conversation_of"]

_DEEPEST = 60  # levels of a message that are looked through for markers
_ALIKE = 0.4  # from here on a message that went and one that came are one that changed
_PAIRS = 900  # pairs of messages whose texts are compared; beyond, their order decides

#: Keys of a body that are the conversation, and no setting.
_CONTENT_KEYS = frozenset(
    {
        "messages",
        "system",
        "tools",
        "functions",
        "instructions",
        "input",
        "prompt",
        "contents",
        "systemInstruction",
        "system_instruction",
        "toolConfig",
        "inputText",
        "cache_control",
        "request",
    }
)
_NESTED = frozenset({"generationConfig", "generation_config", "inferenceConfig", "options", "config"})
#: Settings of Anthropic's API that are part of what its messages are cached under.
_CACHED_SETTINGS = ("tool_choice", "thinking", "speed")

_encode = msgspec.json.Encoder(order="sorted").encode


class _Missing:
    def __repr__(self) -> str:
        return "(none)"


#: Stands for a setting that a request does not have.
MISSING = _Missing()


@dataclass(eq=False)
class Message:
    """One message.

    Attributes:
        role: system, user, assistant, tool, or what the provider calls its own.
        content: As it was sent.
        has_marker: It carries a cache marker.
    """

    role: str
    content: Any
    has_marker: bool = False
    plain: Any = None

    @cached_property
    def parts(self) -> list[Part]:
        """What it is made of."""
        return parts_of(self.plain)

    @cached_property
    def lines(self) -> list[str]:
        """It as lines of text."""
        return lines_of(self.parts)

    @cached_property
    def key(self) -> bytes:
        """Equal for messages that are the same."""
        return _form([self.role, self.plain])

    @cached_property
    def neutral_key(self) -> bytes:
        """Equal for messages that say the same in two providers' shapes."""
        return _form([self.role, [[part.kind, part.name, part.text] for part in self.parts]])


@dataclass
class Conversation:
    """A request as a conversation.

    Attributes:
        tools: ``(name, definition)`` in their order.
        system: What stands before the first message of anybody else.
        settings: What the body has beside, nested ones as ``generationConfig.temperature``.
    """

    api: str
    model: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    tools: list[tuple[str, Any]] = field(default_factory=list)
    system: list[Message] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    @property
    def system_lines(self) -> list[str]:
        """The system prompt as lines of text."""
        return [line for message in self.system for line in message.lines]

    @property
    def markers(self) -> list[int]:
        """The messages that carry a cache marker; 0 is the system prompt."""
        found = [0] if any(message.has_marker for message in self.system) else []
        return found + [place for place, message in enumerate(self.messages, 1) if message.has_marker]


@dataclass(frozen=True)
class Change:
    """What became of one message.

    Attributes:
        kind: added, dropped, changed, extended (it goes on where it ended) or moved.
        before, after: Its number in either request; None where it is not in it.
    """

    kind: str
    before: int | None
    after: int | None
    role: str


@dataclass(frozen=True)
class Break:
    """Where the cache breaks.

    Attributes:
        part: model, tools, system, settings or message.
        number: The message's, from 1.
        role: The message's.
        what: What happened there, in words.
    """

    part: str
    what: str
    number: int | None = None
    role: str | None = None


@dataclass
class Diff:
    """What is between two requests.

    Attributes:
        settings: ``(name, before, after)`` of those that differ; `MISSING` where there is none.
        tools_added, tools_dropped, tools_changed: Names.
        is_tool_order_changed: The tools both have stand in another order.
        system: same, added, dropped or changed.
        prefix: Messages at the beginning that are the same.
        changes: What became of the others, in the order to read them.
        breaks: None where the second request begins with all of the first.
    """

    before: Conversation
    after: Conversation
    settings: list[tuple[str, Any, Any]]
    tools_added: list[str]
    tools_dropped: list[str]
    tools_changed: list[str]
    is_tool_order_changed: bool
    system: str
    prefix: int
    changes: list[Change]
    breaks: Break | None

    def lines(self, change: Change) -> list[DiffLine]:
        """Return the texts of a changed message, compared."""
        before = self.before.messages[change.before - 1].lines if change.before else []
        after = self.after.messages[change.after - 1].lines if change.after else []
        return diff_lines(before, after)

    def system_diff(self) -> list[DiffLine]:
        """Return the system prompts, compared."""
        return diff_lines(self.before.system_lines, self.after.system_lines)

    def tool_diff(self, name: str) -> list[DiffLine]:
        """Return the definitions of a tool, compared."""
        from agent_stack._json import pretty_json

        one, other = dict(self.before.tools), dict(self.after.tools)
        return diff_lines(pretty_json(one.get(name)).split("\n"), pretty_json(other.get(name)).split("\n"))


# -- one request ------------------------------------------------------------------


def conversation_of(api: str | None, body: Any, url: str = "") -> Conversation:
    """Return a request's body, decoded, as a conversation; *url* may name the model."""
    from agenttap.decoders import message_list, request_facts

    name = api or "unknown"
    facts = request_facts(name, url, body)
    found = Conversation(name, facts.model)
    if isinstance(body, dict):
        found.settings = _settings(body)
    for role, content in message_list(name, body):
        if role in ("tools", "functions"):
            _take_tools(found, content)
            continue
        plain, has_marker = _without_markers(content)
        message = Message(role, content, has_marker, plain)
        is_system = role in ("system", "developer") and not found.messages
        (found.system if is_system else found.messages).append(message)
    return found


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    inner = body.get("request")
    if isinstance(inner, dict) and "contents" in inner:
        found.update(_settings(inner))
    for name, value in body.items():
        if name in _NESTED and isinstance(value, dict):
            found.update({f"{name}.{key}": item for key, item in value.items()})
        elif name == "toolConfig" and isinstance(value, dict):
            found.update({f"{name}.{key}": item for key, item in value.items() if key != "tools"})
        elif name not in _CONTENT_KEYS:
            found[name] = value
    return found


def _take_tools(found: Conversation, content: Any) -> None:
    if isinstance(content, dict) and isinstance(content.get("tools"), list):
        content = content["tools"]
    for tool in content if isinstance(content, list) else [content]:
        declared = None
        if isinstance(tool, dict):
            declared = tool.get("functionDeclarations", tool.get("function_declarations"))
        for each in declared if isinstance(declared, list) else [tool]:
            plain, _ = _without_markers(each)
            name = _tool_name(each)
            same = sum(known == name or known.startswith(f"{name}#") for known, _ in found.tools)
            if plain != {}:
                found.tools.append((f"{name}#{same + 1}" if same else name, plain))


def _tool_name(tool: Any) -> str:
    if not isinstance(tool, dict):
        return str(tool)[:80]
    for inner in (tool, tool.get("function"), tool.get("toolSpec"), tool.get("custom")):
        if isinstance(inner, dict) and isinstance(inner.get("name"), str):
            name: str = inner["name"]
            return name
    kind = tool.get("type")
    return kind if isinstance(kind, str) else next(iter(tool), "?")


def _without_markers(content: Any) -> tuple[Any, bool]:
    """Return *content* without cache markers, and whether it had any."""
    seen: list[bool] = []
    return _plain(content, seen, 0), bool(seen)


def _plain(value: Any, seen: list[bool], depth: int) -> Any:
    if depth > _DEEPEST:
        return value
    if isinstance(value, dict):
        plain = {}
        for name, item in value.items():
            if name == "cache_control":
                if item is not None:
                    seen.append(True)
                continue
            # A tool's arguments are the model's words, whatever their names.
            plain[name] = item if name in ("input", "arguments", "args") else _plain(item, seen, depth + 1)
        if isinstance(plain.get("content"), list):
            plain["content"] = _one_text(plain["content"])
        return plain
    if isinstance(value, list):
        items = []
        for item in value:
            if isinstance(item, dict) and item.keys() == {"cachePoint"}:
                seen.append(True)
                continue
            items.append(_plain(item, seen, depth + 1))
        return _one_text(items) if depth == 0 else items
    return value


def _one_text(items: list[Any]) -> Any:
    """A list of one text is that text: the one form can carry a marker, the other is shorter."""
    if len(items) == 1 and isinstance(items[0], dict):
        block = items[0]
        if block.keys() == {"type", "text"} and block["type"] == "text":
            return block["text"]
    return items


def _form(value: Any) -> bytes:
    try:
        return _encode(value)
    except (msgspec.EncodeError, TypeError, ValueError, RecursionError):
        return repr(id(value)).encode()


# -- two requests -----------------------------------------------------------------


def compare(before: Conversation, after: Conversation) -> Diff:
    """Return what is between *before* and *after*."""
    is_same_api = before.api == after.api
    one = [message.key if is_same_api else message.neutral_key for message in before.messages]
    other = [message.key if is_same_api else message.neutral_key for message in after.messages]
    prefix = _common(one, other)
    changes = _changes(before.messages, after.messages, one, other, prefix)
    old_tools, new_tools = dict(before.tools), dict(after.tools)
    kept = [name for name in old_tools if name in new_tools]
    diff = Diff(
        before,
        after,
        settings=_settings_changed(before.settings, after.settings),
        tools_added=[name for name in new_tools if name not in old_tools],
        tools_dropped=[name for name in old_tools if name not in new_tools],
        tools_changed=[name for name in kept if _form(old_tools[name]) != _form(new_tools[name])],
        is_tool_order_changed=kept != [name for name in new_tools if name in old_tools],
        system=_system(before, after, is_same_api=is_same_api),
        prefix=prefix,
        changes=changes,
        breaks=None,
    )
    diff.breaks = _break(diff, is_same_api=is_same_api)
    return diff


def _common(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    number = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        number += 1
    return number


def _settings_changed(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    names = [*before, *(name for name in after if name not in before)]
    pairs = [(name, before.get(name, MISSING), after.get(name, MISSING)) for name in names]
    return [
        (name, old, new)
        for name, old, new in pairs
        if old is MISSING or new is MISSING or _form(old) != _form(new)
    ]


def _system(before: Conversation, after: Conversation, *, is_same_api: bool) -> str:
    if is_same_api:
        is_same = [each.key for each in before.system] == [each.key for each in after.system]
    else:
        is_same = before.system_lines == after.system_lines
    if is_same:
        return "same"
    if not before.system or not after.system:
        return "added" if not before.system else "dropped"
    return "changed"


def _changes(
    before: list[Message], after: list[Message], one: list[bytes], other: list[bytes], prefix: int
) -> list[Change]:
    gone: list[int] = []
    new: list[int] = []
    paired: list[tuple[int, int]] = []
    matcher = SequenceMatcher(None, one[prefix:], other[prefix:], autojunk=len(one) > 2000)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            continue
        olds, news = list(range(i1 + prefix, i2 + prefix)), list(range(j1 + prefix, j2 + prefix))
        pairs = _pairs(before, after, olds, news)
        paired += pairs
        gone += [place for place in olds if place not in {pair[0] for pair in pairs}]
        new += [place for place in news if place not in {pair[1] for pair in pairs}]
    changes = [Change(_how(before[i], after[j]), i + 1, j + 1, after[j].role) for i, j in paired]
    moved, gone, new = _moved(gone, new, one, other)
    changes += [Change("moved", i + 1, j + 1, after[j].role) for i, j in moved]
    changes += [Change("dropped", i + 1, None, before[i].role) for i in gone]
    changes += [Change("added", None, j + 1, after[j].role) for j in new]
    return sorted(changes, key=lambda each: _order(each, before, after))


def _order(change: Change, before: list[Message], after: list[Message]) -> tuple[float, int]:
    if change.after is not None:
        return (change.after, 1)
    # Where it stood, as far along the one request as it was along the other.
    place = change.before or 0
    return (place * max(1, len(after)) / max(1, len(before)) if len(before) > len(after) else place, 0)


def _pairs(
    before: list[Message], after: list[Message], olds: list[int], news: list[int]
) -> list[tuple[int, int]]:
    """Which messages that went are which of those that came, in their order."""
    if len(olds) == len(news) == 1 and before[olds[0]].role == after[news[0]].role:
        return [(olds[0], news[0])]
    is_looked_into = len(olds) * len(news) <= _PAIRS
    pairs: list[tuple[int, int]] = []
    start = 0
    for i in olds:
        for at in range(start, len(news)):
            j = news[at]
            if before[i].role != after[j].role:
                continue
            if is_looked_into and not _is_alike(before[i], after[j]):
                continue
            pairs.append((i, j))
            start = at + 1
            break
    return pairs


def _is_alike(old: Message, new: Message) -> bool:
    return similarity("\n".join(old.lines), "\n".join(new.lines)) >= _ALIKE


def _how(old: Message, new: Message) -> str:
    one, other = _blocks(old.plain), _blocks(new.plain)
    return "extended" if len(one) < len(other) and _form(other[: len(one)]) == _form(one) else "changed"


def _blocks(plain: Any) -> list[Any]:
    return plain if isinstance(plain, list) else [{"type": "text", "text": plain}]


def _moved(
    gone: list[int], new: list[int], one: list[bytes], other: list[bytes]
) -> tuple[list[tuple[int, int]], list[int], list[int]]:
    waiting: dict[bytes, list[int]] = {}
    for j in new:
        waiting.setdefault(other[j], []).append(j)
    moved = [(i, waiting[one[i]].pop(0)) for i in gone if waiting.get(one[i])]
    lefts, rights = {i for i, _ in moved}, {j for _, j in moved}
    return moved, [i for i in gone if i not in lefts], [j for j in new if j not in rights]


def _break(diff: Diff, *, is_same_api: bool) -> Break | None:
    before, after = diff.before, diff.after
    if not is_same_api:
        return Break("model", f"another API: {before.api} → {after.api}")
    if before.model != after.model:
        return Break("model", f"another model: {before.model or '?'} → {after.model or '?'}")
    if tools := _tools_words(diff):
        return Break("tools", tools)
    if diff.system != "same":
        return Break("system", diff.system)
    if before.api == "anthropic.messages" and before.messages:
        names = [name for name, _, _ in diff.settings if name in _CACHED_SETTINGS]
        if names:
            return Break("settings", f"{', '.join(names)} changed, and the messages are cached under it")
    number = diff.prefix + 1
    if number > len(before.messages):
        return None
    fate = next((change for change in diff.changes if change.before == number), None)
    if fate is not None and fate.kind == "extended" and number == len(before.messages):
        return None
    what = "a message was put in before it" if fate is None else fate.kind
    return Break("message", what, number, before.messages[number - 1].role)


def _tools_words(diff: Diff) -> str:
    parts = []
    for names, word in (
        (diff.tools_added, "added"),
        (diff.tools_dropped, "dropped"),
        (diff.tools_changed, "changed"),
    ):
        if names:
            more = f", … ({len(names)})" if len(names) > 4 else ""
            parts.append(f"{', '.join(names[:4])}{more} {word}")
    if not parts and diff.is_tool_order_changed:
        parts.append("another order")
    return "; ".join(parts)


def counts(diff: Diff) -> Counter[str]:
    """Return how many messages were added, dropped, changed, extended, moved."""
    return Counter(change.kind for change in diff.changes)
