"""Every test here is kept to this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix.loopback import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _this_machine_only() -> Iterator[None]:
    yield from guarded()
