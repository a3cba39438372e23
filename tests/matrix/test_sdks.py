"""Real SDKs against the provider, with the tap on: what is seen of them, and what they see of it: nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix.choice import CHOSEN, each, one_for_each
from tests.matrix.drivers import DRIVERS
from tests.matrix.observing import converse, observe
from tests.matrix.page import read_page
from tests.matrix.results import SDKS, SESSION, Row, is_written, write_row
from tests.matrix.verdicts import judge
from tests.provider import TEXT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.matrix.drivers import Driver

# What other people's code warns of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")

STREAMED = [driver for driver in CHOSEN if driver.form == "stream" and driver.waits_on != "nothing"]
THINKING = one_for_each(
    lambda driver: (driver.api, driver.form),
    [driver for driver in CHOSEN if not driver.is_framework and driver.waits_on == "text"],
)
BY_BYTES = [driver for driver in STREAMED if driver.waits_on == "bytes"]


class TestConversations:
    @each(CHOSEN)
    def test_is_seen_as_the_provider_had_it(self, driver: Driver, tmp_path: Path) -> None:
        untapped = converse(driver, with_tools=True)

        seen = observe(driver, tmp_path, with_tools=True)

        verdict = judge(seen, untapped.told, over=driver.over)
        row = Row.of(driver, verdict.cells)
        write_row(row)
        assert verdict.reasons == []
        assert seen.told.text == TEXT
        assert is_written() or read_page()[row.key] == row.cells

    @each(STREAMED)
    def test_gets_each_chunk_before_the_next_is_sent(self, driver: Driver, tmp_path: Path) -> None:
        mark = "lockstep" if driver.waits_on == "text" else "lockstep-all"

        seen = observe(driver, tmp_path, marks=mark, is_locked=True)

        assert seen.tap_error is None
        assert [served.ended for served in seen.served] == ["whole"]
        assert [exchange.sha256 for exchange in seen.exchanges] == [seen.served[0].sha256]

    @each(BY_BYTES)
    def test_has_its_chunks_on_the_tape_as_they_were_sent(self, driver: Driver, tmp_path: Path) -> None:
        seen = observe(driver, tmp_path, marks="lockstep-all", is_locked=True)

        assert seen.tap_error is None
        (exchange,) = seen.exchanges
        assert [chunk for _, chunk in exchange.chunks()] == [data for _, data in seen.served[0].writes]
        assert [at for at, _ in exchange.chunks()] == sorted(at for at, _ in exchange.chunks())


class TestThoughts:
    @each(THINKING)
    def test_are_told_from_the_text(self, driver: Driver, tmp_path: Path) -> None:
        seen = observe(driver, tmp_path, marks="think")

        assert seen.tap_error is None
        (exchange,), truth = seen.exchanges, seen.served[0].truth
        assert truth.thinking
        assert (exchange.facts().thinking, exchange.facts().text) == (truth.thinking, truth.text)
        assert seen.of("llm_call")[0]["output_tokens"] == truth.output_tokens


class TestEnvironment:
    def test_has_every_sdk_its_session_is_for(self) -> None:
        assert SDKS <= {driver.sdk for driver in DRIVERS}, SESSION
