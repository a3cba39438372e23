from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from agenttap import _redact_history
from agenttap._patterns import find
from agenttap._redact import CACHE_BYTES, Redactor
from agenttap._redact_history import History
from tests.agenttap.redact_samples import SECRETS

if TYPE_CHECKING:
    import pytest

KEY = b"k" * 32
WORDS = [
    "the",
    "task-list",
    "of",
    "a",
    "key",
    '"quoted"',
    "\n",
    "x" * 40,
    "{",
    "risk-averse",
    "\u00e9",
    "a@b.c",
    "://",
]


def message(rng: random.Random, *, size: int = 200) -> dict[str, Any]:
    words = rng.choices(WORDS, k=size)
    if rng.random() < 0.3:
        words.insert(rng.randrange(size), rng.choice(list(SECRETS.values())))
    content: Any = " ".join(words)
    if rng.random() < 0.2:
        content = {"password": content[:50], "arguments": json.dumps({"api_key": "hunter2", "text": content})}
    return {"role": "user", "content": content}


def body(messages: list[dict[str, Any]], **settings: Any) -> bytes:
    return json.dumps(
        {"model": "m", "messages": messages, "tools": [{"name": "t" * 300}] * 20, **settings}
    ).encode()


class TestHistory:
    @given(st.integers(0, 10**6))
    def test_history_that_was_changed_anywhere_is_redacted_as_if_it_were_new(self, seed: int) -> None:
        rng = random.Random(seed)
        redactor = Redactor(key=KEY)
        messages = [message(rng) for _ in range(40)]
        for _ in range(6):
            change = rng.randrange(5)
            if change <= 1:
                messages += [message(rng)]
            elif change == 2:
                messages[rng.randrange(len(messages))] = message(rng, size=rng.randrange(1, 400))
            elif change == 3:
                del messages[rng.randrange(len(messages)) :]
                messages += [message(rng) for _ in range(30)]
            else:
                # In the middle of a word, or of a secret.
                text = messages[rng.randrange(len(messages))]
                if isinstance(text["content"], str):
                    at = rng.randrange(len(text["content"]))
                    text["content"] = (
                        text["content"][:at] + rng.choice([" ", "A", "\\"]) + text["content"][at:]
                    )
            data = body(messages, max_tokens=rng.randrange(3))

            assert redactor.body(data) == Redactor(key=KEY).body(data)

    def test_only_what_is_new_is_searched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        searched = []

        def counting(text: str, start: int = 0, end: int | None = None, *, is_json: bool = False) -> Any:
            searched.append((len(text) if end is None else end) - start)
            return find(text, start, end, is_json=is_json)

        monkeypatch.setattr(_redact_history, "find", counting)
        rng = random.Random(7)
        redactor = Redactor(key=KEY)
        messages = [message(rng) for _ in range(300)]
        size = len(body(messages))
        assert redactor.body(body(messages))[1] > 0
        for _ in range(20):
            messages.append({"role": "assistant", "content": "one more thing"})
            redactor.body(body(messages))

        assert searched[0] == size
        assert max(searched[1:]) < 30_000 < size // 10

    def test_same_body_again_is_not_searched_at_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        redactor = Redactor(key=KEY)
        data = body([message(random.Random(1)) for _ in range(100)])
        first = redactor.body(data)
        monkeypatch.setattr(_redact_history, "find", None)

        assert redactor.body(bytes(bytearray(data))) == first

    def test_conversations_side_by_side_are_all_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        redactor = Redactor(key=KEY)
        talks = [body([message(random.Random(seed)) for _ in range(50)]) for seed in range(6)]
        first = [redactor.body(each) for each in talks]
        monkeypatch.setattr(_redact_history, "find", None)

        assert [redactor.body(each) for each in talks] == first

    def test_memory_is_bounded(self) -> None:
        history = History(CACHE_BYTES)
        for seed in range(30):
            data = random.Random(seed).randbytes(600_000).hex().encode()
            history.matches(data, data.decode(), is_json=False)

        assert sum(len(each.data) for each in history._bodies) <= CACHE_BYTES

    def test_body_larger_than_the_cache_is_not_kept(self) -> None:
        history = History(100_000)
        data = b" " * 100_000

        assert history.matches(data, data.decode(), is_json=False) == []
        assert history._bodies == ()
