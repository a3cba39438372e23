"""The tables of the tap: what it costs while bytes pass, what it keeps, and how others compare."""

from __future__ import annotations

import importlib.util
import json
import random
import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from benchmarks import (
    _tap_chunks,
    _tap_decoding,
    _tap_memory,
    _tap_others,
    _tap_server,
    _tap_size,
    _tap_waits,
)
from benchmarks._tap_clients import CLIENTS
from benchmarks._tap_dialogues import dialogues, generated

if TYPE_CHECKING:
    from benchmarks.__main__ import Report
    from benchmarks._tap_dialogues import Dialogue

__all__ = ["run"]

_OURS = ("httpx2", "httpx2, async", "aiohttp", "requests (urllib3)")


def run(report: Report, *, transcripts: Path, quick: bool) -> None:
    """Measure, and add the tables to *report*.

    Args:
        report: Where they go.
        transcripts: A directory with agents' transcripts; need not be there.
        quick: A hundredth of the work.
    """
    found = dialogues(transcripts)
    with _tap_server.server() as url:
        _passing(report, url, quick=quick)
        _first_byte(report, url, quick=quick)
        _memory(report, url, quick=quick)
    _sizes(report, found[:2] if quick else found, title="Tap: size on multi-turn dialogues")
    if transcripts.is_dir():
        _sizes(report, dialogues(None), title="Tap: the same on generated dialogues")
    _decoding(report, quick=quick)
    _side_by_side(report, found, quick=quick)


def _passing(report: Report, url: str, *, quick: bool) -> None:
    rows = []
    for name in _OURS:
        figures = _tap_chunks.per_chunk(
            name, url, chunks=500 if quick else 5_000, rounds=3 if quick else 15, processes=1 if quick else 9
        )
        rows.append(
            [
                name,
                f"{figures.bare:.2f}",
                *(f"{one.median:.2f} [{one.low:.2f} to {one.high:.2f}]" for one in figures[1:]),
            ]
        )
    report.table(
        "Tap: a stream of 5,000 small events, CPU µs per chunk",
        ["client", "without", "added while it passes", "added in all, decoded and on the tape"],
        rows,
    )
    report.say(
        "\nA process without a tap and one with it take turns for 15 streams; the median of the differences "
        "is their figure. Medians of nine such pairs of fresh processes, in brackets the lowest and the "
        "highest pair. While it passes: from the first chunk to the last. In all: the whole call."
    )


def _first_byte(report: Report, url: str, *, quick: bool) -> None:
    in_pieces = [_tap_waits.Call(size, wait_ms, 4) for size in (1_000, 200_000) for wait_ms in (20, 0)]
    in_one = [_tap_waits.Call(1_000, wait_ms, 0) for wait_ms in (20, 0)]
    streamed, short = [], []
    for name in _OURS:
        took = _tap_waits.waits(
            name, url, in_pieces + in_one, turns=2 if quick else 40, pairs=2 if quick else 8
        )
        streamed.append([name, *(str(each.first) for each in took[: len(in_pieces)])])
        short.append([name, *(str(each.whole) for each in took[len(in_pieces) :])])
    report.table(
        "Tap: time to the first byte of a stream, wall ms, connection kept",
        ["client", "1 KB, 20 ms until the answer", "1 KB, at once", "200 KB, 20 ms", "200 KB, at once"],
        streamed,
    )
    report.say(
        "\nUntil the first chunk of a stream is in the caller's hands, without the time the server says it "
        "took. A process without a tap and one with it take turns for 40 calls; the median of the "
        "differences is their figure. Means of eight such pairs of fresh processes, in brackets the standard "
        "error, from the spread of the pairs; no call is left out. The request is written down while the "
        "provider thinks; where the answer is there within 5 ms, after its first chunk."
    )
    report.table(
        "Tap: time to the whole of a short answer, wall ms, connection kept",
        ["client", "1 KB, 20 ms until the answer", "1 KB, at once"],
        short,
    )
    report.say(
        "\nAn answer that comes in one piece: when its caller goes on, all of it is decoded, redacted and on "
        "the tape, so the work of both ends counts here. Measured as the table above."
    )


def _memory(report: Report, url: str, *, quick: bool) -> None:
    megabytes = 10 if quick else 200
    rows = []
    for name in _OURS:
        bare, tapped = _tap_memory.peaks(url, name, megabytes)
        rows.append([name, f"{bare:.1f}", f"{tapped:.1f}", f"{tapped - bare:.1f}"])
    report.table(
        f"Tap: a stream of {megabytes} MB, peak resident MB of a fresh process",
        ["client", "without", "with", "added"],
        rows,
    )


def _sizes(report: Report, found: list[Dialogue], *, title: str) -> None:
    groups: dict[str, list[_tap_size.Sizes]] = {}
    for dialogue in found:
        turns = len(dialogue.turns)
        kind = "4 to 9 turns" if turns < 10 else "10 to 29 turns" if turns < 30 else "30 turns and more"
        groups.setdefault(kind, []).append(_tap_size.sizes(dialogue))
    groups = {name: groups[name] for name in sorted(groups, key=lambda name: int(name.split()[0]))}
    groups["all"] = [one for group in groups.values() for one in group]
    rows = []
    for name, group in groups.items():
        bodies, tape, gzip_files, zstd_files, cpu = (sum(column) for column in zip(*group, strict=True))
        rows.append(
            [
                f"{name} ({len(group)} dialogues)",
                f"{bodies / 1e6:.2f}",
                f"{bodies / tape:.1f}",
                f"{bodies / gzip_files:.1f}",
                f"{bodies / zstd_files:.1f}",
                f"{gzip_files / tape:.1f}",
                f"{bodies / cpu / 1e6:.0f}",
            ]
        )
    report.table(
        title,
        [
            "",
            "bodies, MB",
            "the tape: times smaller",
            "a gzip file a body",
            "a zstd file a body",
            "the tape: times smaller than gzip files",
            "written, MB of bodies a CPU second",
        ],
        rows,
    )
    source = "transcripts of real agents" if not found[0].name.startswith("generated") else "generated"
    report.say(
        f"\nDialogues: {source}; answers streamed in events of a few characters. The tape also "
        "holds headers and the time of every chunk."
    )


def _decoding(report: Report, *, quick: bool) -> None:
    chance = random.Random(3)
    words = [word for _, messages in generated() for word in str(messages[0]["content"]).split()]
    text = " ".join(chance.choices(words, k=1500))
    rows = []
    whole = [0.0, 0.0]
    for api, events in _tap_decoding.streams(text, json.dumps({"command": text[:200]})).items():
        body = b"".join(events)
        times = max((100_000 if quick else 2_000_000) // len(body), 1)
        speeds = []
        for _ in range(3 if quick else 9):
            size, seconds = _tap_decoding.decode_all(api, [body] * times, _tap_decoding.STREAMS[api])
            speeds.append(size / seconds / 1e6)
        speed = statistics.median(speeds)
        rows.append(
            [api, f"{len(body) / len(events):.0f}", f"{speed:.1f}", f"{len(body) / len(events) / speed:.2f}"]
        )
        whole[0] += len(body)
        whole[1] += len(body) / speed
    rows.append(["all of them", "", f"{whole[0] / whole[1]:.1f}", ""])
    report.table("Tap: decoding streams", ["API", "bytes an event", "MB a CPU second", "µs an event"], rows)


def _side_by_side(report: Report, found: list[Dialogue], *, quick: bool) -> None:
    missing = [name for name, module in (("vcrpy", "vcr"), ("reeltime", "reeltime")) if not _is_there(module)]
    if missing:
        report.say(f"\nNot measured, because not installed: {', '.join(missing)}.")
        return
    # One of a size that all of them can write in seconds.
    dialogue = min(found, key=lambda one: abs(one.size - 700_000))
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        answers, requests = Path(made, "answers"), Path(made, "requests")
        answers.write_bytes(msgspec.msgpack.encode([turn.events for turn in dialogue.turns]))
        requests.write_bytes(msgspec.msgpack.encode([turn.request for turn in dialogue.turns]))
        with _tap_server.server(answers) as url:
            for client in CLIENTS:
                figures = _tap_others.measure(
                    client, url, requests, chunks=500 if quick else 10_000, rounds=1 if quick else 3
                )
                rows += [_row(client, name, figures, dialogue) for name in figures]
    report.table(
        "Tap: side by side",
        [
            "client, recorder",
            "first chunk of a stream of 0.5 s, ms",
            "CPU µs added per chunk, saved",
            f"files of a dialogue of {dialogue.size / 1e6:.2f} MB, KB",
            "times smaller than the bodies",
        ],
        rows,
    )
    report.say(
        "\nvcrpy reads a stream to its end before the caller gets its first chunk. reeltime sees aiohttp "
        "but cannot record it. Both keep each body in plain text, vcrpy in YAML."
    )


def _row(client: str, name: str, figures: dict[str, dict[str, float]], dialogue: Dialogue) -> list[str]:
    one, bare = figures[name], figures["none"]
    if name == "none":
        return [f"{client}, none", f"{one['first_ms']:.1f}", "", "", ""]
    if one["bytes"] < 4096:
        return [f"{client}, {name}", f"{one['first_ms']:.1f}", "cannot", "cannot", ""]
    return [
        f"{client}, {name}",
        f"{one['first_ms']:.1f}",
        f"{one['cpu_us'] - bare['cpu_us']:.1f}",
        f"{one['bytes'] / 1e3:.0f}",
        f"{dialogue.size / one['bytes']:.1f}",
    ]


def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
