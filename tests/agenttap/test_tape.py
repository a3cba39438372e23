"""The tape: what is on it after a kill, a full disk, a finaliser; and finding things on it again."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agenttap import Tape
from agenttap import _tape as tape_module
from agenttap._tape import TapeWriter, body_fields
from agenttap._tape_reader import tapes_of
from agenttap.errors import TapeError

if TYPE_CHECKING:
    from pathlib import Path

HEADER = {"run_id": "run-1", "writer": "0a1b2c3d"}


def fail(error: BaseException) -> None:
    raise AssertionError(error)


def writer(path: Path) -> TapeWriter:
    return TapeWriter(path, HEADER, fail)


def write_exchange(tape: TapeWriter, n: int, request: str = "{}", response: str = "ok") -> None:
    tape.write({"type": "start", "n": n, "ts": 1.0, "method": "POST", "url": f"http://x/{n}"})
    tape.write({"type": "request", "n": n, "size": len(request), **body_fields(request.encode())})
    body = body_fields(response.encode())
    at = [[2.0, len(response.encode())]]
    tape.write({"type": "end", "n": n, "status": 200, "state": "complete", "at": at, **body})


class TestWriting:
    def test_others_cannot_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tape.zst"
        write_exchange(writer(path), 1)

        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_no_file_is_made_before_the_first_line(self, tmp_path: Path) -> None:
        writer(tmp_path / "a.tape.zst").close()

        assert list(tmp_path.iterdir()) == []

    def test_every_line_is_on_the_disk_when_write_returns(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tape.zst"
        tape = writer(path)
        for n in range(1, 6):
            write_exchange(tape, n)

            assert [exchange.n for exchange in Tape(path).exchanges()] == list(range(1, n + 1))

    def test_an_existing_file_is_never_written_to(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tape.zst"
        path.write_bytes(b"mine")
        errors: list[BaseException] = []
        tape = TapeWriter(path, HEADER, errors.append)
        tape.write({"type": "start", "n": 1})

        assert path.read_bytes() == b"mine"
        assert [type(error) for error in errors] == [FileExistsError]
        assert tape.lost == 1

    def test_threads_leave_whole_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tape.zst"
        tape = writer(path)

        def work(first: int) -> None:
            for n in range(first, first + 50):
                write_exchange(tape, n, request=f'{{"n":{n}}}')

        threads = [threading.Thread(target=work, args=(1 + 50 * number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        tape.close()

        found = {exchange.n: exchange.request_body for exchange in Tape(path).exchanges()}
        assert found == {n: f'{{"n":{n}}}'.encode() for n in range(1, 201)}

    def test_a_line_written_while_one_is_written_in_the_same_thread_comes_after_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A finaliser or signal handler may come in the middle; waiting for itself it would hang."""
        path = tmp_path / "a.tape.zst"
        tape = writer(path)
        real_write, inner = os.write, [2]

        def write(fd: int, data: bytes) -> int:
            if inner:
                write_exchange(tape, inner.pop())
            return real_write(fd, data)

        monkeypatch.setattr(os, "write", write)
        write_exchange(tape, 1)

        assert {exchange.n for exchange in Tape(path).exchanges()} == {1, 2}
        assert Tape(path).damage == []

    @pytest.mark.parametrize("written", [0, 1, 7])
    def test_a_full_disk_costs_the_line_that_met_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
    ) -> None:
        path = tmp_path / "a.tape.zst"
        errors: list[BaseException] = []
        tape = TapeWriter(path, HEADER, errors.append)
        write_exchange(tape, 1)
        real_write, is_first = os.write, [True]

        def full(fd: int, data: bytes) -> int:
            if is_first and written:
                is_first.clear()
                return real_write(fd, bytes(data[:written]))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "write", full)
        tape.write({"type": "start", "n": 2})
        monkeypatch.undo()
        write_exchange(tape, 3)
        tape.close()

        reader = Tape(path)
        assert [exchange.n for exchange in reader.exchanges()] == [1, 3]
        assert reader.damage == []
        assert (tape.lost, [error.errno for error in errors]) == (1, [errno.ENOSPC])  # type: ignore[attr-defined]


class TestKilled:
    def test_what_was_flushed_is_read_by_zstdcat_and_by_us(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tape.zst"
        code = (
            "import os, sys, signal\n"
            "from pathlib import Path\n"
            "from agenttap._tape import TapeWriter\n"
            f"tape = TapeWriter(Path({str(path)!r}), {HEADER!r}, print)\n"
            "for n in (1, 2):\n"
            "    tape.write({'type': 'start', 'n': n, 'url': 'u'})\n"
            "    tape.write({'type': 'request', 'n': n, 'body': 'asked'})\n"
            "    if n == 1: tape.write({'type': 'end', 'n': n, 'state': 'complete', 'body': 'said'})\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], check=False)

        assert done.returncode == -signal.SIGKILL
        found = [(each.n, each.state, each.request_body, each.body) for each in Tape(path).exchanges()]
        assert found == [(1, "complete", b"asked", b"said"), (2, "unfinished", b"asked", b"")]
        zstdcat = shutil.which("zstdcat")
        assert zstdcat is not None, "Debian's package zstd has it"
        shown = subprocess.run([zstdcat, str(path)], capture_output=True, check=False).stdout.splitlines()
        assert len(shown) == 6

    def test_a_fork_while_another_thread_writes_does_not_hang_the_child(self, tmp_path: Path) -> None:
        code = (
            "import os, signal, sys, threading\n"
            "from pathlib import Path\n"
            "from agenttap._tape import TapeWriter\n"
            f"tape = TapeWriter(Path({str(tmp_path / 'a.tape.zst')!r}), {HEADER!r}, print)\n"
            "held, done = threading.Event(), threading.Event()\n"
            "def hold():\n"
            "    with tape._lock: held.set(); done.wait()\n"
            "threading.Thread(target=hold).start()\n"
            "held.wait()\n"
            "child = os.fork()\n"
            "if not child:\n"
            "    signal.alarm(20)\n"
            "    tape.abandon()\n"
            "    tape.write({'type': 'start', 'n': 1})\n"
            "    os._exit(tape.lost)\n"
            "status = os.waitpid(child, 0)[1]\n"
            "done.set()\n"
            "sys.exit(os.waitstatus_to_exitcode(status))\n"
        )
        done = subprocess.run([sys.executable, "-c", code], check=False)

        assert done.returncode == 1  # one line lost, and no alarm


class TestReading:
    def test_an_exchange_is_found_in_a_later_frame(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tape_module, "FRAME_BYTES", 2000)
        path = tmp_path / "a.tape.zst"
        tape = writer(path)
        for n in range(1, 101):
            write_exchange(tape, n, request=f'{{"text":"{n}"}}')
        tape.close()
        reader = Tape(path)

        assert len(reader.frames()) > 5
        assert all(frame.is_finished for frame in reader.frames())
        assert sum(frame.length for frame in reader.frames()) == path.stat().st_size
        for n in (1, 2, 50, 99, 100):
            assert reader.exchange(n).request_body == f'{{"text":"{n}"}}'.encode()

    def test_an_exchange_that_spans_frames_is_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tape_module, "FRAME_BYTES", 1000)
        path = tmp_path / "a.tape.zst"
        tape = writer(path)
        tape.write({"type": "start", "n": 1, "url": "long"})
        for n in range(2, 40):
            write_exchange(tape, n)
            tape.write({"type": "part", "n": 1, "body": f"<{n}>", "at": [[float(n), len(f"<{n}>")]]})
        tape.write({"type": "end", "n": 1, "status": 200, "state": "complete", "body": "."})
        tape.close()

        assert Tape(path).exchange(1).body == b"".join(f"<{n}>".encode() for n in range(2, 40)) + b"."

    def test_a_number_that_is_not_there_is_said_so(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tape.zst"
        write_exchange(writer(path), 1)

        with pytest.raises(TapeError, match=r"a\.tape\.zst: has no exchange 7\."):
            Tape(path).exchange(7)

    @pytest.mark.parametrize("content", [b"", b"{}", b"\x28\xb5\x2f\xfd", b"no tape at all" * 9])
    def test_what_is_no_tape_is_said_so(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.tape.zst"
        path.write_bytes(content)

        with pytest.raises(TapeError, match="is no tape"):
            Tape(path)

    def test_damage_costs_its_frame(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tape_module, "FRAME_BYTES", 4000)
        path = tmp_path / "a.tape.zst"
        tape = writer(path)
        for n in range(1, 101):
            write_exchange(tape, n, request=os.urandom(40).hex())
        tape.close()
        frames = Tape(path).frames()
        content = bytearray(path.read_bytes())
        # A block of the reserved type: no decompressor accepts it.
        content[frames[1].offset + 6] |= 6
        path.write_bytes(content)
        reader = Tape(path)
        found = [exchange.n for exchange in reader.exchanges()]

        assert len(reader.damage) == 1
        # What began before the frame and ended in it is there, unfinished.
        assert set(range(1, frames[1].next)) <= set(found)
        assert set(range(frames[2].next, 101)) <= set(found)
        assert len(found) == len(set(found))

    @given(cut=st.integers(0, 3000))
    def test_a_tape_cut_anywhere_gives_a_prefix(self, tmp_path_factory: Any, cut: int) -> None:
        path = tmp_path_factory.mktemp("tape") / "a.tape.zst"
        tape = writer(path)
        for n in range(1, 21):
            write_exchange(tape, n, request=f'{{"n": {n * 7919}}}')
        tape.close()
        content = path.read_bytes()
        path.write_bytes(content[:cut])
        try:
            found = list(Tape(path).exchanges())
        except TapeError:
            found = []

        done = [exchange.n for exchange in found if exchange.state == "complete"]
        assert done == list(range(1, len(done) + 1))
        assert all(each.request_body in (b"", f'{{"n": {each.n * 7919}}}'.encode()) for each in found)

    def test_a_later_format_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.tape.zst"
        monkeypatch.setattr(tape_module, "FORMAT_VERSION", 2)
        write_exchange(writer(path), 1)

        with pytest.raises(TapeError, match="is in tape format 2; this version reads up to 1"):
            Tape(path)

    def test_text_is_found_wherever_it_stands(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tape.zst"
        tape = writer(path)
        write_exchange(tape, 1, request='{"text":"Gr\\u00fc\\u00dfe an alle"}')
        write_exchange(tape, 2, response="line one\\nline two")
        tape.close()
        reader = Tape(path)

        assert [(each.n, place) for each, place in reader.find("GRÜSSE")] == [(1, "request")]
        assert [(each.n, place) for each, place in reader.find("line one\nline")] == [(2, "response")]
        assert [(each.n, place) for each, place in reader.find("http://x/2")] == [(2, "url")]

    def test_a_body_that_is_no_text_comes_back_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tape.zst"
        tape = writer(path)
        tape.write({"type": "start", "n": 1})
        tape.write({"type": "end", "n": 1, "status": 200, **body_fields(bytes(range(256)))})

        assert Tape(path).exchange(1).body == bytes(range(256))


class TestChunks:
    def test_they_are_laid_over_a_redacted_body_without_tearing_a_token(self, tmp_path: Path) -> None:
        path = tmp_path / "a.tape.zst"
        tape = writer(path)
        tape.write({"type": "start", "n": 1})
        # "abSECRETcd" came as "abS", "ECR", "ETcd"; bytes 2..8 became "<token>".
        tape.write(
            {
                "type": "end",
                "n": 1,
                "status": 200,
                "body": "ab<token>cd",
                "at": [[1.0, 3], [2.0, 3], [3.0, 4]],
                "edits": [[2, 6, 7]],
            }
        )

        assert Tape(path).exchange(1).chunks() == [(1.0, b"ab<token>"), (2.0, b""), (3.0, b"cd")]


class TestNames:
    def test_the_tapes_of_a_run_are_found_beside_its_log(self, tmp_path: Path) -> None:
        for name in ("run-1.00000001.tape.zst", "run-1.00000002.tape.zst", "run-10.00000003.tape.zst"):
            write_exchange(writer(tmp_path / name), 1)
        (tmp_path / "run-1.jsonl").touch()

        names = {path.name for path in tapes_of(tmp_path / "run-1.jsonl", "run-1")}
        assert names == {"run-1.00000001.tape.zst", "run-1.00000002.tape.zst"}
        assert len(tapes_of(tmp_path)) == 3
