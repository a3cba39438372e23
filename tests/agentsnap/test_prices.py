"""A call is priced by its date, tier and kinds of tokens; what the list cannot know is no wrong number."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_step_log.errors import MissingExtraError
from agentsnap import OwnPrice, Prices, format_usd
from agentsnap._quick import UNIT_DECIMALS, may_be_quick, quick_cost
from tests.agentsnap.golden import TS
from tests.agentsnap.records import call, record
from tests.agentsnap.test_golden import worked_out
from tests.support.children import run_child

PRICES = Prices.load()


def on(year: int, month: int, day: int, hour: int = 12) -> float:
    return datetime(year, month, day, hour, tzinfo=UTC).timestamp()


def cost(**keys: Any) -> Any:
    return PRICES.cost_of(record(**keys))


def check(found: Any, exactness: Any, work: Any) -> None:
    assert (found.amount.exactness, found.amount.value) == (exactness, worked_out(work) if work else None)


class TestCacheOfAnthropic:
    def test_each_lifetime_has_its_price(self) -> None:
        usage = {"cache_creation": {"ephemeral_5m_input_tokens": 600, "ephemeral_1h_input_tokens": 200}}

        found = cost(cache_read_tokens=100, cache_write_tokens=800, usage=usage)

        check(found, "exact", "100*3 + 100*0.30 + 600*3.75 + 200*6 + 100*15")
        assert [line.kind for line in found.lines] == [
            "input",
            "cache read",
            "cache write",
            "cache write, 1 hour",
            "output",
        ]

    def test_split_that_does_not_add_up_counts_as_five_minutes_at_least(self) -> None:
        usage = {"cache_creation": {"ephemeral_5m_input_tokens": 600, "ephemeral_1h_input_tokens": 100}}

        found = cost(cache_write_tokens=800, usage=usage)

        check(found, "partial", "200*3 + 800*3.75 + 100*15")
        assert "how long the cache was written" in found.notes[0]

    def test_bedrock_tells_lifetimes_in_a_list(self) -> None:
        usage = {"cacheDetails": [{"ttl": "5m", "inputTokens": 300}, {"ttl": "1h", "inputTokens": 200}]}

        found = cost(
            provider="aws.bedrock",
            model="global.anthropic.claude-sonnet-4-5-20250929-v1:0",
            cache_write_tokens=500,
            usage=usage,
        )

        check(found, "exact", "500*3 + 300*3.75 + 200*6 + 100*15")

    def test_model_without_an_hourly_price_makes_a_lower_bound_of_an_hour(self) -> None:
        usage = {"cacheDetails": [{"ttl": "1h", "inputTokens": 500}]}

        found = cost(
            provider="aws.bedrock",
            model="us.anthropic.claude-3-5-sonnet-20240620-v1:0",
            cache_write_tokens=500,
            usage=usage,
        )

        check(found, "partial", "500*3 + 500*3.75 + 100*15")


class TestTiers:
    def test_batch_of_anthropic_costs_half(self) -> None:
        check(cost(service_tier="batch", cache_read_tokens=200), "exact", "800*1.50 + 200*0.15 + 100*7.50")

    def test_batch_before_the_list_has_its_price_is_unknown_and_not_the_full_price(self) -> None:
        found = cost(service_tier="batch", ts=on(2026, 3, 1))

        check(found, "unknown", "")
        assert found.notes == ("no batch price of anthropic/claude-sonnet-4-5 is known on 2026-03-01",)

    def test_batch_of_a_model_without_a_batch_price_is_unknown(self) -> None:
        check(cost(model="claude-sonnet-4-0", service_tier="batch"), "unknown", "")

    def test_batch_of_gemini_keeps_the_price_of_the_cache(self) -> None:
        found = cost(
            provider="gcp.gemini", model="gemini-2.5-pro", service_tier="batch", cache_read_tokens=400
        )

        check(found, "exact", "600*0.625 + 400*0.125 + 100*5")

    @pytest.mark.parametrize(
        ("tier", "work"),
        [
            ("default", "900*5 + 100*0.50 + 100*30"),
            ("flex", "900*2.50 + 100*0.25 + 100*15"),
            ("priority", "900*12.50 + 100*1.25 + 100*75"),
            ("fast", "900*12.50 + 100*1.25 + 100*75"),
            ("batch", "900*2.50 + 100*0.25 + 100*15"),
        ],
    )
    def test_tiers_of_openai_have_their_prices(self, tier: Any, work: Any) -> None:
        found = cost(provider="openai", model="gpt-5.5", service_tier=tier, cache_read_tokens=100)

        check(found, "exact", work)

    def test_flex_before_the_list_has_its_price_is_unknown(self) -> None:
        found = cost(provider="openai", model="gpt-5.5", service_tier="flex", ts=on(2026, 9, 1))

        check(found, "unknown", "")

    def test_priority_without_a_price_is_at_least_the_standard_one(self) -> None:
        found = cost(provider="openai", model="gpt-5.5", service_tier="priority", ts=on(2026, 9, 1))

        check(found, "partial", "1000*5 + 100*30")
        assert found.notes == ("priced as standard: what the priority tier costs is not known",)

    def test_auto_is_at_least_the_standard_price(self) -> None:
        check(cost(provider="openai", model="gpt-4o", service_tier="auto"), "partial", "1000*2.50 + 100*10")

    def test_fast_mode_of_anthropic_is_read_from_its_usage(self) -> None:
        found = cost(model="claude-opus-4-8", usage={"speed": "fast", "service_tier": "standard"})

        check(found, "exact", "1000*10 + 100*50")

    def test_tier_is_read_from_the_usage_where_the_record_has_none(self) -> None:
        check(cost(usage={"service_tier": "batch"}), "exact", "1000*1.50 + 100*7.50")

    @pytest.mark.parametrize(
        ("provider", "model", "tier"),
        [
            ("anthropic", "claude-sonnet-4-5", "priority"),
            ("openai", "gpt-4o", "scale"),
            ("gcp.vertex_ai", "gemini-2.5-flash", "PROVISIONED_THROUGHPUT"),
            ("aws.bedrock", "amazon.nova-micro-v1:0", "reserved"),
            ("openai", "gpt-4o", "a-tier-of-next-year"),
        ],
    )
    def test_contract_or_unheard_of_tier_is_unknown(self, provider: Any, model: Any, tier: Any) -> None:
        check(cost(provider=provider, model=model, service_tier=tier), "unknown", "")

    def test_gemini_on_demand_is_the_standard_tier(self) -> None:
        found = cost(provider="gcp.vertex_ai", model="gemini-2.5-flash", service_tier="ON_DEMAND")

        check(found, "exact", "1000*0.30 + 100*2.50")


class TestSizeOfThePrompt:
    def test_long_prompt_of_gemini_costs_more_in_whole(self) -> None:
        found = cost(
            provider="gcp.gemini",
            model="gemini-2.5-pro",
            input_tokens=200_001,
            cache_read_tokens=1,
            output_tokens=1000,
        )

        check(found, "exact", "200000*2.50 + 1*0.25 + 1000*15")
        assert found.lines[0].above == 200_000

    def test_prompt_of_exactly_the_limit_does_not(self) -> None:
        found = cost(provider="gcp.gemini", model="gemini-2.5-pro", input_tokens=200_000, output_tokens=1)

        check(found, "exact", "200000*1.25 + 1*10")

    def test_cached_tokens_count_towards_the_size(self) -> None:
        found = cost(provider="openai", model="gpt-5.5", input_tokens=272_001, cache_read_tokens=272_000)

        check(found, "exact", "1*10 + 272000*1 + 100*45")

    def test_size_that_is_not_told_makes_a_lower_bound(self) -> None:
        found = cost(provider="gcp.gemini", model="gemini-2.5-pro", input_tokens=None)

        check(found, "partial", "100*10")


class TestDates:
    def test_price_is_that_of_the_day(self) -> None:
        keys = {"provider": "openai", "model": "o3"}

        check(cost(**keys, ts=on(2025, 6, 9)), "exact", "1000*10 + 100*40")
        check(cost(**keys, ts=on(2025, 6, 10, 0)), "exact", "1000*2 + 100*8")

    def test_price_that_changes_within_the_day_is_that_of_the_hour(self) -> None:
        keys = {"provider": "deepseek", "model": "deepseek-reasoner"}

        by_hour = {cost(**keys, ts=on(2025, 7, 1, hour)).amount.value for hour in range(24)}

        assert len(by_hour) == 2

    @pytest.mark.parametrize("ts", [1e300, -1e18])
    def test_time_outside_of_the_calendar_has_no_price(self, ts: Any) -> None:
        found = cost(ts=ts)

        check(found, "unknown", "")
        assert found.notes == ("the record's time is outside of the calendar",)


class TestNames:
    @pytest.mark.parametrize(
        ("provider", "model", "price"),
        [
            ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
            (None, "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
            ("OpenAI", "gpt-4o-2024-08-06", "openai/gpt-4o"),
            ("x_ai", "grok-4", "x-ai/grok-4-0709"),
            ("mistral_ai", "mistral-small-latest", "mistral/mistral-small-latest"),
            ("gcp.gemini", "gemini-2.5-flash", "google/gemini-2.5-flash"),
            ("aws.bedrock", "us.amazon.nova-micro-v1:0", "aws/amazon.nova-micro-v1:0"),
        ],
    )
    def test_our_names_of_providers_and_dated_models_are_found(
        self, provider: Any, model: Any, price: Any
    ) -> None:
        assert cost(provider=provider, model=model).price == price

    @pytest.mark.parametrize(
        ("provider", "model"),
        [("anthropic", "claude-opus-9"), ("my-gateway", "gpt-4o"), (None, "llama3"), ("anthropic", None)],
    )
    def test_what_the_list_does_not_have_is_unknown_and_never_zero(self, provider: Any, model: Any) -> None:
        found = cost(provider=provider, model=model)

        check(found, "unknown", "")
        assert found.notes

    def test_model_asked_for_stands_in_for_one_that_is_not_told(self) -> None:
        assert cost(model=None, request_model="claude-sonnet-4-5").amount.value == worked_out(
            "1000*3 + 100*15"
        )

    def test_price_of_another_providers_list_is_a_lower_bound(self) -> None:
        found = cost(provider="azure.ai.openai", model="gpt-4o")

        check(found, "partial", "1000*2.50 + 100*10")

    def test_claude_on_vertex_is_a_lower_bound(self) -> None:
        found = cost(provider="gcp.vertex_ai", model="claude-sonnet-4-5@20250929")

        check(found, "partial", "1000*3 + 100*15")

    def test_id_of_bedrock_behind_anthropics_name_is_a_lower_bound(self) -> None:
        check(cost(request_id="msg_bdrk_01"), "partial", "1000*3 + 100*15")


class TestBilledBeside:
    def test_searches_of_anthropic_are_priced(self) -> None:
        found = cost(usage={"server_tool_use": {"web_search_requests": 3}})

        check(found, "exact", "1000*3 + 100*15 + 3*10000")

    @pytest.mark.parametrize(
        "keys",
        [
            {"output": [{"type": "web_search_call", "id": "ws_1"}]},
            {"output": [{"type": "bash_code_execution_tool_result"}]},
            {"usage": {"inference_geo": "us"}},
            {"usage": {"toolUsePromptTokenCount": 5}},
            {"usage": {"iterations": [{"model": "a"}, {"model": "b"}]}},
        ],
    )
    def test_what_the_usage_does_not_count_makes_a_lower_bound(self, keys: Any) -> None:
        check(cost(**keys), "partial", "1000*3 + 100*15")

    def test_audio_has_its_price_where_the_list_has_one(self) -> None:
        usage = {
            "prompt_tokens_details": {"audio_tokens": 400, "cached_tokens": 0},
            "completion_tokens_details": {"audio_tokens": 60},
        }

        found = cost(provider="openai", model="gpt-audio", usage=usage)

        check(found, "exact", "600*2.50 + 400*32 + 40*10 + 60*64")


class TestToldCost:
    def test_cost_the_provider_tells_wins_over_every_price(self) -> None:
        own = Prices([OwnPrice("*", {"input": Decimal(1), "output": Decimal(1)})])

        found = own.cost_of(record(usage={"cost": 0.000885, "is_byok": False}))

        assert (found.amount.value, found.source) == (Decimal("0.000885"), "provider")

    def test_own_key_at_openrouter_adds_the_upstream_cost(self) -> None:
        usage = {"cost": 0.0001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.002}}

        assert cost(usage=usage).amount.value == Decimal("0.0021")

    def test_own_key_without_the_upstream_cost_is_priced_by_the_list(self) -> None:
        assert cost(usage={"cost": 0.0001, "is_byok": True}).source == "list"

    def test_cost_of_the_logs_own_counts(self) -> None:
        assert cost(attrs={"cost_usd": 0.25}).amount.value == Decimal("0.25")

    @pytest.mark.parametrize("odd", [-1, "much", True, None, [], float("inf"), {"total_cost": "?"}])
    def test_cost_that_is_no_amount_is_passed_over(self, odd: Any) -> None:
        assert PRICES.cost_of(call(usage={"cost": odd})).source == "list"

    def test_perplexity_tells_the_total(self) -> None:
        assert cost(usage={"cost": {"total_cost": 0.006}}).amount.value == Decimal("0.006")


class TestFailedCalls:
    def test_call_that_was_turned_down_costs_nothing(self) -> None:
        found = cost(
            input_tokens=None, output_tokens=None, error="slow down", error_type="anthropic.RateLimitError"
        )

        check(found, "exact", "0*0")

    def test_call_that_failed_otherwise_is_unknown(self) -> None:
        found = cost(input_tokens=None, output_tokens=None, error="reset", error_type="httpx.ReadError")

        check(found, "unknown", "")

    def test_call_that_failed_with_tokens_is_priced(self) -> None:
        check(cost(error="cut", error_type="rate_limit_error"), "exact", "1000*3 + 100*15")


class TestCountsThatCannotBe:
    @pytest.mark.parametrize(
        ("keys", "work"),
        [
            ({"input_tokens": -5}, "100*15"),
            ({"output_tokens": -5}, "1000*3"),
            ({"input_tokens": 1_000_000_001}, "100*15"),
            ({"cache_read_tokens": 1001}, "100*15"),
            ({"cache_read_tokens": 600, "cache_write_tokens": 600}, "100*15"),
            ({"reasoning_tokens": 101}, "1000*3 + 100*15"),
            ({"cache_read_tokens": -1}, "1000*3 + 100*15"),
        ],
    )
    def test_are_named_and_left_out(self, keys: Any, work: Any) -> None:
        found = cost(**keys)

        check(found, "partial", work)
        assert len(found.problems) == 1

    def test_placeholder_makes_a_lower_bound(self) -> None:
        check(cost(bounds={"output_tokens": "lower"}), "partial", "1000*3 + 100*15")

    def test_upper_bound_is_left_out_of_a_lower_bound(self) -> None:
        check(cost(bounds={"input_tokens": "upper"}), "partial", "100*15")


class TestOwnPrices:
    def test_come_before_the_list(self) -> None:
        own = Prices([OwnPrice("claude-*", {"input": Decimal(1), "output": Decimal(2)}, name="mine")])

        found = own.cost_of(record())

        check(found, "exact", "1000*1 + 100*2")
        assert (found.source, found.price) == ("own", "mine")
        assert not own.is_list_used

    def test_kind_without_a_price_of_its_own_is_not_taken_from_the_list(self) -> None:
        own = Prices([OwnPrice("claude-*", {"input": Decimal(1)})])

        check(own.cost_of(record()), "partial", "1000*1")

    def test_later_one_wins_and_a_tier_and_a_day_have_their_own(self) -> None:
        own = Prices(
            [
                OwnPrice("m", {"input": Decimal(1), "output": Decimal(1)}),
                OwnPrice("m", {"input": Decimal(2), "output": Decimal(2)}, start=date(2026, 10, 1)),
                OwnPrice("m", {"input": Decimal(5), "output": Decimal(5)}, tier="batch"),
                OwnPrice("m", {"input": Decimal(9), "output": Decimal(9)}, above=900),
            ]
        )

        def of(**keys: Any) -> Any:
            return own.cost_of(record(model="m", **keys)).amount.value

        assert of(ts=on(2026, 9, 30), input_tokens=100) == worked_out("200*1")
        assert of(input_tokens=100) == worked_out("200*2")
        assert of(input_tokens=901) == worked_out("1001*9")
        assert of(service_tier="batch") == worked_out("1100*5")

    def test_price_of_zero_is_known(self) -> None:
        own = Prices([OwnPrice("llama*", {"input": Decimal(0), "output": Decimal(0)})])

        check(own.cost_of(record(model="llama3", provider=None)), "exact", "0*0")


class TestArithmetic:
    def test_callers_decimal_context_changes_no_digit(self) -> None:
        with localcontext(prec=2):
            found = cost(input_tokens=123_457, output_tokens=98_765)
            told = cost(usage={"cost_in_usd_ticks": 1_330_512_345})

        check(found, "exact", "123457*3 + 98765*15")
        assert told.amount.value == Decimal("0.1330512345")

    @pytest.mark.parametrize("odd", [1e308, 10**30, "9" * 39, 5e-324])
    def test_cost_without_measure_stays_printable(self, odd: Any) -> None:
        format_usd(PRICES.cost_of(call(usage={"cost": odd})).amount)


class TestRecordsOfAnyForm:
    def test_dict_and_object_cost_what_the_record_does(self) -> None:
        keys = call(cache_read_tokens=100, usage={"cost": 0.5})

        class Written:
            pass

        written = Written()
        written.__dict__.update(keys)
        assert PRICES.cost_of(keys) == PRICES.cost_of(written) == PRICES.cost_of(record(**keys))

    def test_dict_with_hosted_tools_in_its_output_is_a_lower_bound_too(self) -> None:
        found = PRICES.cost_of(call(output=[{"type": "web_search_call"}]))

        assert found.amount.exactness == "partial"


numbers = st.none() | st.integers(-2, 300_000) | st.just(2_000_000_000)
odd = (
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
)
details = st.dictionaries(st.sampled_from(["audio_tokens", "image_tokens", "cached_tokens"]), odd | numbers)
usages = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "input_tokens": odd,
        "cost": odd,
        "cache_creation": odd
        | st.fixed_dictionaries(
            {},
            optional={"ephemeral_5m_input_tokens": numbers, "ephemeral_1h_input_tokens": numbers},
        ),
        "cacheDetails": odd,
        "server_tool_use": odd | st.fixed_dictionaries({"web_search_requests": odd}),
        "prompt_tokens_details": odd | details,
        "completion_tokens_details": odd | details,
        "promptTokensDetails": odd
        | st.lists(
            st.fixed_dictionaries({"modality": st.sampled_from(["TEXT", "AUDIO"]), "tokenCount": numbers}),
            max_size=2,
        ),
        "iterations": odd,
        "inference_geo": st.sampled_from(["us", "global", None]),
        "speed": st.sampled_from(["fast", "standard", 3]),
        "service_tier": odd,
        "billed_units": odd | st.dictionaries(st.sampled_from(["input_tokens", "output_tokens"]), odd),
    },
)
calls = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["claude-sonnet-4-5", "gpt-5.5", "gemini-2.5-pro", "gpt-audio", "none"]),
        "provider": st.sampled_from(["anthropic", "openai", "gcp.gemini", "azure.ai.openai", None]),
        "input_tokens": numbers,
        "output_tokens": numbers,
        "cache_read_tokens": numbers,
        "cache_write_tokens": numbers,
        "reasoning_tokens": numbers,
        "service_tier": st.sampled_from([None, "batch", "priority", "flex", "auto", "x"]),
        "usage": usages,
        "bounds": st.sampled_from([None, {}, {"output_tokens": "lower"}, {"input_tokens": "upper"}]),
        "error": st.sampled_from([None, "HTTP 429"]),
    }
)


class TestAnyRecord:
    @settings(max_examples=400)
    @given(calls)
    def test_amount_is_the_sum_of_its_lines_and_says_why_it_is_not_exact(self, keys: Any) -> None:
        found = PRICES.cost_of(record(**keys))

        if found.source in ("list", "own"):
            assert found.amount.known == sum((line.cost.known for line in found.lines), Decimal(0))
        if found.source != "provider":
            assert (found.amount.exactness == "exact") <= (not found.problems)
        assert (found.amount.exactness != "exact") <= bool(found.notes)

    @settings(max_examples=600)
    @given(calls)
    def test_quick_sum_is_the_same_to_the_last_digit(self, keys: Any) -> None:
        made = record(**keys)
        units = quick_cost(made, PRICES.rate_of(made).steps) if may_be_quick(made) else None

        if units is not None:
            found = PRICES.cost_of(made).amount
            assert (found.exactness, found.value) == ("exact", Decimal(units).scaleb(-UNIT_DECIMALS))

    def test_ordinary_calls_of_real_providers_are_quick(self) -> None:
        usage = {
            "input_tokens": 800,
            "cache_read_input_tokens": 100,
            "cache_creation_input_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 60, "ephemeral_1h_input_tokens": 40},
            "server_tool_use": {"web_search_requests": 0},
            "service_tier": "standard",
            "inference_geo": "global",
        }
        made = record(cache_read_tokens=100, cache_write_tokens=100, usage=usage)

        assert may_be_quick(made)
        units = quick_cost(made, PRICES.rate_of(made).steps)
        assert units is not None
        assert Decimal(units).scaleb(-UNIT_DECIMALS) == worked_out(
            "800*3 + 100*0.3 + 60*3.75 + 40*6 + 100*15"
        )


class TestPriceList:
    def test_version_names_package_and_day(self) -> None:

        assert re.fullmatch(
            r"genai-prices \d+\.\d+\.\d+, newest dated price 20\d\d-\d\d-\d\d", PRICES.version
        )

    def test_missing_library_names_its_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "genai_prices", None)

        with pytest.raises(MissingExtraError, match=r"pip install 'agent-step-log\[cost\]'"):
            Prices().cost_of(record())

    def test_missing_library_is_not_missed_where_costs_are_told_or_own(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "genai_prices", None)
        own = Prices([OwnPrice("*", {"input": Decimal(1), "output": Decimal(1)})])

        assert own.cost_of(record()).amount.exactness == "exact"
        assert Prices().cost_of(record(usage={"cost": 1})).amount.value == 1

    def test_is_not_imported_until_a_price_is_asked(self) -> None:
        code = (
            "import sys, agentsnap; from agentsnap import Prices; p = Prices.load(); "
            "assert not {'genai_prices', 'pydantic', 'httpx2'} & sys.modules.keys()"
        )

        subprocess.run([sys.executable, "-c", code], check=True)

    def test_time_of_the_goldens_is_what_they_say(self) -> None:
        assert datetime.fromtimestamp(TS, UTC).isoformat() == "2026-10-26T07:33:20+00:00"


def test_a_signal_handler_may_ask_for_a_price_while_one_is_looked_up() -> None:
    """As a budget does in an agent whose handler makes a call."""
    ended = run_child(
        """
        from agentsnap import Prices, _prices

        call = {"type": "llm_call", "run_id": "r", "step": 1, "ts": 1.79e9, "model": "claude-sonnet-4-5",
                "provider": "anthropic", "input_tokens": 100000, "output_tokens": 0}
        prices, told, look = Prices(), [], _prices.list_provider

        def interrupted(named):
            if not told:
                told.append(None)
                os.kill(os.getpid(), signal.SIGUSR1)
            return look(named)

        _prices.list_provider = interrupted
        signal.signal(signal.SIGUSR1, lambda *_: told.append(float(prices.cost_of(call).amount.value)))
        told.append(float(prices.cost_of(call).amount.value))
        print(json.dumps(told))
        """
    )

    assert ended.told == [None, 0.3, 0.3]
