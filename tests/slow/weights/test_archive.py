"""The archive of PD-FGC: four networks of full size, which take seconds to look at."""

import io
import tarfile
from pathlib import Path

import pytest

from cmet.weights import unpacking
from cmet.weights.registry import CHECKPOINTS
from tests.unit.weights.conftest import Given, filled
from tests.unit.weights.test_fetching import brought, held, plain
from tests.weight_server import WeightServer

PDFGC = {name: filled(f"pdfgc_{name}") for name in ("appearance", "motion", "audio", "generator")}
MEMBERS = CHECKPOINTS["pdfgc-motion"].downloads[0].members


def archive(files: dict[str, bytes], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def published_archive(**other: bytes) -> dict[str, bytes]:
    files = {f"checkpoints/{name}_model.pth": content for name, content in PDFGC.items()}
    files["checkpoints/motion_mode.pth"] = files.pop("checkpoints/motion_model.pth")
    return files | {"../../evil.pth": b"evil", "checkpoints/readme.txt": b"read me"} | other


@pytest.mark.parametrize("mode", ["w:gz", "w"])
def test_the_wanted_files_of_an_archive_come_home_and_no_other(
    server: WeightServer, given: Given, tmp_path: Path, mode: str
) -> None:
    route, _ = plain(server, archive(published_archive(), mode), "/checkpoints.tar")
    for name in PDFGC:
        given(f"pdfgc-{name}", route, path="checkpoints.tar", members=MEMBERS)
    (outcome,) = brought(tmp_path / "weights", "pdfgc-motion")
    assert outcome.status == "fetched"
    names = [f"pdfgc/{name}_model.pth" for name in sorted(PDFGC)]
    assert held(tmp_path) == sorted(f"weights/{name}{suffix}" for name in names for suffix in ("", ".sha256"))
    assert (tmp_path / "weights/pdfgc/motion_model.pth").read_bytes() == PDFGC["motion"]
    server.asked.clear()
    assert brought(tmp_path / "weights", *(f"pdfgc-{name}" for name in PDFGC)) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (archive({"checkpoints/motion_model.pth": PDFGC["motion"]}), "gave an archive without appearance_model.pth"),
        (archive(published_archive())[:-2000], "gave a damaged archive"),
        (archive({"motion_model.pth": bytes(500_000)}), "it holds more than weights can have"),
        (b"<html>quota</html>", "gave no tar archive, but this kind of file: HTML page"),
        (
            archive({f"{name}_model.pth": PDFGC["audio"] for name in PDFGC}),
            "gave another appearance_model.pth: this is PD-FGC's audio network",
        ),
    ],
)
def test_an_archive_that_is_not_the_published_one_is_refused(
    server: WeightServer, given: Given, tmp_path: Path, content: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bytes(100) in content or len(content) < 2000:
        monkeypatch.setattr(unpacking, "MAX_ARCHIVE_BYTES", 100_000)
    route, _ = plain(server, content, "/checkpoints.tar")
    for name in PDFGC:
        given(f"pdfgc-{name}", route, path="checkpoints.tar", members=MEMBERS)
    (outcome,) = brought(tmp_path, "pdfgc-motion")
    assert said in outcome.said
    assert held(tmp_path) == []
