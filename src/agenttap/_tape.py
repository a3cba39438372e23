"""The tape: the exchanges of one run, as one process saw them, in the order they began.

    name    := RUN_ID "." WRITER ".tape.zst"   WRITER: 8 hex digits, this process's own; mode 0600
    tape    := frame*                          zstd frames; the last may be unfinished
    frame   := line*                           UTF-8, one JSON object a line
    line    := {"type": ..., ...}

    tape      first line of every frame: format, run_id, writer, recorder, next (number of the
              exchange to begin next), open (numbers of those that have begun and not ended)
    start     n, ts (Unix seconds), client, api, method, url, headers [[name, value], ...];
              attribution "process" where the request's own run could not be told
    request   n, size, sha256 (of the bytes sent), redacted (secrets taken out), and the body
    part      n, and some of the response's body: what a long stream has brought so far
    end       n, status, http_version, headers, size and sha256 (of the bytes that came, content
              encoding and all), the rest of the body, times, state, error, error_type, redacted,
              and `step`, the number of the `llm_call` in the step log

    A body   body (str), encoding "base64" where it is no UTF-8 (left out else), and for
             responses `at`, [[ms, bytes], ...]: when each chunk came, milliseconds after the
             request began, and how many bytes of the body it brought; `edits`, [[offset, bytes,
             bytes now], ...]: where the body was redacted, so that chunks can be laid over it
    times    headers_ms, first_byte_ms, first_content_ms, end_ms, after the request began
    state    complete      the protocol's last word was there (a stream's terminal event, the whole
                           document); what came after it, nobody needs
             closed_early  the caller stopped reading
             cancelled     the caller's task was cancelled
             cut           the connection ended before the last word
             failed        no response at all

Each line that ends something (a request, a part, an exchange) is flushed as zstd blocks
of its own and written at once: what a killed process leaves is whole up to its last such
line, and ``zstdcat`` shows it. The compressor sees `WINDOW_LOG` bits back, so a
history that is resent each turn costs next to nothing. A new frame begins every
`FRAME_BYTES` of lines, so that a reader can start near what it looks for.

`TapeWriter` is safe to call from any thread, from signal handlers and finalisers. A
write that fails is taken back and counted; the tape goes on with a new frame.
"""

from __future__ import annotations

import os
from collections import deque
from threading import RLock, get_ident
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FORMAT_VERSION", "FRAME_BYTES", "SUFFIX", "TapeWriter", "body_fields"]

FORMAT_VERSION = 1
SUFFIX = ".tape.zst"

#: Bytes of lines after which a new frame begins.
FRAME_BYTES = 32 * 1024 * 1024
#: The compressor looks 2**22 bytes = 4 MiB back: a long history many times over, in as much memory.
WINDOW_LOG = 22
LEVEL = 3

#: An empty last block: it ends a frame whose compressor is lost (RFC 8878, section 3.1.1.2).
_LAST_BLOCK = b"\x01\x00\x00"

_encode = msgspec.json.Encoder().encode


class TapeWriter:
    """Writes one tape; see the module.

    Args:
        path: Where; made with mode 0600 when the first line comes. Must not exist.
        header: Keys of every frame's first line beside its own.
        on_error: Told of each failed write. Must not raise.

    Raises:
        ImportError: zstandard is missing.
    """

    def __init__(self, path: Path, header: dict[str, Any], on_error: Callable[[BaseException], None]) -> None:
        from zstandard import ZstdCompressionParameters, ZstdCompressor

        self.path = path
        self._header = header
        self._on_error = on_error
        # Long-distance matching finds a history megabytes back, which the level's own small table forgets.
        self._compressor = ZstdCompressor(
            compression_params=ZstdCompressionParameters.from_level(
                LEVEL, window_log=WINDOW_LOG, enable_ldm=True, ldm_hash_log=17, ldm_min_match=64
            )
        )
        self._frame: Any = None
        self._frame_bytes = 0
        self._ends_open = False  # the file ends inside a frame
        self._fd = -1
        self._size = 0
        self._next = 1
        self._open: set[int] = set()
        self._is_closed = False
        self.lost = 0
        # Protects all of the above. A finaliser or signal handler that comes while this very thread
        # holds it leaves its line in `_waiting`; whoever holds the lock writes those before it lets go.
        self._lock = RLock()
        self._holder: int | None = None
        self._waiting: deque[dict[str, Any]] = deque()

    def write(self, line: dict[str, Any]) -> None:
        """Write one line, flushed. Never raises."""
        self._waiting.append(line)
        if self._holder == get_ident():
            return
        with self._lock:
            self._holder = get_ident()
            try:
                while self._waiting:
                    self._write(self._waiting.popleft())
            finally:
                self._holder = None

    def close(self) -> None:
        """End the frame and close the file. Lines written after it are lost, and counted."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            if self._fd >= 0:
                try:
                    if self._frame is not None:
                        self._put(self._frame.flush())
                except OSError as error:
                    self._take_back(error)
                os.close(self._fd)
                self._fd = -1

    def abandon(self) -> None:
        """Let go of the file without a word: it belongs to the parent process."""
        # A thread that did not come along may hold the lock.
        self._lock, self._holder = RLock(), None
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._frame, self._is_closed = -1, None, True

    def _write(self, line: dict[str, Any]) -> None:
        if self._is_closed:
            self.lost += 1
            return
        try:
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            text = _encode(line) + b"\n"
            data = b""
            if self._frame is None:
                # After a failed write the frame in the file has lost its compressor.
                data = (_LAST_BLOCK if self._ends_open else b"") + self._begin_frame()
            self._note(line)
            data += self._frame.compress(text)
            data += self._frame.flush(1)  # COMPRESSOBJ_FLUSH_BLOCK
            self._frame_bytes += len(text)
            if self._frame_bytes >= FRAME_BYTES:
                data += self._frame.flush()
                self._frame = None
            self._put(data)
            self._ends_open = self._frame is not None
        except Exception as error:  # noqa: BLE001  the disk or a value: neither may break the agent
            self._take_back(error)

    def _note(self, line: dict[str, Any]) -> None:
        n = line["n"]
        if line["type"] == "start":
            self._next = max(self._next, n + 1)
            self._open.add(n)
        elif line["type"] == "end":
            self._open.discard(n)

    def _begin_frame(self) -> bytes:
        self._frame = self._compressor.compressobj()
        self._frame_bytes = 0
        first = {
            "type": "tape",
            "format": FORMAT_VERSION,
            **self._header,
            "next": self._next,
            "open": sorted(self._open),
        }
        begun: bytes = self._frame.compress(_encode(first) + b"\n")
        return begun

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self._size += len(data)

    def _take_back(self, error: BaseException) -> None:
        """Cut off what a failed write has left, and begin anew with the next line."""
        self.lost += 1
        self._frame = None
        try:
            if self._fd >= 0:
                os.ftruncate(self._fd, self._size)
                os.lseek(self._fd, self._size, os.SEEK_SET)
        except OSError:
            # It cannot even be cut: readers skip what follows a broken frame, so this tape is over.
            self._is_closed = True
        self._on_error(error)


def body_fields(body: bytes) -> dict[str, Any]:
    """Return the keys under which a line holds *body*."""
    try:
        return {"body": body.decode()} if body else {}
    except UnicodeDecodeError:
        from base64 import b64encode

        return {"body": b64encode(body).decode(), "encoding": "base64"}
