from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttap.decoders import ToolResult, message_list, request_facts

APIS = [
    "anthropic.messages",
    "openai.chat",
    "openai.responses",
    "gemini.generate_content",
    "gemini.interactions",
    "bedrock.converse",
    "bedrock.invoke_model",
    "cohere.chat",
    "ollama.chat",
    "ollama.generate",
    "unknown",
]
OPENAI_HISTORY = [
    {"role": "user", "content": "Weather?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}},
            {"id": "c2", "type": "function", "function": {"name": "hear", "arguments": ""}},
        ],
    },
    {"role": "tool", "tool_call_id": "c2", "content": "birds"},
    {"role": "tool", "tool_call_id": "c1", "content": "blue"},
]


def results(api: str, url: str = "https://x/", **body: Any) -> list[ToolResult]:
    return request_facts(api, url, body).tool_results


class TestModel:
    @pytest.mark.parametrize(
        ("api", "url", "body", "asked"),
        [
            (
                "anthropic.messages",
                "https://x/v1/messages",
                {"model": "m", "stream": True},
                ("m", None, True),
            ),
            ("openai.chat", "https://x/chat/completions", {"model": "m"}, ("m", None, False)),
            (
                "openai.chat",
                "https://me.openai.azure.com/openai/deployments/mine/chat/completions?api-version=1",
                {},
                ("mine", "azure.ai.openai", False),
            ),
            (
                "openai.chat",
                "https://api.groq.com/openai/v1/chat/completions",
                {"model": "m"},
                ("m", "groq", False),
            ),
            (
                "gemini.generate_content",
                "https://generativelanguage.googleapis.com/v1beta/models/g-2:streamGenerateContent?alt=sse",
                {},
                ("g-2", "gcp.gemini", True),
            ),
            (
                "gemini.generate_content",
                "https://x/v1/projects/p/locations/l/publishers/google/models/g:generateContent",
                {},
                ("g", "gcp.vertex_ai", False),
            ),
            (
                "bedrock.converse",
                "https://127.0.0.1/model/us.amazon.nova-micro-v1%3A0/converse",
                {},
                ("us.amazon.nova-micro-v1:0", "aws.bedrock", False),
            ),
            (
                "bedrock.invoke_model",
                "https://x/model/arn%3Aaws%3Abedrock%3A%3A%3Aprofile%2Fme/invoke-with-response-stream",
                {},
                ("arn:aws:bedrock:::profile/me", "aws.bedrock", True),
            ),
            ("ollama.chat", "http://localhost:11434/api/chat", {"model": "m"}, ("m", None, True)),
            (
                "ollama.chat",
                "http://localhost:11434/api/chat",
                {"model": "m", "stream": False},
                ("m", None, False),
            ),
            ("gemini.interactions", "https://x/v1beta/interactions", {"agent": "a"}, ("a", None, False)),
        ],
    )
    def test_model_provider_and_streaming_are_where_the_api_puts_them(
        self, api: str, url: str, body: dict[str, Any], asked: tuple[Any, ...]
    ) -> None:
        facts = request_facts(api, url, body)

        assert (facts.model, facts.provider, facts.is_streamed) == asked


class TestToolResults:
    def test_openai_chat(self) -> None:
        assert results("openai.chat", messages=OPENAI_HISTORY) == [
            ToolResult("c2", "hear", {}, "birds"),
            ToolResult("c1", "look", {"at": "sky"}, "blue"),
        ]

    def test_cohere(self) -> None:
        assert [each.name for each in results("cohere.chat", messages=OPENAI_HISTORY)] == ["hear", "look"]

    def test_anthropic(self) -> None:
        messages = [
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t1", "name": "n", "input": {"a": 1}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": True},
                    {"type": "text", "text": "go on"},
                    {"type": "tool_result", "tool_use_id": "t0", "content": [{"text": "yes"}]},
                ],
            },
        ]

        assert results("anthropic.messages", messages=messages) == [
            ToolResult("t1", "n", {"a": 1}, "no", True),
            ToolResult("t0", None, None, [{"text": "yes"}], None),
        ]

    def test_openai_responses(self) -> None:
        items = [
            {"type": "function_call", "call_id": "c1", "name": "n", "arguments": '{"a": 1}'},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
            {"type": "local_shell_call", "call_id": "c3", "action": {"command": ["ls"]}},
            {"type": "function_call_output", "call_id": "c1", "output": "one"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "two"},
            {"type": "local_shell_call_output", "call_id": "c3", "output": "three"},
            {"type": "tool_search_output", "call_id": "c4", "tools": []},
        ]

        assert results("openai.responses", input=items) == [
            ToolResult("c1", "n", {"a": 1}, "one"),
            ToolResult("c2", "patch", {"input": "*** Begin"}, "two"),
            ToolResult("c3", "local_shell_call", {"command": ["ls"]}, "three"),
        ]

    def test_gemini_pairs_by_name_and_order(self) -> None:
        contents = [
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"name": "a", "args": {"n": 1}}},
                    {"functionCall": {"name": "b", "args": {"n": 2}}},
                    {"functionCall": {"name": "a", "args": {"n": 3}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "b", "response": {"output": "B"}}},
                    {"functionResponse": {"name": "a", "response": {"output": "A1"}}},
                    {"function_response": {"name": "a", "response": {"error": "no"}}},
                ],
            },
        ]

        expected = [
            ToolResult(None, "b", {"n": 2}, {"output": "B"}),
            ToolResult(None, "a", {"n": 1}, {"output": "A1"}),
            ToolResult(None, "a", {"n": 3}, {"error": "no"}, True),
        ]
        assert results("gemini.generate_content", contents=contents) == expected
        assert results("gemini.generate_content", request={"contents": contents}) == expected

    def test_gemini_interactions(self) -> None:
        steps = [
            {"type": "user_input", "content": [{"type": "text", "text": "Hi"}]},
            {"type": "function_call", "id": "c1", "name": "n", "arguments": {"a": 1}},
            {"type": "function_result", "call_id": "c1", "result": "no", "is_error": True},
        ]
        expected = [ToolResult("c1", "n", {"a": 1}, "no", True)]

        assert results("gemini.interactions", input=steps) == expected
        assert results("gemini.interactions", input=[{"role": "model", "content": steps}]) == expected

    @pytest.mark.parametrize("api", ["bedrock.converse", "bedrock.invoke_model"])
    def test_bedrock(self, api: str) -> None:
        messages = [
            {
                "role": "assistant",
                "content": [{"toolUse": {"toolUseId": "u", "name": "n", "input": {"a": 1}}}],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "u", "content": [{"text": "x"}], "status": "error"}},
                ],
            },
        ]

        assert results(api, messages=messages) == [ToolResult("u", "n", {"a": 1}, [{"text": "x"}], True)]

    def test_bedrock_invoke_speaks_the_models_own_api(self) -> None:
        messages = [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
        ]

        assert results("bedrock.invoke_model", anthropic_version="b", messages=messages) == [
            ToolResult("t", "n", {}, "x")
        ]
        assert len(results("bedrock.invoke_model", messages=OPENAI_HISTORY)) == 2

    def test_ollama_pairs_by_name_and_order(self) -> None:
        messages = [
            {"role": "assistant", "tool_calls": [{"function": {"name": "n", "arguments": {"a": 1}}}]},
            {"role": "tool", "tool_name": "n", "content": "x"},
            {"role": "assistant", "tool_calls": [{"function": {"name": "m", "arguments": {}}}]},
            {"role": "tool", "content": "y"},
        ]

        assert results("ollama.chat", messages=messages) == [
            ToolResult(None, "n", {"a": 1}, "x"),
            ToolResult(None, "m", {}, "y"),
        ]


class TestMessageList:
    @pytest.mark.parametrize(
        ("api", "body", "roles"),
        [
            (
                "anthropic.messages",
                {"system": "s", "tools": [1], "messages": [{"role": "user", "content": "x"}]},
                ["system", "tools", "user"],
            ),
            (
                "openai.chat",
                {"tools": [1], "messages": OPENAI_HISTORY},
                ["tools", "user", "assistant", "tool", "tool"],
            ),
            (
                "openai.responses",
                {
                    "instructions": "s",
                    "input": [
                        {"role": "user", "content": "x"},
                        {"type": "function_call", "call_id": "c"},
                        {"type": "function_call_output", "call_id": "c", "output": "y"},
                    ],
                },
                ["system", "user", "assistant", "tool"],
            ),
            ("openai.responses", {"input": "x"}, ["user"]),
            (
                "gemini.generate_content",
                {
                    "systemInstruction": {"parts": []},
                    "contents": [
                        {"role": "user", "parts": [{"text": "x"}]},
                        {"role": "model", "parts": [{"functionCall": {"name": "n"}}]},
                        {"role": "user", "parts": [{"functionResponse": {"name": "n"}}]},
                    ],
                },
                ["system", "user", "assistant", "tool"],
            ),
            (
                "gemini.interactions",
                {"system_instruction": "s", "input": [{"type": "user_input"}, {"type": "function_result"}]},
                ["system", "user", "tool"],
            ),
            (
                "bedrock.converse",
                {"system": [1], "toolConfig": {"tools": [1]}, "messages": [{"role": "user", "content": []}]},
                ["system", "tools", "user"],
            ),
            ("ollama.generate", {"system": "s", "prompt": "x"}, ["system", "user"]),
            ("bedrock.invoke_model", {"inputText": "x"}, ["user"]),
        ],
    )
    def test_request_is_a_conversation(self, api: str, body: dict[str, Any], roles: list[str]) -> None:
        assert [role for role, _ in message_list(api, body)] == roles


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "messages",
                        "content",
                        "role",
                        "type",
                        "tool_calls",
                        "function",
                        "input",
                        "contents",
                        "parts",
                    ),
                    *(
                        "functionCall",
                        "functionResponse",
                        "toolUse",
                        "toolResult",
                        "model",
                        "request",
                        "name",
                    ),
                    *("call_id", "system", "tools", "arguments", "id", "status", "stream"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


class TestBadInput:
    @given(st.sampled_from(APIS), JUNK)
    def test_wrong_types_anywhere_are_no_failure(self, api: str, body: Any) -> None:
        facts = request_facts(api, "https://x/model/m/invoke", body)

        assert facts.model is None or isinstance(facts.model, str)
        assert all(isinstance(each, ToolResult) for each in facts.tool_results)
        assert isinstance(message_list(api, body), list)

    @pytest.mark.parametrize(
        "url", ["", "\x00", "https://[", "https://x/models/" + "a" * 100_000, "::", "//"], ids=len
    )
    @pytest.mark.parametrize("api", APIS)
    def test_odd_url_is_no_failure(self, api: str, url: str) -> None:
        assert request_facts(api, url, {"model": "m"}).tool_results == []
