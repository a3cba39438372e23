"""The recorder the project grew from, written afresh from its description.

One lock; a list of all steps in memory; for each step the file is opened, a line of
standard-library JSON is written, and the file is closed.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class ArticleStepLog:
    """``record_llm_call`` and ``record_tool_call`` as the article has them."""

    def __init__(self, path: str, run_id: str) -> None:
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._run_id = run_id
        self._lock = threading.Lock()
        self._steps: list[dict[str, Any]] = []

    def record_llm_call(self, **fields: Any) -> None:
        """Record a model call."""
        self._append("llm_call", fields)

    def record_tool_call(self, **fields: Any) -> None:
        """Record a tool call."""
        self._append("tool_call", {"error": None, **fields})

    def _append(self, kind: str, fields: dict[str, Any]) -> None:
        with self._lock:
            record = {
                "run_id": self._run_id,
                "step": len(self._steps) + 1,
                "type": kind,
                **fields,
                "ts": datetime.now(UTC).isoformat(),
            }
            self._steps.append(record)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
