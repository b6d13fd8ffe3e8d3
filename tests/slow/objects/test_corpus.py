"""A corpus of real videos in a bucket, read by the stages as one in a folder is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cmet.clips.preparation import prepare_clips
from cmet.clips.product import Clips
from cmet.corpora import cremad, mead, ravdess, table
from cmet.corpora.check import check_corpus
from cmet.corpora.sample import layout as sample
from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.corpora.scan import scan, write_manifest
from cmet.corpora.watched import files_folder
from cmet.engine.clip_map import ClipMap
from cmet.errors import UserError
from cmet.objects import store
from cmet.objects.files import on_disk
from cmet.objects.inventory import StoredObject, write_inventory
from cmet.objects.renewing import renew_inventory
from cmet.params import ClipsParams, Params
from cmet.speech.encoders.precomputed import FEATURES_FOLDER, read_precomputed
from tests.conftest import ROOT
from tests.object_readers import CopySource
from tests.object_store import Bucket
from tests.unit.corpora.trees import HTML, MEDIUM, fill, pointer, write_tar, write_zip


@pytest.fixture(scope="module")
def videos(params: Params, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Three clips of different actors' words."""
    folder: Path = tmp_path_factory.mktemp("videos")
    jobs = list_clips(params.sample, seed=3)[:3]
    for job in jobs:
        render_clip(job, folder)
    return [(folder / f"{job['clip_id']}.mp4").read_bytes() for job in jobs]


@pytest.fixture
def tree(tmp_path: Path, videos: list[bytes]) -> Path:
    """RAVDESS with one clip in a folder and two in an archive."""
    root = tmp_path / "ravdess"
    names = [f"01-01-05-01-01-01-{actor}.mp4" for actor in ("01", "02", "03")]
    (root / "Actor_01").mkdir(parents=True)
    (root / "Actor_01" / names[0]).write_bytes(videos[0])
    for name, video in zip(names[1:], videos[1:], strict=True):
        write_zip(root / f"Video_Speech_{name[-6:-4]}.zip", [name], video)
    (root / "README.md").write_text("notes")
    return root


@pytest.fixture
def settings(params: Params) -> ClipsParams:
    return params.clips.model_copy(update={"fps": 5, "detect_stride": 10, "max_rejected": 0.4})


def upload(bucket: Bucket, root: Path, tmp_path: Path) -> Path:
    bucket.put_tree(root, "raw/")
    inventory = tmp_path / f"{root.name}.inventory"
    renew_inventory(inventory, f"{bucket.address}/raw")
    return inventory


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_clips_come_of_a_bucket_as_of_a_folder(
    bucket: Bucket, tree: Path, tmp_path: Path, settings: ClipsParams
) -> None:
    inventory = upload(bucket, tree, tmp_path)
    for root, name in ((tree, "folder"), (inventory, "bucket")):
        report = write_manifest(ravdess, root, root, tmp_path / name / "manifest")
        assert (report.num_clips, report.num_quarantined) == (3, 0)
        manifest = pd.read_parquet(tmp_path / name / "manifest/manifest.parquet")
        prepare_clips(manifest, root, tmp_path / name / "clips", tmp_path / f"work-{name}", settings)
    assert len(Clips(tmp_path / "bucket/clips").usable) == 3
    assert contents(tmp_path / "folder") == contents(tmp_path / "bucket")


@pytest.mark.workers
def test_workers_read_from_one_cache(bucket: Bucket, tmp_path: Path) -> None:
    for number in range(6):
        bucket.put(f"{number}.mp4", bytes([number]) * 1000)
    inventory = tmp_path / "a.inventory"
    renew_inventory(inventory, bucket.address)
    bucket.remove("5.mp4")
    jobs = [{"clip_id": str(number), "source": str(inventory / f"{number % 6}.mp4")} for number in range(12)]
    (tmp_path / "meeting").mkdir()
    clip_map = ClipMap(CopySource(tmp_path / "meeting", 2), tmp_path / "work", "copies")
    records = clip_map.run(jobs, num_workers=2)
    gone = [record["clip_id"] for record in records if record["status"] == "quarantined"]
    assert gone == ["5", "11"]
    assert {record["reason"].split(":")[0] for record in records if record["clip_id"] in gone} == {"missing_object"}
    for number in (0, 6, 4, 10):
        assert (clip_map.files / str(number)).read_bytes() == bytes([number % 6]) * 1000
    assert len({record["process"] for record in records if record["status"] == "ok"}) == 2


def test_only_the_clip_of_a_changed_object_is_done_anew_and_one_that_is_gone_is_quarantined(
    bucket: Bucket, tmp_path: Path, videos: list[bytes], settings: ClipsParams, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"01-01-05-01-01-01-{actor}.mp4" for actor in ("01", "02", "03")]
    for name, video in zip(names, videos, strict=True):
        bucket.put(name, video)
    inventory = tmp_path / "ravdess.inventory"
    renew_inventory(inventory, bucket.address)
    manifest = scan(ravdess, inventory)
    bucket.remove(names[2])
    strict = settings.model_copy(update={"max_rejected": 0.0})
    with pytest.raises(UserError, match="1 of 3 clips rejected.*missing_object: s3://.*-03.mp4 is in the inventory"):
        prepare_clips(manifest, inventory, tmp_path / "out", tmp_path / "work", strict)
    digests = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "work/files/video").iterdir()}
    assert len(digests) == 2
    bucket.put(names[0], videos[2])
    bucket.put(names[2], videos[2])
    renew_inventory(inventory)
    capsys.readouterr()
    report = prepare_clips(manifest, inventory, tmp_path / "out", tmp_path / "work", strict)
    assert "goes on after 1 of 3 clips" in capsys.readouterr().err
    assert (report.num_clips, report.num_quarantined) == (3, 0)
    made = Clips(tmp_path / "out").table.set_index("clip_id").source_sha256
    assert made["ravdess-01-angry-1-01-01"] == made["ravdess-03-angry-1-01-01"] != made["ravdess-02-angry-1-01-01"]
    bucket.remove(names[1])
    # what is in the cache needs no store
    assert prepare_clips(manifest, inventory, tmp_path / "again", tmp_path / "work", strict).num_clips == 3


def test_what_is_in_a_bucket_is_checked_like_a_folder(bucket: Bucket, tmp_path: Path) -> None:
    root = tmp_path / "CREMA-D"
    names = [f"VideoFlash/1001_{sentence}_ANG_XX.flv" for sentence in ("DFA", "IOM", "ITH", "ITS", "IWL", "IWW")]
    fill(root, [*names, "VideoFlash/odd.flv", "VideoFlash/.hidden.flv", "a.rar.part"])
    fill(root, ["notes.txt", "x.dat"], b"notes")
    fill(root, names[1:2], b"")
    fill(root, names[2:3], HTML)
    fill(root, names[3:4], pointer("0" * 64, 9))
    fill(root, names[4:5], MEDIUM + bytes(100_000))
    inventory = upload(bucket, root, tmp_path)
    of_folder, of_bucket = (check_corpus(cremad, place, tmp_path) for place in (root, inventory))
    assert of_bucket.problems == of_folder.problems
    for fact in (
        "num_found",
        "num_usable",
        "num_expected",
        "cells",
        "pointers",
        "missing",
        "not_wanted",
        "passed_over",
    ):
        assert getattr(of_bucket, fact) == getattr(of_folder, fact), fact


def test_names_that_no_file_could_have_are_told(tmp_path: Path) -> None:
    names = ["VideoFlash/1001_DFA_ANG_XX.flv", "VideoFlash/../1001_IOM_ANG_XX.flv", "/1001_ITH_ANG_XX.flv", "a//b.flv"]
    inventory = tmp_path / "cremad.inventory"
    write_inventory(inventory, "s3://lab", [StoredObject(name, 9, "v") for name in names])
    found = scan(cremad, inventory)
    assert found.status.value_counts().to_dict() == {"quarantined": 3, "ok": 1}
    assert set(found.reason.dropna().str.rpartition(": ")[2]) == {"no file could have this name"}


def test_the_wrong_folder_of_a_bucket_is_told_with_the_right_one(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("MEAD/M003/front/angry/level_1/001.mp4", MEDIUM)
    inventory = tmp_path / "mead.inventory"
    for wrong in ("", "/MEAD/M003"):
        renew_inventory(inventory, f"{bucket.address}{wrong}")
        with pytest.raises(UserError, match=f"did you mean {bucket.address}/MEAD\\?"):
            scan(mead, inventory)


def test_lists_beside_the_clips_are_read_from_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    for split, speaker in (("train", "M101"), ("val", "M102"), ("test", "M103")):
        bucket.put(f"{split}.txt", f"{speaker}\n".encode())
        bucket.put(f"{speaker}/front/angry/level_1/001.mp4", MEDIUM)
    bucket.put(
        "numbering.csv",
        b"speaker,emotion,intensity,number,sentence,numbering\nM101,angry,1,001,017,transcript-aligned\n",
    )
    inventory = tmp_path / "sample.inventory"
    renew_inventory(inventory, bucket.address)
    found = scan(sample, inventory).set_index("speaker")
    assert found.split.to_dict() == {"M101": "train", "M102": "val", "M103": "test"}
    assert found.sentence.to_dict() == {"M101": "017", "M102": "001", "M103": "001"}


def test_the_rows_of_a_table_may_name_objects(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("raw/ann/1.mp4", MEDIUM)
    bucket.put("raw/ben/1.mp4", MEDIUM)
    inventory = tmp_path / "recordings.inventory"
    renew_inventory(inventory, f"{bucket.address}/raw")
    path = tmp_path / "clips.csv"
    rows = "".join(f"recordings.inventory/{name}/1.mp4,{name},sad\n" for name in ("ann", "ben", "cid"))
    path.write_text("video,speaker,emotion\n" + rows)
    assert files_folder(table.NAME, path) == inventory
    found = scan(table, path, inventory).set_index("video")
    assert found.status.to_list() == ["ok", "ok", "quarantined"]
    assert found.reason.iloc[2].startswith("missing_file: row 4: recordings.inventory/cid/1.mp4 does not exist")


def test_a_store_that_goes_away_stops_the_stage_and_quarantines_nothing(
    bucket: Bucket,
    tmp_path: Path,
    videos: list[bytes],
    settings: ClipsParams,
    monkeypatch: pytest.MonkeyPatch,
    begin_anew: Callable[[], None],
) -> None:
    names = [f"01-01-05-01-01-01-{actor}.mp4" for actor in ("01", "02")]
    for name, video in zip(names, videos, strict=False):
        bucket.put(name, video)
    inventory = tmp_path / "ravdess.inventory"
    renew_inventory(inventory, bucket.address)
    manifest = scan(ravdess, inventory)
    with on_disk(inventory / names[0]):
        pass
    with monkeypatch.context() as patch:
        patch.setattr(store, "WAITS_S", ())
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        begin_anew()
        with pytest.raises(UserError, match=r"cannot be reached.*run the same command again"):
            prepare_clips(manifest, inventory, tmp_path / "out", tmp_path / "work", settings)
    begin_anew()
    assert prepare_clips(manifest, inventory, tmp_path / "out", tmp_path / "work", settings).num_clips == 2


def test_an_archive_that_is_gone_counts_as_a_lost_file(bucket: Bucket, tmp_path: Path) -> None:
    write_tar(tmp_path / "mead/M003/video.tar", ["front/angry/level_1/001.mp4"])
    write_tar(tmp_path / "mead/M005/video.tar", ["front/angry/level_1/001.mp4"])
    inventory = upload(bucket, tmp_path / "mead", tmp_path)
    bucket.remove("raw/M005/video.tar")
    gone = scan(mead, inventory).set_index("video").reason["M005/video.tar"]
    assert (
        gone == f"missing_object: {bucket.address}/raw/M005/video.tar is in the inventory, but no longer in the store"
    )


def test_an_archive_in_a_bucket_is_read_in_place(bucket: Bucket, tmp_path: Path) -> None:
    names = [f"front/angry/level_1/{number:03d}.mp4" for number in (1, 2)]
    write_tar(tmp_path / "mead/M003/video.tar", names)
    (tmp_path / "mead/M005").mkdir()
    (tmp_path / "mead/M005/video.tar").write_bytes(HTML)
    inventory = upload(bucket, tmp_path / "mead", tmp_path)
    manifest = scan(mead, inventory)
    assert manifest.video.to_list() == [f"M003/video.tar/{name}" for name in names] + ["M005/video.tar"]
    assert manifest.reason.iloc[2].startswith("html_page: M005/video.tar is a web page")


def test_vectors_beside_the_clips_come_from_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    import numpy as np

    vector = np.arange(1024, dtype=np.float32)
    (tmp_path / "mead/a" / FEATURES_FOLDER).mkdir(parents=True)
    np.save(tmp_path / "mead/a" / FEATURES_FOLDER / "001.npy", vector)
    inventory = upload(bucket, tmp_path / "mead", tmp_path)
    assert np.array_equal(read_precomputed(inventory / "a/001.mp4"), vector)
    with pytest.raises(UserError, match="no_features: .*002.npy is not in the inventory"):
        read_precomputed(inventory / "a/002.mp4")


def test_two_commands_at_once_share_the_cache(
    bucket: Bucket, tree: Path, tmp_path: Path, settings: ClipsParams
) -> None:
    inventory = upload(bucket, tree, tmp_path)
    code = (
        "import sys; from pathlib import Path; from cmet.archives import local_file\n"
        "from cmet.corpora import ravdess; from cmet.corpora.scan import scan\n"
        "root = Path(sys.argv[1])\n"
        "for video in scan(ravdess, root).video:\n"
        "    with local_file(root / video) as file: print(file.stat().st_size)\n"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, inventory], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [run.communicate()[0].split() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert said[0] == said[1]
    assert len(said[0]) == 3
    cached = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert sorted(cached) == [
        "01-01-05-01-01-01-01.mp4", "Video_Speech_02.zip", "Video_Speech_03.zip", "usage",
    ]  # fmt: skip
