from pathlib import Path

import pytest

from cmet.errors import UserError
from cmet.stages import started_with
from cmet.stages.started_with import StartedWith

TEXT = "seed: 7\nclips: {fps: 25, crf: 16}\ntrain: {num_steps: 900, network: {hidden: 64}}\n"
READ = ("clips.fps", "train")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(started_with, "POLL_S", 0.01)
    path = tmp_path / "params.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("900", "300", ["train.num_steps was 900, is 300"]),
        ("900", "-5", ["train.num_steps was 900, is -5"]),
        ("64}", "64, more: 1}", ["train.network.more was missing, is 1"]),
        ("25", "30", ["clips.fps was 25, is 30"]),
        ("16", "18", []),
        ("7", "no seed", []),
        ("900", "900.0", []),
    ],
)
def test_what_has_changed_is_named_of_what_the_stage_reads(file: Path, old: str, new: str, changes: list[str]) -> None:
    started = StartedWith.now(file)
    file.write_text(TEXT.replace(old, new))
    assert started.changes("train@facemesh", READ) == changes


def test_a_stage_that_reads_all_sees_every_change(file: Path) -> None:
    started = StartedWith.now(file)
    file.write_text(TEXT.replace("16", "18"))
    assert started.changes("report", ("*",)) == ["clips.crf was 16, is 18"]


@pytest.mark.parametrize("half", ["", "seed: [7\n", "seed: 7\nclips: {fps: 25}\n", None])
def test_a_half_edited_file_is_waited_for(
    file: Path, half: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = StartedWith.now(file)
    file.unlink()
    if half is not None:
        file.write_text(half)
    pauses = []

    def mend_in_the_third(pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 3:
            file.write_text(TEXT)

    monkeypatch.setattr(started_with.time, "sleep", mend_in_the_third)
    assert started.changes("train@facemesh", READ) == []
    assert capsys.readouterr().err.count("train@facemesh: done; waits for parameters that can be read (") == 1


def test_a_file_that_stays_half_edited_ends_the_wait(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(started_with, "PATIENCE_S", 0.05)
    started = StartedWith.now(file)
    file.write_text("seed: [7\n")
    with pytest.raises(UserError, match="done, but not published, since for .+ mend the file and run again"):
        started.changes("train@facemesh", READ)
