"""The files trajectories are kept in: one JSON document, or a zip of several.

What a file holds was written by others. A document or a member of a zip over `LIMIT_BYTES` is refused,
whatever its archive says its size is, and no name inside of a zip is ever opened on disk.
"""

from __future__ import annotations

import io
import json as json_stdlib
import zipfile
import zlib
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from msgspec import DecodeError, json

from agent_step_log.errors import ImportSourceError, MissingExtraError
from agent_step_log.importers._runs import Run, run_id_for
from agent_step_log.importers._trajectory_build import Trajectory
from agent_step_log.importers._transcripts import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Document", "read_document"]

LIMIT_BYTES = 512 << 20
_ZIP = b"PK\x03\x04"
_ZSTD = 93  # the method zipfile knows from Python 3.14 on only


@dataclass(slots=True)
class Document:
    """One file.

    Attributes:
        value: The JSON value it holds; of a zip, None.
        archive: The zip it is.
        fallback_ts: When it was last written, in whole Unix seconds.
    """

    path: Path
    reading: Reading
    fallback_ts: float
    value: Any = None
    archive: zipfile.ZipFile | None = field(default=None, repr=False)
    raw: bytes = field(default=b"", repr=False)

    @property
    def stem(self) -> str:
        """Its name without the last suffix."""
        return self.path.stem

    @property
    def short_hash(self) -> str:
        """The beginning of the hash of its bytes: what tells two files of one name apart."""
        return self.reading.sha256[:12]

    def new(self, agent: str, *names: str) -> Trajectory:
        """Return a run still empty, of the id that *names* stand for."""
        return Trajectory(Run(run_id_for(agent, *names)), self.fallback_ts, agent)

    def members(self, prefix: str = "") -> list[str]:
        """Return the names of the JSON documents in the archive."""
        names = self.archive.namelist() if self.archive is not None else []
        return [name for name in names if name.startswith(prefix) and name.endswith(".json")]

    def member(self, name: str) -> Any:
        """Return one document of the archive.

        Raises:
            ImportSourceError: It is damaged, or too large.
            MissingExtraError: It is packed with zstd, and zstandard is not installed.
        """
        return self._decoded(self._unpacked(name), f"{name} in it is no JSON document")

    def decode(self) -> None:
        """Decode the whole file.

        Raises:
            ImportSourceError: It is no JSON document.
        """
        self.value = self._decoded(self.raw, "is no JSON document")
        self.raw = b""

    def _decoded(self, raw: bytes, why: str) -> Any:
        try:
            return json.decode(raw)
        except (DecodeError, UnicodeDecodeError):
            pass
        except RecursionError:
            raise ImportSourceError(self.path, "is nested too deep") from None
        try:
            # What other languages write: NaN, halves of emoji, a byte order mark.
            return json_stdlib.loads(raw.decode("utf-8-sig", "replace"), parse_constant=lambda _name: None)
        except (ValueError, RecursionError):
            raise ImportSourceError(self.path, why) from None

    def _unpacked(self, name: str) -> bytes:
        archive = self.archive
        assert archive is not None  # only a zip has members
        info = archive.getinfo(name)
        try:
            if info.compress_type == _ZSTD:
                content = self._unpacked_zstd(info)
            else:
                with archive.open(info) as file:
                    content = file.read(LIMIT_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError):
            raise ImportSourceError(self.path, f"{name} in it is damaged") from None
        if len(content) > LIMIT_BYTES:
            raise ImportSourceError(self.path, f"{name} in it is larger than {LIMIT_BYTES >> 20} MB")
        return content

    def _unpacked_zstd(self, info: zipfile.ZipInfo) -> bytes:
        try:
            import zstandard
        except ModuleNotFoundError:
            message = "Reading this .eval needs 'zstandard': pip install 'agent-step-log[tap]'"
            raise MissingExtraError(message) from None
        # The local header: 30 bytes, then the name and an extra field whose lengths stand in it.
        head = self.raw[info.header_offset : info.header_offset + 30]
        if len(head) < 30 or head[:4] != _ZIP:
            raise zipfile.BadZipFile
        begin = info.header_offset + 30 + int.from_bytes(head[26:28], "little")
        begin += int.from_bytes(head[28:30], "little")
        packed = io.BytesIO(self.raw[begin : begin + info.compress_size])
        try:
            content = zstandard.ZstdDecompressor().stream_reader(packed).read(LIMIT_BYTES + 1)
        except zstandard.ZstdError:
            raise zipfile.BadZipFile from None
        if len(content) <= LIMIT_BYTES and zlib.crc32(content) != info.CRC:
            raise zipfile.BadZipFile
        return content


def read_document(path: Path) -> Document:
    """Read *path*, a JSON document or a zip.

    Raises:
        ImportSourceError: It is neither, or too large.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        raw = file.read(LIMIT_BYTES + 1)
        fallback_ts = float(int(path.stat().st_mtime))
    if len(raw) > LIMIT_BYTES:
        raise ImportSourceError(path, f"is larger than {LIMIT_BYTES >> 20} MB")
    reading = Reading(len(raw), sha256(raw).hexdigest())
    document = Document(path, reading, fallback_ts, raw=raw)
    if not raw.startswith(_ZIP):
        document.decode()
        return document
    try:
        document.archive = zipfile.ZipFile(io.BytesIO(raw))
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise ImportSourceError(path, "is a damaged zip") from None
    return document


def each_member(document: Document, prefix: str) -> Iterator[Any]:
    """Yield the documents of an archive whose names begin with *prefix*, by name."""
    for name in sorted(document.members(prefix)):
        yield document.member(name)
