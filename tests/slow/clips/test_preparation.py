import hashlib
import os
import tarfile
from pathlib import Path

import cv2
import pandas as pd
import pytest

from cmet.clips.preparation import CONTACT_SHEET, _stamp, prepare_clips, sheet_cells
from cmet.clips.product import SOUND, TABLE, VIDEO, Clips, below
from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.errors import UserError
from cmet.packs import has_file
from cmet.params import ClipsParams, Params
from tests.layouts import rename

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n"


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


@pytest.mark.workers
def test_every_clip_of_the_manifest_is_in_the_table_with_its_reason(
    tmp_path: Path, root: Path, manifest: pd.DataFrame, settings: ClipsParams
) -> None:
    report = prepare_clips(manifest, root, tmp_path / "out", tmp_path / "work", settings)
    clips = Clips(tmp_path / "out").table.set_index("clip_id")
    assert clips.status.to_dict() == {"good": "ok", "empty": "quarantined", "pointer": "quarantined"}
    assert clips.reason["empty"] == "zero_bytes: empty.mp4 is empty"
    assert clips.reader["good"] == "decord"
    assert (report.num_clips, report.num_quarantined) == (1, 2)
    assert report.quarantined_by_reason == {"zero_bytes": 1, "lfs_pointer": 1}
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()) == [
        "out/audio/0-of-1.tar",
        "out/clips.parquet",
        f"out/{CONTACT_SHEET}",
        "out/video/0-of-1.tar",
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


@pytest.mark.parametrize("name", [SOUND, TABLE, VIDEO])
def test_what_is_prepared_is_called_by_one_name(
    tmp_path: Path,
    root: Path,
    manifest: pd.DataFrame,
    settings: ClipsParams,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    renamed, clips = rename(monkeypatch, "clips", name), Clips(tmp_path / "out")
    prepare_clips(manifest[:1], root, clips.folder, tmp_path / "work", settings)
    assert clips.usable.clip_id.to_list() == ["good"]
    assert has_file(clips.video("good"))
    assert has_file(clips.sound("good"))
    assert (clips.folder / renamed).exists()
    assert not (clips.folder / name).exists()


@pytest.mark.workers
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
        UserError,
        match="1 of 2 clips rejected, but clips.max_rejected allows 5%: 1 zero_bytes; first empty: zero_bytes",
    ):
        prepare_clips(manifest[:2], root, tmp_path / "out", tmp_path / "work", params.clips)


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_a_missing_path_is_none_whatever_the_column_says(missing: object) -> None:
    assert below(Path("/corpus"), missing) is None  # type: ignore[arg-type]
    assert below(Path("/corpus"), "a.mp4") == "/corpus/a.mp4"


def test_a_column_of_sounds_that_is_all_missing_is_no_sound(
    tmp_path: Path, root: Path, manifest: pd.DataFrame, settings: ClipsParams
) -> None:
    rows = manifest[:1].assign(audio=float("nan"))
    assert prepare_clips(rows, root, tmp_path / "out", tmp_path / "work", settings).num_clips == 1


def test_media_that_were_put_in_place_are_prepared_by_the_next_run(
    tmp_path: Path, root: Path, manifest: pd.DataFrame, params: Params
) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    medium = (root / "good.mp4").read_bytes()
    (corpus / "good.mp4").write_bytes(medium)
    (corpus / "empty.mp4").write_text(POINTER)
    strict = params.clips.model_copy(update={"detect_stride": 5})
    arguments = (manifest[:2], corpus, tmp_path / "out", tmp_path / "work", strict)
    with pytest.raises(UserError, match="1 lfs_pointer; first empty"):
        prepare_clips(*arguments)
    (corpus / "empty.mp4").write_bytes(medium)
    # another release of a clip that was fine: an empty box at its end
    (corpus / "good.mp4").write_bytes(medium + b"\0\0\0\x08free")
    assert prepare_clips(*arguments).num_clips == 2
    clips = Clips(tmp_path / "out").table.set_index("clip_id")
    assert clips.source_sha256["good"] == hashlib.sha256((corpus / "good.mp4").read_bytes()).hexdigest()
    assert not {"stamp", "files"} & set(clips.columns)


def test_a_stamp_changes_with_the_file_or_with_the_archive_around_it(tmp_path: Path) -> None:
    file, archive = tmp_path / "a.mp4", tmp_path / "video.tar"
    for content in (b"one", b"other"):
        file.write_bytes(content)
        with tarfile.open(archive, "w") as tar:
            tar.add(file, "front/a.mp4")
        os.utime(archive, ns=(0, len(content)))
        found, whole = file.stat(), archive.stat()
        assert _stamp(tmp_path, "a.mp4") == ["a.mp4", len(content), found.st_mtime_ns, found.st_ino]
        inside = "video.tar/front/a.mp4"
        assert _stamp(tmp_path, inside) == [inside, whole.st_size, len(content), whole.st_ino]
    assert _stamp(tmp_path, "none.mp4") == ["none.mp4"]
    assert _stamp(tmp_path, None) is None


def with_lost(manifest: pd.DataFrame, *reasons: str) -> pd.DataFrame:
    """The usable clip, and files that the scan left out."""
    lost = pd.DataFrame({"clip_id": [f"lost{number}" for number in range(len(reasons))], "reason": reasons})
    return pd.concat([manifest[:1], lost.assign(status="quarantined")], ignore_index=True)


def test_files_that_the_manifest_could_not_read_count_as_rejected_before_the_work_begins(
    tmp_path: Path, root: Path, manifest: pd.DataFrame, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = ("html_page: a.mp4", "outside_root: b.mp4", "bad_name: c.mp4", "lfs_pointer: d.mp4")
    rows = with_lost(manifest, *reasons)
    with pytest.raises(
        UserError,
        match="clips: 2 of 3 clips rejected, but clips.max_rejected allows 5%: 1 html_page, 1 outside_root",
    ):
        prepare_clips(rows, root, tmp_path / "out", tmp_path / "work", params.clips)
    assert not (tmp_path / "work").exists()
    assert (
        "clips: WARNING: 3 of 5 rows of the manifest are already quarantined: 1 html_page, 1 lfs_pointer, "
        "1 outside_root; first lost0: html_page: a.mp4\n"
    ) in capsys.readouterr().err


def test_a_corpus_that_was_fetched_in_part_runs_with_what_is_there_and_says_so(
    tmp_path: Path, root: Path, manifest: pd.DataFrame, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = with_lost(manifest, *["lfs_pointer: a.mp4 is a git-lfs pointer"] * 3)
    strict = params.clips.model_copy(update={"detect_stride": 5})
    assert prepare_clips(rows, root, tmp_path / "out", tmp_path / "work", strict).num_clips == 1
    assert (
        "clips: WARNING: 3 of 4 rows of the manifest are already quarantined: 3 lfs_pointer" in capsys.readouterr().err
    )
    with pytest.raises(UserError, match="3 of 3 clips rejected.*3 lfs_pointer"):
        prepare_clips(rows[1:], root, tmp_path / "none", tmp_path / "work", strict)


def test_rows_that_are_left_out_for_their_labels_are_no_loss(
    tmp_path: Path, root: Path, manifest: pd.DataFrame, params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = with_lost(manifest, "bad_name: c.mp4", "known_defect: d", "off_script: e", "unknown_speaker: f")
    strict = params.clips.model_copy(update={"detect_stride": 5})
    assert prepare_clips(rows, root, tmp_path / "out", tmp_path / "work", strict).num_clips == 1
    assert "WARNING" not in capsys.readouterr().err


def test_the_sheet_shows_the_most_intense_clips_of_the_first_speakers() -> None:
    rows = [("W2", "sad", 1), ("M1", "sad", 2), ("M1", "sad", 3), ("W3", "sad", 1), ("M1", "angry", 1)]
    shown = pd.DataFrame(rows, columns=["speaker", "emotion", "intensity"])
    shown["clip_id"] = shown.speaker + shown.emotion + shown.intensity.astype(str)
    cells = sheet_cells(shown, Clips(Path()), max_speakers=2)
    assert cells["row"].tolist() == ["M1", "M1", "M1", "W2"]
    assert [path.stem for path in cells["video"]] == ["M1angry1", "M1sad3", "M1sad2", "W2sad1"]
