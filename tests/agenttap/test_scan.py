from __future__ import annotations

import gzip
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from agent_step_log.errors import LogSourceError
from agenttap._scan import Finding, Scan, Unread, scan
from tests.agenttap.redact_samples import NEAR_MISSES, SECRETS

if TYPE_CHECKING:
    from pathlib import Path

ANTHROPIC = SECRETS["anthropic"]


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def record(**keys: Any) -> bytes:
    return line({"run_id": "run-1", "step": 1, "type": "tool_call", "ts": 1.5, **keys})


def found(path: Path, **settings: Any) -> list[tuple[int, str, str]]:
    return [(each.line, each.where, each.kind) for each in scan(path, **settings)]


class TestFindings:
    @pytest.mark.parametrize("kind", SECRETS)
    def test_each_form_is_found_and_not_shown(self, tmp_path: Path, kind: str) -> None:
        log = tmp_path / "run.jsonl"
        log.write_bytes(record(output="fine") + record(output={"lines": ["a", f"key {SECRETS[kind]}."]}))

        (finding,) = scan(log)

        assert finding[:4] == (str(log), 2, "$.output.lines[1]", kind.split()[0])
        assert finding.preview.endswith(f"… ({len(SECRETS[kind])} characters)")
        assert not any(
            SECRETS[kind][at : at + 8] in repr(finding)
            for at in range(12, len(SECRETS[kind]) - 8)
            if kind != "private_key"
        )

    def test_what_only_resembles_a_secret_is_none(self, tmp_path: Path) -> None:
        log = tmp_path / "run.jsonl"
        log.write_bytes(b"".join(record(output=text) for text in NEAR_MISSES.values()))

        assert found(log) == []

    def test_what_was_redacted_is_none(self, tmp_path: Path) -> None:
        log = tmp_path / "run.jsonl"
        log.write_bytes(
            record(input={"api_key": "<redacted:credential:0123abcd>", "a": "<redacted:openai:0123abcd>"})
        )

        assert found(log) == []
        assert found(log, deep=True) == []

    def test_string_under_a_secret_name_is_found(self, tmp_path: Path) -> None:
        log = tmp_path / "run.jsonl"
        log.write_bytes(
            record(input={"env": {"GITHUB_TOKEN": "abc"}, "headers": {"Authorization": "Bearer x1"}})
        )

        findings = list(scan(log))

        assert [(each.where, each.kind, each.preview) for each in findings] == [
            ("$.input.env.GITHUB_TOKEN", "credential", "… (3 characters)"),
            ("$.input.headers.Authorization", "credential", "… (2 characters)"),
        ]

    def test_secret_in_json_in_json_has_a_path_that_leads_there(self, tmp_path: Path) -> None:
        log = tmp_path / "run.jsonl"
        arguments = json.dumps({"cmd": f"export K={ANTHROPIC}"})
        body = json.dumps({"messages": [{"tool_calls": [{"function": {"arguments": arguments}}]}]})
        log.write_bytes(line({"type": "request", "n": 1, "body": body}))

        assert found(log) == [
            (1, "$.body > $.messages[0].tool_calls[0].function.arguments > $.cmd", "anthropic")
        ]

    def test_secret_in_pieces_of_a_stream_is_found(self, tmp_path: Path) -> None:
        log = tmp_path / "x.tape.zst"
        events = "".join(
            f"event: x\ndata: {json.dumps({'index': 0, 'delta': {'text': ANTHROPIC[at : at + 9]}})}\n\n"
            for at in range(0, len(ANTHROPIC), 9)
        )
        log.write_bytes(zstandard.compress(line({"type": "end", "n": 1, "body": events})))

        assert found(log) == [(1, "$.body + $.delta.text", "anthropic")]

    def test_secret_as_a_name_is_found_and_not_shown(self, tmp_path: Path) -> None:
        log = tmp_path / "run.jsonl"
        log.write_bytes(record(output={ANTHROPIC: {"password": "x"}}))

        findings = list(scan(log))

        assert [(each.where, each.kind) for each in findings] == [
            ("$.output (a name)", "anthropic"),
            ("$.output[secret].password", "credential"),
        ]
        assert ANTHROPIC[20:] not in repr(findings)

    def test_deep_finds_more(self, tmp_path: Path) -> None:
        log = tmp_path / "run.jsonl"
        slack = "https://hooks.slack.com/services/" + "T0AAAAAAA/B0BBBBBBB/" + "aB3dE5gH7jK9mN1pQ3sT5vX7"
        texts = [
            slack,
            "SG" + ".aB3dE5gH7jK9mN1pQ3sT5v.aB3dE5gH7jK9mN1pQ3sT5vX7aB3dE5gH7jK9mN1pQ3",
            "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + "aB3/" * 21 + "ab==",
            "123456789" + ":AAaB3dE5gH7jK9mN1pQ3sT5vX7aB3dE5gH7",
            "sk_te" + "st_aB3dE5gH7jK9mN1pQ3sT5vX7",
            "MY_SERVICE_TOKEN=aB3dE5gH7jK9mN1pQ3sT5vX7",
        ]
        log.write_bytes(b"".join(record(output=text) for text in texts))

        assert found(log) == []
        assert [kind for _, _, kind in found(log, deep=True)] == [
            "slack_webhook", "sendgrid", "azure_storage", "telegram", "stripe", "random",
        ]  # fmt: skip

    def test_deep_takes_no_prose_for_a_secret(self, tmp_path: Path) -> None:
        log = tmp_path / "run.jsonl"
        texts = [
            "secret = os.environ['SECRET_OF_THE_SERVICE']",
            "token: the-next-one-in-the-list",
            "password=correcthorsebattery",
        ]
        log.write_bytes(b"".join(record(output=text) for text in [*texts, *NEAR_MISSES.values()]))

        assert found(log, deep=True) == []


class TestFiles:
    def test_directory_is_searched_with_all_below_it(self, tmp_path: Path) -> None:
        (tmp_path / "a" / "b").mkdir(parents=True)
        data = record(output=ANTHROPIC)
        (tmp_path / "a" / "1.jsonl").write_bytes(data)
        (tmp_path / "a" / "b" / "2.jsonl.gz").write_bytes(gzip.compress(data))
        (tmp_path / "3.jsonl.zst").write_bytes(zstandard.compress(data))
        (tmp_path / "4.tape.zst").write_bytes(
            zstandard.compress(line({"type": "tape"})) + zstandard.compress(data)
        )
        (tmp_path / "notes.txt").write_bytes(data)
        search = Scan(tmp_path)

        findings = list(search)

        assert [(os.path.relpath(each.path, tmp_path), each.line) for each in findings] == [
            ("3.jsonl.zst", 1), ("4.tape.zst", 2), ("a/1.jsonl", 1), ("a/b/2.jsonl.gz", 1),
        ]  # fmt: skip
        assert (search.files, search.lines, search.found, search.unread) == (4, 5, 4, [])

    def test_file_named_outright_may_be_called_anything(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_bytes(f"the key is {ANTHROPIC}".encode())

        assert found(tmp_path / "notes.txt") == [(1, "", "anthropic")]

    def test_nothing_there_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(LogSourceError, match="no such file or directory"):
            Scan(tmp_path / "none")

    def test_empty_file_and_empty_directory_hold_nothing(self, tmp_path: Path) -> None:
        assert found(tmp_path) == []
        (tmp_path / "a.jsonl").touch()
        assert found(tmp_path) == []

    @pytest.mark.parametrize("compress", [lambda data: data, gzip.compress, zstandard.compress])
    def test_unfinished_file_is_searched_as_far_as_it_goes(self, tmp_path: Path, compress: Any) -> None:
        suffix = {gzip.compress: ".gz", zstandard.compress: ".zst"}.get(compress, "")
        log = tmp_path / f"a.jsonl{suffix}"
        log.write_bytes(
            compress(record(output=ANTHROPIC) + b'{"run_id": "x", "out": "' + SECRETS["groq"].encode())
        )
        search = Scan(log)

        assert [(each.line, each.kind) for each in search] == [(1, "anthropic"), (2, "groq")]
        assert search.unread == []

    def test_unfinished_zstd_frame_is_no_damage(self, tmp_path: Path) -> None:
        compressor = zstandard.ZstdCompressor().compressobj()
        data = compressor.compress(record(output=ANTHROPIC)) + compressor.flush(
            zstandard.COMPRESSOBJ_FLUSH_BLOCK
        )
        (tmp_path / "a.tape.zst").write_bytes(data)
        search = Scan(tmp_path)

        assert [each.kind for each in search] == ["anthropic"]
        assert (search.files, search.unread) == (1, [])

    def test_damage_is_told_and_the_next_file_is_searched(self, tmp_path: Path) -> None:
        (tmp_path / "a.tape.zst").write_bytes(zstandard.compress(record(output="x")) + b"no zstd at all")
        (tmp_path / "b.jsonl.gz").write_bytes(b"no gzip at all")
        (tmp_path / "c.jsonl").write_bytes(
            b"\xff\xfe{broken\n" + ANTHROPIC.encode() + b"\n" + record(output="x")
        )
        search = Scan(tmp_path)

        findings = list(search)

        assert [(each.line, each.where, each.kind) for each in findings] == [(2, "", "anthropic")]
        assert [each[0].rsplit("/", 1)[1] for each in search.unread] == [
            "a.tape.zst",
            "b.jsonl.gz",
            "c.jsonl",
        ]
        assert search.unread[0].reason == "damaged: it cannot be decompressed from here on"
        assert search.unread[2] == Unread(
            str(tmp_path / "c.jsonl"), 1, "2 lines are not JSON, and searched as text"
        )

    def test_file_that_cannot_be_opened_is_told(self, tmp_path: Path) -> None:
        log = tmp_path / "a.jsonl"
        log.symlink_to(tmp_path / "b.jsonl")
        log2 = tmp_path / "b.jsonl"
        log2.write_bytes(record(output=ANTHROPIC))
        search = Scan(tmp_path)
        log.unlink()

        assert [each.path for each in search] == [str(log2)]
        assert search.unread == [Unread(str(log), 0, "No such file or directory")]
        assert search.files == 1

    def test_hostile_depth_is_survived(self, tmp_path: Path) -> None:
        log = tmp_path / "a.jsonl"
        deep = '{"a":' * 5000 + f'"{ANTHROPIC}"' + "}" * 5000
        log.write_bytes(deep.encode() + b"\n" + record(output=ANTHROPIC))

        assert [each.kind for each in scan(log)] == ["anthropic", "anthropic"]

    def test_finding_is_a_plain_tuple(self) -> None:
        assert Finding("a", 1, "$", "openai", "sk-… (51 characters)") == (
            "a",
            1,
            "$",
            "openai",
            "sk-… (51 characters)",
        )
