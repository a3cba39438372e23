"""Trajectories that are damaged, forged or none: one sentence, or a run without what cannot be."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_step_log import verify
from agent_step_log.errors import ImportSourceError
from agent_step_log.importers import _trajectory_files as files
from agent_step_log.importers import import_trajectory

DATA = Path(__file__).parents[2] / "data" / "trajectories"


def refusal(tmp_path: Path, content: bytes, name: str = "x.json") -> str:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImportSourceError) as caught:
        import_trajectory(path, tmp_path / "logs")
    assert str(caught.value).startswith(f"{path}: ")
    assert list((tmp_path / "logs").iterdir()) == []
    return caught.value.why


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (b"", "is no JSON document"),
            (b'{"trajectory": [', "is no JSON document"),
            (b"\x00\xff\xfe", "is no JSON document"),
            (b"[" * 100_000, "is no JSON document"),
            (b"{}", "is not a trajectory of a known format"),
            (b"[]", "is not a trajectory of a known format"),
            (b"7", "is not a trajectory of a known format"),
            (b'{"simulations": []}', "holds no run"),
            (b'{"eval": {"task": "t", "model": "m"}, "samples": null}', "holds no run"),
            (b"PK\x03\x04 and no more", "is a damaged zip"),
        ],
    )
    def test_say_what_is_wrong(self, tmp_path: Path, content: bytes, why: str) -> None:
        assert refusal(tmp_path, content) in (why, "is nested too deep")

    def test_of_a_zip_that_is_no_log(self, tmp_path: Path) -> None:
        assert refusal(tmp_path, zipped({"a.json": b"{}"})) == "is not a trajectory of a known format"

    def test_of_a_member_that_is_no_document(self, tmp_path: Path) -> None:
        content = zipped({"header.json": b'{"eval": {}}', "samples/1.json": b"{"})
        assert refusal(tmp_path, content, "x.eval") == "samples/1.json in it is no JSON document"

    @pytest.mark.parametrize("name", ["log_streaming.eval", "retry-2-then-success.eval"])
    def test_of_a_damaged_member(self, tmp_path: Path, name: str) -> None:
        content = bytearray((DATA / name).read_bytes())
        with zipfile.ZipFile(DATA / name) as archive:
            info = next(each for each in archive.infolist() if each.filename.startswith("samples/"))
        middle = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
        content[middle : middle + 8] = bytes(byte ^ 0xFF for byte in content[middle : middle + 8])
        assert refusal(tmp_path, bytes(content), name) == f"{info.filename} in it is damaged"

    def test_of_a_bomb(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "LIMIT_BYTES", 1 << 20)
        content = zipped({"header.json": b" " * (8 << 20)})
        assert refusal(tmp_path, content, "x.eval") == "header.json in it is larger than 1 MB"

    def test_of_a_file_too_large(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "LIMIT_BYTES", 1 << 20)
        assert refusal(tmp_path, b" " * (2 << 20)) == "is larger than 1 MB"

    def test_of_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(ImportSourceError, match="no such file or directory"):
            import_trajectory(tmp_path / "none", tmp_path / "logs")

    def test_of_a_format_nobody_knows(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="'gym' is no format of trajectories: swe-agent"):
            import_trajectory(tmp_path, tmp_path / "logs", format_name="gym")


class TestForgedNames:
    def test_do_not_leave_the_directory_of_the_logs(self, tmp_path: Path) -> None:
        value = json.loads((DATA / "atif-hand-made.json").read_text())
        value["session_id"] = "../../outside"
        (tmp_path / "x.json").write_text(json.dumps(value))
        report = import_trajectory(tmp_path / "x.json", tmp_path / "logs")
        assert report.sessions[0].output.parent == tmp_path / "logs"

    def test_of_members_are_not_opened_on_disk(self, tmp_path: Path) -> None:
        content = zipped({"header.json": b'{"eval": {"task": "t"}}', "samples/../../../x.json": b"{}"})
        (tmp_path / "x.eval").write_bytes(content)
        import_trajectory(tmp_path / "x.eval", tmp_path / "logs")
        assert {path.name for path in tmp_path.iterdir()} == {"x.eval", "logs"}


FRAGMENTS: dict[str, Any] = {
    path.name: json.loads(path.read_text())
    for path in sorted(DATA.glob("*"))
    if path.suffix in (".json", ".traj")
}
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
)


def spoiled(value: Any, junk: Any, draw: Any) -> Any:
    """*value* with one thing in it replaced, some way down."""
    keys = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    if not keys or draw(st.integers(0, 4)) == 0:
        return junk
    key = draw(st.sampled_from(keys))
    copy = value.copy()
    copy[key] = spoiled(value[key], junk, draw)
    return copy


class TestAnyDocument:
    @settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60
    )
    @given(data=st.data(), name=st.sampled_from(sorted(FRAGMENTS)), junk=JUNK)
    def test_with_something_else_in_a_place_is_imported_or_refused(
        self, tmp_path: Path, data: Any, name: str, junk: Any
    ) -> None:
        path, logs = tmp_path / name, tmp_path / "logs"
        path.write_text(json.dumps(spoiled(FRAGMENTS[name], junk, data.draw)))
        for old in logs.glob("*"):
            old.unlink()
        try:
            import_trajectory(path, logs)
        except ImportSourceError:
            return
        assert verify(logs).ok
