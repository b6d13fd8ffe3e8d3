"""Where a project keeps its outputs, also those of stages that lie elsewhere."""

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from cmet.errors import UserError
from cmet.outputs import write_json
from cmet.params import Params
from cmet.places import Places, only_run, work_folder

ASIDE = "unseen/facemesh/sad"


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path, tmp_path / "raw", tmp_path / "weights")


@pytest.fixture
def fold(places: Places) -> Places:
    """The same with the training in a folder of its own."""
    return places.with_stages_in(places.root / "data/unseen/facemesh/sad", ["shards", "train"], "facemesh", ASIDE)


def test_stages_lie_in_data_by_their_names(places: Places, tmp_path: Path) -> None:
    assert places.folder("train", "facemesh") == tmp_path / "data/train/facemesh"
    assert places.metrics_file("train", "facemesh") == tmp_path / "data/metrics/train-facemesh.json"
    assert places.folder("clips") == tmp_path / "data/clips"


def test_some_stages_of_one_backbone_may_lie_elsewhere(fold: Places, places: Places, tmp_path: Path) -> None:
    assert fold.folder("train", "facemesh") == tmp_path / "data/unseen/facemesh/sad/train"
    assert fold.metrics_file("train", "facemesh") == tmp_path / "data/unseen/facemesh/sad/train.json"
    for stage, variant in (("train", "edtalk"), ("deltas", "facemesh"), ("clips", None)):
        assert fold.folder(stage, variant) == places.folder(stage, variant)
        assert fold.metrics_file(stage, variant) == places.metrics_file(stage, variant)


def test_more_stages_may_lie_in_yet_another_folder(fold: Places, tmp_path: Path) -> None:
    run = fold.with_stages_in(tmp_path / "out", ["train"], "facemesh", f"{ASIDE}/seed-1")
    assert run.folder("train", "facemesh") == tmp_path / "out/train"
    assert run.folder("shards", "facemesh") == fold.folder("shards", "facemesh")


def test_unfinished_work_of_one_does_not_clear_away_that_of_the_other(
    fold: Places, places: Places, params: Params
) -> None:
    own = places.work("train", "facemesh", params.train, [], "sad")
    other = fold.work("train", "facemesh", params.train, [], "happy")
    assert own.is_dir()
    assert other.is_dir()
    assert other.is_relative_to(places.root / ".work" / ASIDE)
    # of one project, the work for other facts is cleared away
    places.work("train", "facemesh", params.train, [], "angry")
    assert not own.exists()


def test_the_same_stage_may_be_at_work_in_both(fold: Places, places: Places) -> None:
    with (
        places.only_run("train", "facemesh"),
        fold.only_run("train", "facemesh"),
        pytest.raises(UserError, match="train-facemesh: another run of this stage is at work"),
        fold.only_run("train", "facemesh"),
    ):
        pass


def test_a_lock_that_a_lost_machine_has_left_is_waited_for(places: Places) -> None:
    holding = places.only_run("train", "facemesh")
    holding.__enter__()
    ending = threading.Timer(0.3, holding.__exit__, (None, None, None))
    ending.start()
    with places.only_run("train", "facemesh", 60):
        pass
    ending.join()


def test_a_missing_output_is_named_by_its_path_in_the_project(fold: Places, places: Places) -> None:
    with pytest.raises(UserError, match=r"^data/clips/clips\.parquet: not there yet; run `dvc repro clips`"):
        places.written("clips", "clips.parquet")
    with pytest.raises(UserError, match=r"^data/unseen/facemesh/sad/train/config\.json: not there yet"):
        fold.written("train", "config.json", "facemesh")


def test_inputs_outside_the_project_are_called_by_their_whole_path(places: Places, tmp_path: Path) -> None:
    inside, outside = tmp_path / "data/a", tmp_path.parent / f"{tmp_path.name}-outside"
    inside.parent.mkdir()
    for path in (inside, outside):
        path.write_text("same")
    digests = places.digests(inside, outside)
    assert list(digests) == ["data/a", outside.as_posix()]
    assert len(set(digests.values())) == 1


def test_what_a_stage_has_reported_is_read_where_it_lies_and_missed_by_name(fold: Places, places: Places) -> None:
    write_json(fold.metrics_file("train", "facemesh"), {"num_steps": 3})
    assert fold.reported("train", "facemesh") == {"num_steps": 3}
    with pytest.raises(UserError, match=r"^data/metrics/train-facemesh\.json: not there yet; run `dvc repro train@f"):
        places.reported("train", "facemesh")


def test_work_that_other_code_has_begun_is_not_continued(places: Places, params: Params) -> None:
    begun, again, other = (
        replace(places, code=code).work("clips", None, params.clips, []) for code in ("one", "one", "another")
    )
    assert (begun == again, begun == other) == (True, False)


def test_the_paths_of_a_manifest_begin_beside_a_table_and_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").touch()
    for corpus in (tmp_path / "clips.csv", tmp_path):
        assert Places(tmp_path, corpus, tmp_path / "weights").corpus_folder == tmp_path


def test_work_is_continued_for_the_same_input_and_dropped_for_another(tmp_path: Path, params: Params) -> None:
    source = tmp_path / "input"
    source.write_text("a")
    first = work_folder(tmp_path / "work", "clips", params.clips, [source])
    (first / "done").touch()
    assert (work_folder(tmp_path / "work", "clips", params.clips, [source]) / "done").exists()
    source.write_text("b")
    assert not (work_folder(tmp_path / "work", "clips", params.clips, [source]) / "done").exists()
    assert not first.exists()


def test_unfinished_work_of_another_seed_is_not_continued_and_that_of_other_checkpoints_is(
    tmp_path: Path, params: Params
) -> None:
    begun = work_folder(tmp_path, "train", params.train, [], 7)
    assert work_folder(tmp_path, "train", params.train, [], 8) != begun
    often = params.train.model_copy(update={"checkpoint_every": 1})
    assert work_folder(tmp_path, "train", often, [], 7) == begun


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [({"max_rejected": 0.5}, True), ({"time_limit_s": 7.0}, True), ({"crf": 30}, False)],
)
def test_raising_a_limit_keeps_the_work(tmp_path: Path, params: Params, change: dict, is_kept: bool) -> None:
    (work_folder(tmp_path, "clips", params.clips, []) / "done").touch()
    changed = params.clips.model_copy(update=change)
    assert (work_folder(tmp_path, "clips", changed, []) / "done").exists() == is_kept


HOLDER = """
import sys, time
from pathlib import Path
from cmet.places import only_run

with only_run(Path(sys.argv[1]), "clips"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_run_of_a_stage_is_told_of_the_first_until_that_is_gone(tmp_path: Path) -> None:
    lock = tmp_path / "clips.lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, lock], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        said = rf"clips: another run of this stage is at work \(pid {process.pid}\); wait for it or stop it"
        with pytest.raises(UserError, match=said), only_run(lock, "clips"):
            pass
        process.kill()
    # what a killed run leaves behind locks nothing
    with only_run(lock, "clips"):
        assert lock.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_locks_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "work" / "clips.lock"
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), only_run(lock, "clips"):
            assert lock.read_text() == str(os.getpid())
            raise ZeroDivisionError
        assert not lock.exists()
