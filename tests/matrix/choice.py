"""Which drivers a test is run with: those this environment has, and its session is for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.matrix.drivers import DRIVERS
from tests.matrix.results import SDKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.matrix.drivers import Driver

__all__ = ["CHOSEN", "each", "one_for_each"]

CHOSEN = [driver for driver in DRIVERS if not SDKS or driver.sdk in SDKS]


def one_for_each(key: Callable[[Driver], object], drivers: list[Driver]) -> list[Driver]:
    """Return the first of *drivers* for each value of *key*."""
    found: dict[object, Driver] = {}
    for driver in drivers:
        found.setdefault(key(driver), driver)
    return list(found.values())


def each(drivers: list[Driver]) -> Callable[[Any], Any]:
    """Run a test, or those of a class, once with each of *drivers*; with none of them there is no test."""
    if drivers:
        return pytest.mark.parametrize("driver", drivers, ids=str)
    return lambda test: None
