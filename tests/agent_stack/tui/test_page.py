"""docs/tui.md: every key and action of the screen is there, with the words the help shows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from agent_stack._tui._keymap import ACTIONS, key_sign, load_keymap

if TYPE_CHECKING:
    import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "tui.md").read_text(encoding="utf-8")


def test_has_every_action_with_its_keys_and_no_other() -> None:
    rows = re.findall(r"^\| (`.*?) \| `([\w-]+)` \| (.*) \|$", PAGE, flags=re.MULTILINE)

    assert {name: (keys, meaning) for keys, name, meaning in rows} == {
        name: (" ".join(f"`{key_sign(key)}`" for key in action.keys), action.meaning)
        for name, action in ACTIONS.items()
    }


def test_its_keymap_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [example] = re.findall(r"^```toml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    path = tmp_path / "keymap.toml"
    path.write_text(example)
    monkeypatch.setenv("AGENT_STEP_LOG_KEYMAP", str(path))

    keymap = load_keymap()

    for key, action in tomllib.loads(example).items():
        assert keymap.get(key, "") == action
