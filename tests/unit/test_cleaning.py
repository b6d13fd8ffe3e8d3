"""What may go of a project, and that nothing else goes."""

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from cmet import cleaning
from cmet.cleaning import Leftover, find_leftovers, measured, printed_leftovers, remove, said_age, said_size
from cmet.errors import UserError
from cmet.params import Params
from cmet.places import Places, only_run

KEY = "0123456789abcdef"
DAY_S = 86_400


def fill(path: Path, size: int = 10, age_s: float = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    then = time.time() - age_s
    for one in (path, path.parent, path.parent.parent):
        os.utime(one, (then, then))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with unfinished work of stages and a study, outputs, weights, scores and a corpus."""
    root = tmp_path / "project"
    work = root / ".work"
    fill(work / "runs" / f"{KEY}{KEY}" / "results.parquet", 5)
    fill(work / "passing/cmet-map-x1/records.jsonl", 3)
    fill(work / f"compiled/fxgraph/{KEY}/graph", 2)
    fill(work / "made/clips/records.jsonl", 6)
    fill(work / f"copies/tried/data/{KEY}/a.mp4", 1)
    fill(work / f"sweep/facemesh/full/seed-1/train-facemesh/{KEY}/last.pt", 7)
    fill(work / f"clips/{KEY}/done/a.mp4", 100)
    fill(work / f"speech-wav2vec2-base/{KEY}/b.npy", 20, age_s=3 * DAY_S)
    (work / "clips.lock").write_text("1")  # of a run that was killed
    fill(root / "data/.directions.unfinished/a.json", 3)
    fill(root / "data/train/.facemesh.unfinished/a.bin", 4)
    fill(root / "data/mead/.raw.unfinished/a.bin", 1000)
    for name in ("data/clips/a.mp4", "data/train/facemesh/a.bin", "data/metrics/clips.json", "data/mead/a.mp4"):
        fill(root / name, 1000)
    for name in ("reports/index.html", "weights/edtalk/EDTalk.pt", "scores/mine/results.parquet"):
        fill(root / name, 1000)
    return root


def told(leftovers: list[Leftover]) -> dict[str, str | None]:
    return {one.what: one.kept for one in leftovers}


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


CLIPS_MADE_OF = "what each clip of clips was made of"
WORK = [
    "files fetched from MLflow",
    "map over clips cmet-map-x1, of a run that was killed",
    "networks that torch has compiled",
    CLIPS_MADE_OF,
    "copy of the project for experiment tried",
    "clips",
    "speech@wav2vec2-base",
    "train@facemesh of sweep/facemesh/full/seed-1",
    "directions, half written",
    "train@facemesh, half written",
]


def test_unfinished_work_is_found_with_its_stage_size_and_age(project: Path) -> None:
    found = find_leftovers(project, has_outputs=False)
    assert told(found) == dict.fromkeys(WORK)
    by_name = {one.what: one for one in found}
    speech = by_name["speech@wav2vec2-base"]
    assert (speech.path, speech.size_bytes) == (Path(".work/speech-wav2vec2-base"), 20)
    assert speech.age_s == pytest.approx(3 * DAY_S, abs=60)
    assert by_name["clips"].age_s == pytest.approx(0, abs=60)
    lines = printed_leftovers(found).splitlines()
    assert lines[0].startswith("Unfinished work")
    assert "  speech@wav2vec2-base" in lines[7] and " 20 B  " in lines[7] and "3 days old" in lines[7]
    assert lines[-1] == "151 B can be freed in all."


def test_the_work_of_a_stage_is_found_where_the_stage_keeps_it(tmp_path: Path, params: Params) -> None:
    places = Places(tmp_path, tmp_path / "corpus", tmp_path / "weights")
    (places.work("train", "facemesh", params.train, []) / "last.pt").touch()
    fold = places.with_stages_in(tmp_path / "out", ("train",), "facemesh", "unseen/facemesh/sad")
    (fold.work("train", "facemesh", params.train, []) / "last.pt").touch()
    found = find_leftovers(tmp_path, has_outputs=False)
    assert list(told(found)) == ["train@facemesh", "train@facemesh of unseen/facemesh/sad"]
    with places.only_run("train", "facemesh"):
        in_use = told(find_leftovers(tmp_path, has_outputs=False))["train@facemesh"]
    assert in_use == f"in use (pid {os.getpid()})"


def test_removing_takes_work_and_nothing_else(project: Path) -> None:
    before = files(project)
    done = remove(project, find_leftovers(project, has_outputs=False))
    assert done.size_bytes == 151
    gone = before - files(project)
    assert {name.split("/")[0] for name in gone} == {".work", "data"}
    assert not any(name.startswith(".work") for name in files(project) - {".work"})
    assert {name for name in gone if name.startswith("data")} == {
        "data/.directions.unfinished/a.json",
        "data/train/.facemesh.unfinished/a.bin",
    }
    assert not (project / ".work/sweep").exists()


def test_outputs_go_when_asked_for_and_weights_scores_and_own_data_never(project: Path) -> None:
    found = find_leftovers(project, has_outputs=True)
    outputs = {one.what: one.kept for one in found if one.kind == "outputs"}
    assert outputs == {"clips": None, "train": None, "metrics": None, "reports": None, "mead": "no stage writes it"}
    remove(project, found)
    assert files(project) == {
        "data/mead/a.mp4",
        "data/mead/.raw.unfinished/a.bin",
        "weights/edtalk/EDTalk.pt",
        "scores/mine/results.parquet",
    }


def test_what_a_running_stage_holds_is_kept_with_all_that_it_may_read(project: Path) -> None:
    before = files(project)
    with only_run(project / ".work/clips.lock", "clips"):
        found = find_leftovers(project, has_outputs=True)
        kept = {one.what: one.kept for one in found if one.kind == "work" and one.kept}
        assert kept == dict.fromkeys((CLIPS_MADE_OF, "clips"), f"in use (pid {os.getpid()})")
        assert all(one.kept for one in found if one.kind == "outputs")
        done = remove(project, found)
        assert done.size_bytes == 45
        assert f".work/clips/{KEY}/done/a.mp4" in files(project)
    assert {name for name in before - files(project) if name.startswith("data/") and "unfinished" not in name} == set()


def test_a_study_that_runs_keeps_the_work_of_all_its_runs(project: Path) -> None:
    with only_run(project / ".work/sweep.lock", "sweep"):
        kept = {one.what for one in find_leftovers(project, has_outputs=False) if one.kept}
    assert kept == {"train@facemesh of sweep/facemesh/full/seed-1"}


def test_what_has_come_into_use_since_it_was_listed_is_kept(project: Path) -> None:
    found = find_leftovers(project, has_outputs=True)
    with only_run(project / ".work/clips.lock", "clips"):
        done = remove(project, found)
    kept = {one.what: one.kept for one in done.leftovers if one.kept and one.kind == "work"}
    assert list(kept) == [CLIPS_MADE_OF, "clips"]
    assert "another run of this stage is at work" in str(kept["clips"])
    assert (project / "data/clips/a.mp4").is_file()


def test_a_run_may_end_while_its_work_is_looked_at(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def ending(folder: Any) -> Any:
        if str(folder) == str(project / ".work/speech-wav2vec2-base" / KEY):
            shutil.rmtree(project / ".work/speech-wav2vec2-base")
        return scandir(folder)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", ending)
        found = find_leftovers(project, has_outputs=False)
    assert list(told(found)) == [name for name in WORK if name != "speech@wav2vec2-base"]


def test_what_has_gone_since_it_was_listed_needs_no_removing(project: Path) -> None:
    found = find_leftovers(project, has_outputs=False)
    shutil.rmtree(project / ".work/speech-wav2vec2-base")
    assert all(one.kept is None for one in remove(project, found).leftovers)
    assert find_leftovers(project, has_outputs=False) == []


def test_links_are_not_followed(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "disk"
    shutil.move(project / "data", elsewhere / "data")
    shutil.move(project / f".work/clips/{KEY}", elsewhere / "clips")
    shutil.move(project / "reports", elsewhere / "reports")
    (project / "data").symlink_to(elsewhere / "data")
    (project / "reports").symlink_to(elsewhere / "reports")
    (project / f".work/clips/{KEY}").symlink_to(elsewhere / "clips")
    (project / ".work/expression-edtalk").symlink_to(elsewhere)
    before = files(elsewhere)
    found = find_leftovers(project, has_outputs=True)
    assert {one.what for one in found if one.kept} == {
        "data",
        "reports",
        "directions, half written",
        "train@facemesh, half written",
    }
    remove(project, found)
    assert files(elsewhere) == before
    assert not (project / ".work/clips").exists()


def test_a_file_with_another_name_elsewhere_frees_nothing(tmp_path: Path) -> None:
    fill(tmp_path / "work/a", 100)
    os.link(tmp_path / "work/a", tmp_path / "work/b")
    assert measured(tmp_path / "work")[0] == 100
    os.link(tmp_path / "work/a", tmp_path / "c")
    assert measured(tmp_path / "work")[0] == 0
    assert measured(tmp_path / "c")[0] == 0


def said_by_dvc(monkeypatch: pytest.MonkeyPatch, code: int, out: str, err: str) -> None:
    monkeypatch.setattr(cleaning, "_collected", lambda *_: subprocess.CompletedProcess([], code, out, err))


def test_a_cache_that_may_be_shared_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "shared/files/md5/aa/bb")
    (tmp_path / "project/.dvc").mkdir(parents=True)
    (tmp_path / "project/.dvc/cache").symlink_to(tmp_path / "shared")
    for place in ("shared", "project/.dvc/cache"):
        said_by_dvc(monkeypatch, 0, f"Removing {tmp_path / place}/files/md5/aa/bb\nRemoved 1 objects.\n", "")
        (found,) = find_leftovers(tmp_path / "project", has_outputs=False)
        assert found.kept == "it lies outside the project, where others may use it"


def test_the_cache_is_kept_while_a_stage_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / ".dvc/cache/files/md5/aa/bb")
    said_by_dvc(monkeypatch, 0, f"Removing {tmp_path}/.dvc/cache/files/md5/aa/bb\n", "")
    with only_run(tmp_path / ".work/train-facemesh.lock", "train"):
        (found,) = find_leftovers(tmp_path, has_outputs=False)
    assert (found.size_bytes, found.kept) == (10, "in use: train@facemesh")


def test_what_dvc_cannot_say_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".dvc").mkdir()
    said_by_dvc(monkeypatch, 1, "", "WARNING: a\nERROR: broken dvc.yaml\n\nHaving any troubles?\n")
    (found,) = find_leftovers(tmp_path, has_outputs=False)
    assert found.kept == "dvc says: broken dvc.yaml"
    with pytest.raises(UserError, match="^dvc gc: broken dvc.yaml$"):
        remove(tmp_path, [Leftover("cache", "1 entries", Path(".dvc/cache"), 5, None)])
    monkeypatch.setattr(cleaning, "_dvc", lambda: None)
    (found,) = find_leftovers(tmp_path, has_outputs=False)
    assert found.kept == "the command dvc, which knows what is in use, is not installed"


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 2**30, "3.0 GiB"), (2**51, "2048.0 TiB")],
)
def test_sizes_have_a_unit_for_people(size: int, said: str) -> None:
    assert said_size(size) == said


@pytest.mark.parametrize(
    ("age_s", "said"), [(5, "less than a minute"), (60, "1 minute"), (7300, "2 hours"), (3.5 * DAY_S, "3 days")]
)
def test_ages_have_a_unit_for_people(age_s: float, said: str) -> None:
    assert said_age(age_s) == said
