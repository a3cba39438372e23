"""What recorded calls cost, worked out by hand.

Each row: the recorded exchange (tests/data/wire), how exact the cost is, and the arithmetic: counts of
the provider's own usage times USD per million of the public price list on 2026-10-26. A count or a
price that the cost rests on is not read from anywhere: it was copied off the recording and the
providers' price pages. `work` is evaluated by the tests, so that a slip in it shows.
"""

from __future__ import annotations

#: Unix seconds: 2026-10-26 07:33:20 UTC
TS = 1_793_000_000.0

RECORDED: dict[str, tuple[str, str]] = {
    # -- Anthropic: input leaves the cached parts out; 5-minute writes 1.25 times, reads 0.1 times the input
    "opencode/claude-opus-4-7-drives-a-tool-loop.json/1": ("exact", "798*5 + 66*25"),
    "opencode/writes-then-reads-cache-control-on-identical-second-call.json/1": (
        "exact",
        "9*1 + 5752*1.25 + 5*5",  # Haiku 4.5; ephemeral_5m_input_tokens 5752
    ),
    "opencode/writes-then-reads-cache-control-on-identical-second-call.json/2": (
        "exact",
        "9*1 + 5752*0.10 + 5*5",
    ),
    "pydantic-ai/test_anthropic_cache_real_api.yaml/1": ("exact", "3*3 + 1111*0.30 + 406*15"),
    "pydantic-ai/test_anthropic_cache_real_api.yaml/2": ("exact", "3*3 + 1111*0.30 + 418*3.75 + 33*15"),
    # thinking is inside the output
    "openinference-js/thinking-multi-turn-1.json/1": ("exact", "286*3 + 539*15"),
    # two searches at 10 USD per thousand: 2 * 10,000 USD per million
    "pydantic-ai/test_anthropic_web_search_tool_stream.yaml/1": ("exact", "31772*3 + 644*15 + 2*10000"),
    # code was run beside, for which the usage has no count
    "pydantic-ai/test_anthropic_code_execution_tool_stream.yaml/1": ("partial", "4714*3 + 304*15"),
    # lifetimes not told: at least the 5-minute price
    "openllmetry/test_anthropic_prompt_caching_stream_legacy.yaml/1": (
        "partial",
        "4*3 + 1165*3.75 + 201*15",
    ),
    "openllmetry/test_anthropic_prompt_caching_stream_legacy.yaml/2": ("exact", "4*3 + 1165*0.30 + 221*15"),
    # another model was tried before
    "vercel-ai/anthropic-fallback.chunks.txt/1": ("partial", "412*5 + 264*25"),
    # -- OpenAI: cached inside the input, reasoning inside the output
    "opencode/drives-a-tool-loop-end-to-end.json/1": ("exact", "64*0.15 + 14*0.60"),
    "opencode/openai-responses-gpt-5-5-reasoning-continuation.json/1": ("exact", "31*5 + 20*30"),
    "pydantic-ai/test_openai_responses_thinking_with_tool_calls.yaml/2": (
        "exact",
        "39*1.25 + 2048*0.125 + 124*10",  # 2087 of input, 2048 of them cached
    ),
    "pydantic-ai/test_openai_responses_model_mcp_server_tool.yaml/1": ("exact", "1207*1.10 + 535*4.40"),
    "pydantic-ai/test_openai_chat_prompt_cache_e2e.yaml/1": (
        "exact",
        "8*4 + 4012*5 + 4*20",
    ),
    "pydantic-ai/test_openai_chat_prompt_cache_e2e.yaml/2": ("exact", "8*4 + 4012*0.40 + 4*20"),
    # a web search was made and is billed apart
    "pydantic-ai/test_openai_responses_model_web_search_tool_stream.yaml/1": (
        "partial",
        "1143*1.25 + 8320*0.125 + 582*10",
    ),
    # 44 of the 64 input tokens are audio, which the list has no price for: at least that of text
    "pydantic-ai/test_audio_as_binary_content_input.yaml/1": ("partial", "64*2.50 + 9*10"),
    # Azure's own list has none of OpenAI's models
    "openllmetry/test_chat_content_filtering.yaml/2": ("partial", "16*0.40 + 24*1.60"),
    # -- Gemini: thinking stands beside the candidates and is billed as output
    "opencode/streams-tool-call.json/1": ("exact", "55*0.30 + 60*2.50"),  # 15 + 45 thought
    "pydantic-ai/test_google_model_thinking_part_iter.yaml/1": ("exact", "34*1.25 + 1256*10"),  # 469 + 787
    "pydantic-ai/test_google_streaming_tool_call_thought_signature.yaml/1": ("exact", "29*2 + 212*12"),
    "otel-contrib/test_streaming__logcontent-gemini-2.5-flash-vertexaiapi-sync-default.yaml/1": (
        "exact",
        "8*0.30 + 2581*2.50",
    ),
    # audio costs more: 1,881 of its 1,917 tokens are cached, 17,379 of all 17,713
    "pydantic-ai/test_google_model_mobile_youtube_video_url_input.yaml/1": (
        "exact",
        "298*0.30 + 36*1.00 + 15498*0.03 + 1881*0.10 + 889*2.50",
    ),
    # -- Bedrock: its own prices, a tenth more for a regional Claude 4.5
    "opencode/drives-a-tool-loop.json/1": ("exact", "425*0.035 + 45*0.14"),
    "pydantic-ai/test_bedrock_cache_write_and_read.yaml/1": ("partial", "2*3.30 + 1322*4.125 + 5*16.50"),
    "pydantic-ai/test_bedrock_cache_write_and_read.yaml/2": ("exact", "2*3.30 + 1322*0.33 + 5*16.50"),
    "otel-contrib/test_invoke_model_with_response_stream_with_content_tool_call__anthropic.claude.yaml/1": (
        "exact",
        "392*3 + 134*15",
    ),
    # -- others
    "opencode/groq-llama-3-3-70b-drives-a-tool-loop.json/1": ("exact", "237*0.59 + 14*0.79"),
    "pydantic-ai/test_tool_use_failed_error.yaml/3": ("exact", "80*0.15 + 256*0.075 + 96*0.60"),
    "opencode/togetherai-streams-tool-call.json/1": ("exact", "194*0.88 + 19*0.88"),
    "pydantic-ai/test_deepseek_deferred_capability_with_thinking.yaml/1": (
        "exact",
        "51*0.30 + 512*0.006 + 116*1.20",
    ),
    # no price for what was read from the cache: left out
    "pydantic-ai/test_mistral_history_uses_prompt_cache.yaml/2": ("partial", "44*2 + 5*6"),
    # Cohere bills 62 and 28 units where it counts 968 and 83 tokens
    "openllmetry/test_cohere_v2_chat_legacy_with_tool_calls_and_streaming.yaml/1": (
        "exact",
        "62*0.15 + 28*0.60",
    ),
    # -- what the provider says it cost, which the list price of the same call happens to equal
    "opencode/openrouter-gpt-5-5-drives-a-tool-loop.json/1": ("exact", "69*5 + 18*30"),
    "opencode/openrouter-gpt-5-5-drives-a-tool-loop.json/2": ("exact", "108*5 + 12*30"),
    "vercel-ai/xai-tool-call.chunks.txt/1": ("exact", "1*0.30 + 290*0.075 + 222*0.50"),
    "pydantic-ai/test_openrouter_stream_error.yaml/1": ("exact", "0*1"),  # a free model: told, so 0 is known
    # -- turned down: nothing is billed
    "opencode/rejects-malformed-assistant-tool-order-without-patch.json/1": ("exact", "0*1"),
    "vercel-ai/google-429-retry-info.json/1": ("exact", "0*1"),
    # -- nobody knows
    "openllmetry/test_ollama_streaming_chat_legacy.yaml/1": ("unknown", ""),
    "pydantic-ai/test_request_structured_response.yaml/1": ("unknown", ""),
    "pydantic-ai/test_background_mode_with_tool_vcr.yaml/1": ("unknown", ""),  # queued: no usage yet
}

#: Runs of the transcripts in tests/data/transcripts. Claude Code wrote no final count of output tokens then:
#: a cost is the least there can be.
TRANSCRIPTS: dict[str, tuple[str, str]] = {
    # 49 calls, whose sums the tool that recorded them told as well (76-62d755ef9f-2-metadata.json)
    "claude-code-839b35f7-4dbd-4d93-9772-3c272cc87caa": (
        "partial",
        "4359*3 + 679802*3.75 + 4590193*0.30 + 111*15",
    ),
    # Opus 4.6, cache written for an hour: twice the input
    "claude-code-6da7d497-00e2-460d-a6b4-d280e0314cfd": (
        "partial",
        "8*5 + 118997*0.50 + 52959*10 + 443*25",
    ),
    # through Bedrock, lifetimes of the cache not told
    "claude-code-4c2ddfdc-b619-4525-8d03-1950fb1b0257": (
        "partial",
        "33*3 + 37172*3.75 + 214627*0.30 + 806*15",
    ),
    "claude-code-bb32e6fc-9893-4839-b1de-646fdb1437d1-de587407": ("partial", "250*3 + 70*15"),
    "claude-code-session_b": ("exact", "20*3 + 35*15"),
    # 66 calls of GPT-5.5, the largest prompt 131,573 tokens: none above the 272,000 from which all costs more
    "codex-019e1625-789d-76c0-80ab-3724b5ddb799": ("exact", "1126300*5 + 4929536*0.50 + 9118*30"),
    "codex-spawn-test-uuid": ("partial", "4000*2.50 + 1000*0.25 + 200*15"),
    "codex-a1b2c3d4-e5f6-7890-abcd-ef1234567890": ("partial", "588*1.10 + 512*0.275 + 20*4.40"),
    # a provider of the user's own, and a transcript without usage
    "codex-019b7f94-51b4-7593-922e-ba12b5b73b52": ("unknown", ""),
    "claude-code-sample_session": ("unknown", ""),
}
