from __future__ import annotations

import json
import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from agenttap._patterns import find, is_secret_name
from agenttap._redact import Redactor, store_key
from tests.agenttap.redact_samples import NEAR_MISSES, SECRETS

if TYPE_CHECKING:
    from pathlib import Path

KEY = b"k" * 32
ANTHROPIC = SECRETS["anthropic"]
TOKEN = re.compile(r"<redacted:[a-z_]+:[0-9a-f]{8}>")


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(key=KEY)


def token(kind: str, secret: str) -> str:
    return Redactor(key=KEY).token(kind, secret)


class TestPatterns:
    @pytest.mark.parametrize("kind", SECRETS)
    @pytest.mark.parametrize(
        "around", [("", ""), ("key: ", "."), ("=", "&x=1"), ("é", "中"), ("\\", "\\"), ("(", ")")]
    )
    def test_each_form_is_taken_out_and_nothing_else(
        self, redactor: Redactor, kind: str, around: tuple[str, str]
    ) -> None:
        before, behind = around
        secret = SECRETS[kind]

        assert redactor.text(before + secret + behind) == before + token(kind.split()[0], secret) + behind

    @pytest.mark.parametrize("near", NEAR_MISSES)
    def test_what_only_resembles_a_secret_stays(self, redactor: Redactor, near: str) -> None:
        text = NEAR_MISSES[near]

        assert redactor.text(text) == text
        assert find(json.dumps(text), is_json=True) == []

    @pytest.mark.parametrize("before", ["\\n", "\\u00e9", "%3D", "\x1b[32m", "\x1b[0m"])
    def test_an_escape_or_a_colour_before_a_key_does_not_hide_it(
        self, redactor: Redactor, before: str
    ) -> None:
        assert ANTHROPIC not in redactor.text(f"x{before}{ANTHROPIC}")

    def test_prefix_inside_a_base64_text_is_chance(self, redactor: Redactor) -> None:
        blob = "Zm9v/" * 150 + SECRETS["aws_access_key"] + "/" + "YmFy" * 100

        assert redactor.text(blob) == blob

    def test_private_key_without_its_end_is_taken_out_as_far_as_it_goes(self, redactor: Redactor) -> None:
        text = SECRETS["private_key"][:300]

        assert TOKEN.fullmatch(redactor.text(text))

    def test_private_key_of_numbered_lines_is_taken_out_whole(self, redactor: Redactor) -> None:
        numbered = "\n".join(f"{n:4}\t{line}" for n, line in enumerate(SECRETS["private_key"].split("\n")))

        assert redactor.text(numbered) == "   0\t" + token("private_key", numbered[5:])

    @pytest.mark.parametrize(
        ("text", "secret"),
        [
            ("curl -H 'Authorization: Bearer abc123def456' x", "abc123def456"),
            ("authorization=Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
            ('"Proxy-Authorization": "Bearer abc123def456"', "abc123def456"),
            ("AUTHORIZATION: BEARER abc123def456", "abc123def456"),
            ("postgres://bob:s3cr3t@db:5432/x", "s3cr3t"),
            ("redis://:pa:ss:w0rd@cache", "pa:ss:w0rd"),
            ("mongodb+srv://u:p@ss@host/", "p@ss"),
            ("aws_secret_access_key = " + "aB3/" * 10, "aB3/" * 10),
            ("AWS_SECRET_ACCESS_KEY=" + "aB3+" * 10, "aB3+" * 10),
            ("secretAccessKey: '" + "aB3d" * 10 + "'", "aB3d" * 10),
        ],
    )
    def test_only_the_secret_behind_a_label_is_taken_out(
        self, redactor: Redactor, text: str, secret: str
    ) -> None:
        new = redactor.text(text)

        assert secret not in new
        before, behind = text.split(secret)
        assert new.startswith(before)
        assert new.endswith(behind)

    @pytest.mark.parametrize(
        "name",
        [
            "api_key", "apiKey", "apikey", "API-KEY", "x-api-key", "OPENAI_API_KEY", "password",
            "db_password", "Passwd",
            "secret", "client_secret", "clientSecret", "access_token", "refreshToken", "id_token",
            "private_key",
            "authorization", "Authorization", "Proxy-Authorization", "cookie", "GITHUB_TOKEN",
            "SLACK_BOT_TOKEN", "TOKEN",
            "aws_secret_access_key", "SecretAccessKey", "passphrase",
        ],
    )  # fmt: skip
    def test_name_of_a_credential_is_known(self, redactor: Redactor, name: str) -> None:
        assert is_secret_name(name)
        body = json.dumps({"env": {name: "hunter 2"}}).encode()
        expected = {"env": {name: token("credential", "hunter 2")}}
        assert json.loads(redactor.body(body)[0]) == expected
        assert redactor.value({"env": {name: "hunter 2"}}) == expected

    @pytest.mark.parametrize(
        "name",
        ["max_tokens", "token", "token_count", "tokens", "next_page_token", "pageToken",
        "eos_token", "key", "pwd", "PWD",
         "keyword", "secretary", "monkey", "turkey", "authorization_url", "cache_key",
         "primary_key", "author", "description"],
    )  # fmt: skip
    def test_name_of_anything_else_is_left_alone(self, redactor: Redactor, name: str) -> None:
        assert not is_secret_name(name)
        body = json.dumps({name: "hunter2"}).encode()
        assert redactor.body(body)[0] is body


class TestBody:
    def test_body_without_a_secret_is_the_same_object(self, redactor: Redactor) -> None:
        body = json.dumps({"messages": [{"role": "user", "content": "risk-averse task-list"}] * 50}).encode()

        assert redactor.body(body) == (body, 0)
        assert redactor.body(body)[0] is body
        assert redactor.found == 0

    def test_all_but_the_secret_stays_byte_for_byte(self, redactor: Redactor) -> None:
        body = b'{ "a":1.0,\t"b" : [ "\\u00e9 \\/ %s" ],"a":1e400, "c":"\xc3\xa9" }\n'

        new, found = redactor.body(body % ANTHROPIC.encode())

        assert (new, found) == (body % token("anthropic", ANTHROPIC).encode(), 1)

    @pytest.mark.parametrize("escape", ["\\u%04x", "\\u%04X"])
    @pytest.mark.parametrize("kind", [kind for kind in SECRETS if kind != "private_key"])
    def test_secret_written_in_escapes_is_found(self, redactor: Redactor, kind: str, escape: str) -> None:
        escaped = "".join(escape % ord(character) for character in SECRETS[kind])
        body = b'{"a": "x %s y", "b": "\\u0062"}'

        new, found = redactor.body(body % escaped.encode())

        assert (new, found) == (body % token(kind.split()[0], SECRETS[kind]).encode(), 1)

    @pytest.mark.parametrize("depth", [1, 2, 3, 4])
    @pytest.mark.parametrize("kind", SECRETS)
    def test_secret_in_json_in_json_is_found_and_the_rest_still_parses(
        self, redactor: Redactor, kind: str, depth: int
    ) -> None:
        inner: object = {"text": f'say "{SECRETS[kind]}"\nplease'}
        for _ in range(depth):
            inner = {"arguments": json.dumps(inner)}

        new, found = redactor.body(json.dumps(inner).encode())

        value: object = json.loads(new)
        for _ in range(depth):
            assert isinstance(value, dict)
            value = json.loads(value["arguments"])
        assert found == 1
        assert isinstance(value, dict)
        assert TOKEN.sub("T", value["text"]) == 'say "T"\nplease'

    @pytest.mark.parametrize("depth", [0, 1, 2, 3])
    @pytest.mark.parametrize("value", ["hunter2", 'a "quoted" one', "ends in \\", "\\", '"', "é\n"])
    def test_string_under_a_secret_name_goes_at_any_depth_of_json_in_json(
        self, redactor: Redactor, value: str, depth: int
    ) -> None:
        inner: object = {"password": value, "z": "stays"}
        for _ in range(depth):
            inner = {"arguments": json.dumps(inner)}

        new: object = json.loads(redactor.body(json.dumps(inner).encode())[0])

        for _ in range(depth):
            assert isinstance(new, dict)
            new = json.loads(new["arguments"])
        assert new == {"password": token("credential", value), "z": "stays"}

    def test_body_is_redacted_once_and_for_all(self, redactor: Redactor) -> None:
        body = json.dumps({"a": list(SECRETS.values()), "password": "x", "u": "pg://a:bc1@d"}).encode()

        once, _ = redactor.body(body)

        assert redactor.body(once) == (once, 0)

    def test_binary_is_passed_on(self, redactor: Redactor) -> None:
        body = b"\0\1\2" + ANTHROPIC.encode()

        assert redactor.body(body)[0] is body

    @pytest.mark.parametrize(
        "body", [b"{not json " + ANTHROPIC.encode(), b"text " + ANTHROPIC.encode() + b" \xff\xfe"]
    )
    def test_text_and_broken_json_are_searched_as_they_stand(self, redactor: Redactor, body: bytes) -> None:
        expected = body.replace(ANTHROPIC.encode(), token("anthropic", ANTHROPIC).encode())

        assert redactor.body(body) == (expected, 1)

    def test_form_fields_are_redacted_by_name_and_by_form(self, redactor: Redactor) -> None:
        body = f"grant_type=x&client_secret=a%2Fb&access_token=t&note=hi+{ANTHROPIC}&password=&q=%20".encode()

        new, found = redactor.body(body)

        fields = dict(field.split("=", 1) for field in new.decode().split("&"))
        assert found == 3
        assert fields["client_secret"] == token("credential", "a/b")
        assert fields["access_token"] == token("credential", "t")
        assert fields["note"] == "hi+" + token("anthropic", ANTHROPIC)
        assert (fields["grant_type"], fields["password"], fields["q"]) == ("x", "", "%20")

    def test_endless_nesting_is_left_as_it_is(self, redactor: Redactor) -> None:
        body = b"[" * 100_000

        assert redactor.body(body)[0] is body

    def test_quotes_and_backslashes_without_end_cost_no_more_than_their_length(
        self, redactor: Redactor
    ) -> None:
        for body in (
            b'{"' + b'\\"' * 100_000,
            b"{" + b'"key":' * 50_000,
            b'{"a":"' + b"\\" * 200_000,
            b"@" * 200_000,
        ):
            assert redactor.body(body)[0] is body


class TestTokens:
    def test_equal_secrets_have_equal_tokens_wherever_they_stand(self, redactor: Redactor) -> None:
        in_text = redactor.text(ANTHROPIC)

        assert redactor.body(json.dumps([ANTHROPIC]).encode())[0] == json.dumps([in_text]).encode()
        assert redactor.value({"api_key": ANTHROPIC}) == {"api_key": in_text}
        assert redactor.text(f"Authorization: Bearer {ANTHROPIC}") == f"Authorization: Bearer {in_text}"

    def test_tokens_of_different_secrets_and_of_different_stores_differ(self, redactor: Redactor) -> None:
        other = Redactor(key=b"o" * 32)

        assert redactor.text(ANTHROPIC) != redactor.text(ANTHROPIC[:-1] + "_")
        assert redactor.text(ANTHROPIC) != other.text(ANTHROPIC)

    def test_callback_chooses_keeps_or_leaves_it(self) -> None:
        asked = []

        def callback(kind: str, secret: str) -> str | None:
            asked.append((kind, secret))
            return {"openai": 'a "name"', "groq": secret}.get(kind)

        redactor = Redactor(key=KEY, callback=callback)
        values = [SECRETS["openai"], SECRETS["groq"], ANTHROPIC]

        new, found = redactor.body(json.dumps(values).encode())

        assert json.loads(new) == ['a "name"', SECRETS["groq"], token("anthropic", ANTHROPIC)]
        assert redactor.body(f'{{"a": "{SECRETS["groq"]}"}}'.encode())[1] == 0
        assert asked[:3] == [("openai", values[0]), ("groq", values[1]), ("anthropic", values[2])]
        assert found == 2

    def test_callback_that_raises_lets_nothing_through(self) -> None:
        def callback(kind: str, secret: str) -> str | None:
            raise ValueError(secret)

        assert Redactor(key=KEY, callback=callback).text(ANTHROPIC) == token("anthropic", ANTHROPIC)


class TestThreads:
    def test_counts_of_bodies_redacted_at_once_are_each_its_own(self, redactor: Redactor) -> None:
        bodies = [json.dumps([ANTHROPIC] * count).encode() for count in range(1, 40)]

        with ThreadPoolExecutor(8) as pool:
            counts = [found for _, found in pool.map(redactor.body, bodies * 4)]

        assert counts == [*range(1, 40)] * 4


class TestUserPatterns:
    def test_own_patterns_are_tried_on_every_string(self) -> None:
        redactor = Redactor(
            key=KEY, patterns={"staff id": r"EMP-\d+", "né": re.compile("né[a-z]+"), "g": "id=(\\w+)"}
        )
        body = json.dumps({"a": ["EMP-123 né\tnéabc", {"b": "id=xy z"}]}).encode()

        new, found = redactor.body(body)

        assert found == 3
        assert json.loads(new) == {
            "a": [
                f"{token('staff_id', 'EMP-123')} né\t{token('n_', 'néabc')}",
                {"b": f"id={token('g', 'xy')} z"},
            ]
        }
        assert redactor.text("EMP-123") == token("staff_id", "EMP-123")
        assert redactor.body(new) == (new, 0)

    def test_own_pattern_finds_what_stands_in_utf_8_too(self) -> None:
        redactor = Redactor(key=KEY, patterns={"w": "größe"})
        body = '{"a": "ü größe 😀 größe"}'.encode()

        assert redactor.body(body)[0] == body.replace("größe".encode(), token("w", "größe").encode())


class TestHeadersAndUrls:
    def test_headers_are_kept_by_name_and_credentials_by_token(self, redactor: Redactor) -> None:
        headers = [
            ("Authorization", "Bearer x"), ("X-Api-Key", "k"), ("Content-Type",
            "application/json"), ("X-Secret-Sauce", "y"),
            ("x-stainless-retry-count", "1"), ("Set-Cookie", "a=b"), ("openai-organization",
            "org"), ("x-amz-security-token", "t"),
        ]  # fmt: skip

        assert redactor.headers(headers) == [
            ("Authorization", token("header", "Bearer x")),
            ("X-Api-Key", token("header", "k")),
            ("Content-Type", "application/json"),
            ("x-stainless-retry-count", "1"),
            ("Set-Cookie", token("header", "a=b")),
            ("x-amz-security-token", token("header", "t")),
        ]

    def test_a_header_that_is_kept_is_searched_all_the_same(self, redactor: Redactor) -> None:
        headers = [("user-agent", f"x {ANTHROPIC}"), ("location", "https://u:p@h/?token=abc")]

        assert redactor.headers(headers) == [
            ("user-agent", f"x {token('anthropic', ANTHROPIC)}"),
            ("location", f"https://{token('credential', 'u:p')}@h/?token={token('credential', 'abc')}"),
        ]

    def test_more_headers_are_kept_on_request(self) -> None:
        redactor = Redactor(key=KEY, allow_headers=["OpenAI-Organization"])

        assert redactor.headers([("openai-organization", "org")]) == [("openai-organization", "org")]

    @pytest.mark.parametrize(
        ("url", "secret"),
        [
            ("https://user:pw@host.example/v1", "user:pw"),
            ("https://just-a-token@host.example/v1", "just-a-token"),
            ("https://h/v1beta/models?key=AbC&alt=sse", "AbC"),
            ("https://h/?alt=sse&access_token=x%2Fy#z", "x/y"),
            ("https://h/?X-Amz-Signature=00ff&X-Amz-Date=1", "00ff"),
            ("https://h/cb#access_token=zzz", "zzz"),
        ],
    )
    def test_credentials_of_a_url_go(self, redactor: Redactor, url: str, secret: str) -> None:
        written = secret.replace("/", "%2F")

        assert redactor.url(url) == url.replace(written, token("credential", secret), 1)

    def test_url_without_credentials_stays(self, redactor: Redactor) -> None:
        url = "https://h:8443/v1/models/m:generateContent?alt=sse&pageSize=3&user=a@b.c"

        assert redactor.url(url) == url

    def test_url_is_redacted_once_and_for_all(self, redactor: Redactor) -> None:
        once = redactor.url("https://u:p@h/?key=AbC")

        assert redactor.url(once) == once


class TestValue:
    def test_value_without_a_secret_is_the_same_object(self, redactor: Redactor) -> None:
        value = {"a": [1, None, True, "x", (2.5, b"y")], 3: {}}

        assert redactor.value(value) is value

    def test_value_is_copied_where_it_holds_a_secret(self, redactor: Redactor) -> None:
        value = {"a": {"keep": 1}, "b": [ANTHROPIC], ANTHROPIC: ("x", ANTHROPIC.encode())}

        new = redactor.value(value)

        made = token("anthropic", ANTHROPIC)
        assert new == {"a": {"keep": 1}, "b": [made], made: ("x", made.encode())}
        assert new["a"] is value["a"]
        assert value["b"] == [ANTHROPIC]

    def test_cyclic_and_endless_values_are_cut(self, redactor: Redactor) -> None:
        value: dict[str, object] = {}
        value["self"] = value

        assert "too_deep" in repr(redactor.value(value))


class TestStoreKey:
    def test_key_is_made_once_and_only_its_owner_reads_it(self, tmp_path: Path) -> None:
        key = store_key(tmp_path)

        assert len(key) == 32
        assert store_key(tmp_path) == key
        assert stat.S_IMODE((tmp_path / ".agenttap.key").stat().st_mode) == 0o600
        assert os.listdir(tmp_path) == [".agenttap.key"]

    def test_stores_have_different_keys(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()

        assert store_key(tmp_path) != store_key(tmp_path / "a")

    def test_all_who_ask_at_once_get_the_same_key(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(16) as pool:
            keys = set(pool.map(lambda _: store_key(tmp_path), range(64)))

        assert len(keys) == 1

    def test_directory_that_is_not_there_has_the_key_of_the_process(self, tmp_path: Path) -> None:
        assert store_key(tmp_path / "none") == store_key(tmp_path / "neither")

    def test_file_that_is_no_key_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / ".agenttap.key").write_bytes(b"mine")

        assert len(store_key(tmp_path)) == 32
        assert (tmp_path / ".agenttap.key").read_bytes() == b"mine"
