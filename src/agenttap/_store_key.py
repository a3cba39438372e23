"""The key of a directory of logs: what makes its redaction tokens its own.

It is a file of 32 random bytes beside the logs, ``.agenttap.key``, readable by its owner only. Whoever has it
can check a guess at a secret against a token; nobody else can.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from time import sleep

__all__ = ["KEY_FILE", "store_key"]

KEY_FILE = ".agenttap.key"
_KEY_BYTES = 32
#: Where no file can be kept: tokens are then equal within this process only.
_process_key = secrets.token_bytes(_KEY_BYTES)


def store_key(directory: str | os.PathLike[str]) -> bytes:
    """Return the key of *directory*, made when it is first asked for; never raises.

    Processes that ask at the same time get the same one. Where it can be neither read nor written, it is a
    key of this process alone.
    """
    path = Path(directory) / KEY_FILE
    try:
        return _read(path) or _create(path)
    except OSError:
        return _process_key


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            key = file.read(_KEY_BYTES + 1)
    except FileNotFoundError:
        return None
    # Of another length it is none of ours, and no reason to overwrite it.
    return key if len(key) == _KEY_BYTES else _process_key


def _create(path: Path) -> bytes:
    # Written beside and linked into place: whoever sees the file sees all of it, and the first link wins.
    beside = path.with_name(f"{KEY_FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        key = secrets.token_bytes(_KEY_BYTES)
        try:
            os.write(descriptor, key)
        finally:
            os.close(descriptor)
        try:
            os.link(beside, path)
        except FileExistsError:
            return _read(path) or _process_key
        except OSError:
            # A file system without links.
            return _create_in_place(path, key)
        return key
    finally:
        beside.unlink(missing_ok=True)


def _create_in_place(path: Path, key: bytes) -> bytes:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        for _ in range(50):
            if path.stat().st_size:
                break
            sleep(0.002)  # its maker is between creating and writing it
        return _read(path) or _process_key
    try:
        os.write(descriptor, key)
    finally:
        os.close(descriptor)
    return key
