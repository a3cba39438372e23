"""What a query gave: its columns, and its rows in the shape one wants them in."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agent_step_log.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pandas
    import polars
    import pyarrow

__all__ = ["Result"]

_BATCH = 2048  # rows; what the engine hands out at once


class Result:
    """The rows of one query. They are taken once: by one of the methods, or by iterating.

    Outlives the logs it came from. Not thread-safe.

    Attributes:
        columns: The names, in order.
        types: The type of each, as the engine writes it: ``VARCHAR``, ``BIGINT``, ``DOUBLE``, ``JSON``, ...
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._cursor = cursor
        described = cursor.description or []
        self.columns: tuple[str, ...] = tuple(column[0] for column in described)
        self.types: tuple[str, ...] = tuple(str(column[1]) for column in described)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows left, as tuples; JSON is text."""
        return self._cursor.fetchall()

    def dicts(self) -> list[dict[str, Any]]:
        """Return the rows left, each as column to value; of columns of one name the last."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows()]

    def batches(self, size: int = _BATCH) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows left in lists of up to *size*."""
        while rows := self._cursor.fetchmany(size):
            yield rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for rows in self.batches():
            yield from rows

    def arrow(self) -> pyarrow.Table:
        """Return the rows left as an Arrow table.

        Raises:
            MissingExtraError: pyarrow is not installed.
        """
        _require("pyarrow", "Arrow")
        return self._cursor.to_arrow_table()

    def pandas(self) -> pandas.DataFrame:
        """Return the rows left as a DataFrame.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        _require("pandas", "pandas")
        return self._cursor.df()

    def polars(self) -> polars.DataFrame:
        """Return the rows left as a DataFrame.

        Raises:
            MissingExtraError: polars or pyarrow, which it reads through, is not installed.
        """
        _require("polars", "Polars")
        _require("pyarrow", "Polars")
        return self._cursor.pl()


def _require(module: str, form: str) -> None:
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        # Present, but missing a package of its own: advice to install it would mislead.
        if error.name != module:
            raise
        message = f"A result for {form} needs {module!r}: pip install {module}"
        raise MissingExtraError(message) from None
