"""The rows of the page as the tests write them: one JSON file each, below ``$AGENTTAP_MATRIX_RESULTS``.

A session of the matrix says by ``$AGENTTAP_MATRIX_SESSION`` what it is called and by
``$AGENTTAP_MATRIX_SDKS`` which SDKs it is for, parted by ";". Without them the
environment is the one of `make test`, and all it has is run.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.matrix.drivers import Driver

__all__ = ["SDKS", "SESSION", "Row", "is_written", "read_rows", "write_row"]

SESSION = os.environ.get("AGENTTAP_MATRIX_SESSION", "test")
SDKS = frozenset(filter(None, os.environ.get("AGENTTAP_MATRIX_SDKS", "").split(";")))
_RESULTS = os.environ.get("AGENTTAP_MATRIX_RESULTS")


@dataclass(frozen=True)
class Row:
    """One line of the page. *sdk* and *over* are names, their versions beside them."""

    session: str
    sdk: str
    sdk_version: str
    over: str
    over_version: str
    api: str
    mode: str
    form: str
    cells: dict[str, bool]

    @classmethod
    def of(cls, driver: Driver, cells: dict[str, bool]) -> Row:
        """Return the row of *driver* in this environment."""
        return cls(
            SESSION,
            driver.sdk,
            version(driver.package),
            driver.over,
            version(driver.over),
            driver.api,
            driver.mode,
            driver.form,
            cells,
        )

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from the others: all but versions and verdicts."""
        return (self.session, self.sdk, self.over, self.api, self.mode, self.form)


def is_written() -> bool:
    """Tell whether rows are being written, and the page is still to be made of them."""
    return _RESULTS is not None


def write_row(row: Row) -> None:
    """Write *row* where rows are written."""
    if _RESULTS is None:
        return
    directory = Path(_RESULTS) / SESSION
    directory.mkdir(parents=True, exist_ok=True)
    name = "_".join(row.key[1:]).replace("/", "-").replace(" ", "-")
    (directory / f"{name}.json").write_text(json.dumps(asdict(row), indent=1), encoding="utf-8")


def read_rows(directory: Path) -> Iterator[Row]:
    """Yield the rows of every session in *directory*."""
    for path in sorted(directory.glob("*/*.json")):
        yield Row(**json.loads(path.read_text(encoding="utf-8")))
