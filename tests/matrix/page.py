"""docs/sdk-table.md: made of the rows the tests wrote, and read back.

python -m tests.matrix.page RESULTS            writes the page
python -m tests.matrix.page RESULTS --check    compares the page with them, and says what differs
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.matrix.results import Row, read_rows
from tests.matrix.verdicts import CELLS

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PAGE", "read_page", "render_page"]

PAGE = Path(__file__).parents[2] / "docs" / "sdk-table.md"

#: The order of the page; what is not here comes last.
_ORDER = (
    "anthropic",
    "openai 3.x",
    "openai 2.x",
    "google-genai",
    "mistralai",
    "boto3",
    "litellm",
    "cohere",
    "ollama",
    "groq",
    "requests",
    "urllib3",
    "httpx",
    "httpx, HTTP/2",
    "httpx2",
    "httpx2, HTTP/2",
    "aiohttp",
    "pydantic-ai",
    "openai-agents",
    "langchain, langgraph",
    "smolagents",
)
_HEAD = """\
# What is captured of which SDK

Made by the tests: each row is a real SDK that held a conversation with a provider on this machine, tools
and all, with the tap on. `make test-matrix` runs them.

- *captured*: each call is on the tape and is one `llm_call`, with model, stop reason and text as sent.
- *bytes equal*: request and response hash to what the provider received and sent, and the SDK returned what
  it returns without the tap.
- *tokens right*: the numbers are the provider's, and so is `usage`.
- *tools right*: each tool call is one `tool_call` with its input, output and id, read off the wire.

A streamed row is also run in lock-step: the provider sends a chunk only when the SDK has handed on the one
before. An SDK that has no async form has no async rows. "Environment" is the session of `noxfile.py` that ran
the row; `test` is the environment of `make test`.

"""


def _sorted(rows: Iterable[Row]) -> list[Row]:
    def place(row: Row) -> tuple[int | str, ...]:
        first = _ORDER.index(row.sdk) if row.sdk in _ORDER else len(_ORDER)
        return (
            first,
            row.sdk,
            row.session != "test",
            row.session,
            row.api,
            row.mode != "sync",
            row.over,
            row.form,
        )

    return sorted(rows, key=place)


def render_page(rows: Iterable[Row]) -> str:
    """Return the page."""
    titles = ["SDK", "HTTP by", "API", "call", *CELLS, "environment"]
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    for row in _sorted(rows):
        verdicts = ["yes" if row.cells[cell] else "NO" for cell in CELLS]
        cells = [
            f"{row.sdk} ({row.sdk_version})",
            f"{row.over} ({row.over_version})",
            row.api,
            f"{row.mode}, {row.form}",
            *verdicts,
            row.session,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return _HEAD + "\n".join(lines) + "\n"


def read_page(path: Path = PAGE) -> dict[tuple[str, ...], dict[str, bool]]:
    """Return the rows of the page: key -> verdicts."""
    rows: dict[tuple[str, ...], dict[str, bool]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 9 or cells[0] == "SDK" or set(cells[0]) == {"-"}:
            continue
        sdk, over = (cell.rpartition(" (")[0] for cell in cells[:2])
        mode, _, form = cells[3].partition(", ")
        key = (cells[8], sdk, over, cells[2], mode, form)
        rows[key] = {name: cells[4 + place] == "yes" for place, name in enumerate(CELLS)}
    return rows


def main(results: Path, *, is_check: bool) -> int:
    """Write or check the page; return the exit status."""
    rows = list(read_rows(results))
    if not is_check:
        PAGE.write_text(render_page(rows), encoding="utf-8")
        return 0
    found = {row.key: row.cells for row in rows}
    written = read_page()
    for key in sorted(found.keys() | written.keys()):
        if found.get(key) != written.get(key):
            print(f"{', '.join(key)}: ran {found.get(key)}, the page says {written.get(key)}")
    return int(found != written)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), is_check="--check" in sys.argv))
