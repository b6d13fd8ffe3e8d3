from pathlib import Path

import cv2
import pandas as pd
import pytest

from cmet.clips import CONTACT_SHEET, prepare_clips, sheet_cells
from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.errors import UserError
from cmet.params import ClipsParams, Params


@pytest.fixture(scope="module")
def root(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of one clip that can be used and one that is empty."""
    folder: Path = tmp_path_factory.mktemp("corpus")
    job = list_clips(params.sample, seed=3)[0]
    render_clip(job, folder)
    (folder / f"{job['clip_id']}.mp4").replace(folder / "good.mp4")
    (folder / "empty.mp4").touch()
    return folder


@pytest.fixture
def manifest() -> pd.DataFrame:
    rows = [("good", "ok", None), ("empty", "ok", None), ("pointer", "quarantined", "lfs_pointer: a git-lfs pointer")]
    table = pd.DataFrame(rows, columns=["clip_id", "status", "reason"])
    return table.assign(video=table.clip_id + ".mp4", audio=None, speaker="M101", emotion="happy", intensity=1)


@pytest.fixture
def settings(params: Params) -> ClipsParams:
    return params.clips.model_copy(update={"max_rejected": 0.5, "detect_stride": 5})


def test_every_clip_of_the_manifest_is_in_the_table_with_its_reason(
    tmp_path: Path, root: Path, manifest: pd.DataFrame, settings: ClipsParams
) -> None:
    report = prepare_clips(manifest, root, tmp_path / "out", tmp_path / "work", settings)
    clips = pd.read_parquet(tmp_path / "out/clips.parquet").set_index("clip_id")
    assert clips.status.to_dict() == {"good": "ok", "empty": "quarantined", "pointer": "quarantined"}
    assert clips.reason["empty"] == "zero_bytes: empty.mp4 is empty"
    assert clips.reader["good"] == "decord"
    assert (report.num_clips, report.num_quarantined) == (1, 2)
    assert report.quarantined_by_reason == {"zero_bytes": 1, "lfs_pointer": 1}
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == [
        "out/audio/good.wav",
        "out/clips.parquet",
        f"out/{CONTACT_SHEET}",
        "out/video/good.mp4",
    ]
    assert cv2.imread(str(tmp_path / "out" / CONTACT_SHEET)).std() > 20


def test_two_runs_give_the_same_bytes(
    tmp_path: Path, root: Path, manifest: pd.DataFrame, settings: ClipsParams
) -> None:
    contents = []
    for name in ("a", "b"):
        prepare_clips(manifest, root, tmp_path / name, tmp_path / "work", settings)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append([path.read_bytes() for path in files])
    assert contents[0] == contents[1]


def test_a_clip_over_the_time_limit_is_quarantined(
    tmp_path: Path, root: Path, manifest: pd.DataFrame, settings: ClipsParams
) -> None:
    hurried = settings.model_copy(update={"time_limit_s": 0.01})
    with pytest.raises(UserError, match=r"first good: timeout: took longer than 0\.01 s"):
        prepare_clips(manifest[:1], root, tmp_path / "out", tmp_path / "work", hurried)


def test_too_many_rejected_clips_stop_the_stage(
    tmp_path: Path, root: Path, manifest: pd.DataFrame, params: Params
) -> None:
    with pytest.raises(
        UserError, match="1 of 2 clips rejected, clips.max_rejected allows 5%: 1 zero_bytes; first empty: zero_bytes"
    ):
        prepare_clips(manifest, root, tmp_path / "out", tmp_path / "work", params.clips)


def test_the_sheet_shows_the_most_intense_clips_of_the_first_speakers() -> None:
    rows = [("W2", "sad", 1), ("M1", "sad", 2), ("M1", "sad", 3), ("W3", "sad", 1), ("M1", "angry", 1)]
    clips = pd.DataFrame(rows, columns=["speaker", "emotion", "intensity"])
    clips["clip_id"] = clips.speaker + clips.emotion + clips.intensity.astype(str)
    cells = sheet_cells(clips, Path("video"), max_speakers=2)
    assert cells["row"].tolist() == ["M1", "M1", "M1", "W2"]
    assert [path.stem for path in cells["video"]] == ["M1angry1", "M1sad3", "M1sad2", "W2sad1"]
