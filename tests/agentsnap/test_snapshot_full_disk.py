"""A snapshot that finds no room leaves the one there was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.children import run_on_small_disk

if TYPE_CHECKING:
    from pathlib import Path


def test_a_snapshot_without_room_fails_and_the_one_before_stays_whole(tmp_path: Path) -> None:
    told = run_on_small_disk(
        """
        from agentsnap import Snapshot
        place = sys.argv[1]
        kept = os.path.join(place, "kept.json")
        before = Snapshot("ok", [{"type": "tool_call", "tool": "bash"}])
        before.save(kept)
        after = Snapshot("ok", [{"type": "tool_call", "tool": "bash", "output": "x" * 1000}] * 500)
        try:
            after.save(kept)
        except OSError as error:
            why = error.strerror
        print(json.dumps([why, Snapshot.load(kept) == before, os.listdir(place)]))
        """,
        tmp_path,
        200_000,
    ).told

    why, is_kept, left = told
    assert why in ("No space left on device", "File too large")
    assert is_kept
    assert left == ["kept.json"]
