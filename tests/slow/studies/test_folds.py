"""Folds whose training is real, on a small world; tests/test_whole_line.py has one with real edits."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cmet.clips.product import Clips
from cmet.edits.product import Edits
from cmet.errors import UserError
from cmet.expression.product import Faces
from cmet.judge.card import judge_name
from cmet.judge.product import JudgeFolder
from cmet.outputs import content_digest, write_json
from cmet.params import ClipForm, Params
from cmet.places import Places
from cmet.project import Project
from cmet.stages.registry import run_stage
from cmet.studies import answers, edits, folds, refit
from cmet.studies.folds import Fold, FoldInputs, FoldRun, accuracies, emotions_of
from cmet.studies.runner import Study
from cmet.studies.unseen import check_experiment, chosen_emotions, run_unseen
from cmet.studies.unseen_table import ANSWER_COLUMNS
from cmet.studies.variants import leaving_out
from cmet.tracking.runs import Run, find_run
from tests.connector_shards import TINY
from tests.judge_card import CARD
from tests.slow.connector.conftest import shards, written_shards  # noqa: F401
from tests.slow.studies.conftest import noting

EMOTION = "sad"


@pytest.fixture
def project(root: Path, store: str) -> Project:
    """What all folds share, made by hand."""
    for name in ("clips/clips.parquet", "speech/opensmile/embeddings.parquet", "judge/judge.json"):
        path = root / "data" / name
        path.parent.mkdir(parents=True)
        # tells the runs of one test from those of others in the store
        path.write_text(f"{name} {root}")
    write_json(root / "data/judge/judge.json", CARD.model_dump() | {"corpus": str(root)})
    for name in ("tracks", "codes", "model"):
        (root / "data/expression/facemesh" / name).mkdir(parents=True)
    pairs = [{"split": split, "emotion": emotion} for split in ("train", "test") for emotion in ("happy", EMOTION)]
    (root / "data/deltas/facemesh").mkdir(parents=True)
    pd.DataFrame(pairs).to_parquet(root / "data/deltas/facemesh/pairs.parquet")
    return Project.at(root / "params.yaml")


@pytest.fixture
def done(shards: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:  # noqa: F811
    """The steps that were done, in their order; all leave hand-made outputs."""
    return _noted_steps(shards, monkeypatch, is_trained=False)


@pytest.fixture
def really_done(shards: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:  # noqa: F811
    """As `done`, with real training."""
    return _noted_steps(shards, monkeypatch, is_trained=True)


def _noted_steps(shards: Path, monkeypatch: pytest.MonkeyPatch, is_trained: bool) -> list[str]:  # noqa: F811
    steps: list[str] = []

    def refit_faces(clips: Clips, faces: Faces, params: Params, backbone: str, weights: Path, out: Path) -> None:
        steps.append(f"expression without {params.held_out_emotion}")
        (out / "model").mkdir(parents=True, exist_ok=True)
        (out / "model/basis").write_text(str(params.held_out_emotion))
        (out / "codes").mkdir(exist_ok=True)

    def stage(name: str, project: Project, backbone: str) -> Any:
        steps.append(name)
        out = project.places.folder(name, backbone)
        if name == "train" and is_trained:
            return run_stage(name, project, backbone)
        if name == "shards":
            return shutil.copytree(shards, out, dirs_exist_ok=True)
        out.mkdir(parents=True, exist_ok=True)
        return None

    def edit_rows(
        places: Places, params: Params, backbone: str, emotion: str | None, methods: Sequence[str], key: str
    ) -> None:
        steps.append(f"edits of {emotion or 'all'} with seed {params.seed}")
        assert places.folder("train", backbone).is_dir()
        places.folder("edits", backbone).mkdir(exist_ok=True)

    def judge_edits(edits: Edits, judge: JudgeFolder, emotion: str | None) -> pd.DataFrame:
        steps.append(f"answers of {emotion}")
        targets = [emotion] if emotion else ["happy", EMOTION]
        rows = [(f"D-{target}", method, target) for target in targets for method in ("cmet", "oracle")]
        said = pd.DataFrame(rows, columns=["row_id", "method", "target"])
        # cmet does not know what was left out
        predicted = said["target"].where((said["method"] == "oracle") | (emotion is None), "fear")
        correct = predicted == said["target"]
        return said.assign(speaker="D", sentence="001", intensity=2, predicted=predicted, correct=correct, reason=None)

    monkeypatch.setattr(refit, "refit_faces", refit_faces)
    monkeypatch.setattr(folds, "run_stage", stage)
    monkeypatch.setattr(edits, "edit_rows", edit_rows)
    monkeypatch.setattr(answers, "judge_edits", judge_edits)
    return steps


def fold_run(project: Project, seed: int = 1, emotion: str | None = EMOTION) -> FoldRun:
    study = Study("unseen", project, "facemesh", [seed], project.places.folder("unseen"))
    return FoldRun(Fold(study, leaving_out(project.params, emotion), FoldInputs.of(project, "facemesh")), seed)


def runs(project: Project, store: str) -> dict[str, Any]:
    """The project's runs in the store, by name."""
    from mlflow import MlflowClient

    client = MlflowClient(store)
    found = client.search_runs([client.get_experiment_by_name("cmet").experiment_id])
    names = {run.info.run_id for run in found if _is_of(project, run.data.tags)}
    return {
        run.info.run_name: run
        for run in found
        if run.info.run_id in names or run.data.tags.get("mlflow.parentRunId") in names
    }


def _is_of(project: Project, tags: dict[str, str]) -> bool:
    return tags.get("cmet.input.data/judge") == content_digest(project.places.folder("judge"))


def test_a_fold_does_each_step_once_and_is_an_mlflow_run_with_its_training_below(
    project: Project, really_done: list[str], store: str
) -> None:
    run = fold_run(project)
    assert not run.run.is_finished
    run.run.finish()
    assert really_done == [
        "expression without sad",
        "deltas",
        "shards",
        "train",
        "edits of sad with seed 7",
        "answers of sad",
    ]
    assert run.run.is_finished
    assert run.answers()[["fold", "seed", "predicted"]].to_numpy().tolist() == [["sad", 1, "fear"], ["sad", 1, "sad"]]
    config = json.loads((run.out / "train/config.json").read_text())
    assert (config["held_out_emotion"], config["seed"]) == ("sad", 1)
    assert json.loads((run.out / "train.json").read_text())["num_steps"] == TINY["num_steps"]
    logged = runs(project, store)
    assert set(logged) == {"facemesh without sad, seed 1", "train facemesh"}
    whole, training = logged["facemesh without sad, seed 1"], logged["train facemesh"]
    for tags in (whole.data.tags, training.data.tags):
        assert tags["cmet.fold"] == tags["cmet.held_out_emotion"] == "sad"
        assert (tags["cmet.seed"], tags["cmet.data_seed"]) == ("1", "7")
    assert whole.data.metrics == {"n": 1, "acc_emo_held_out": 0, "oracle/acc_emo_held_out": 1}
    assert whole.data.params["held_out_emotion"] == "sad"
    assert "val/delta_mse" in training.data.metrics
    # the training of a fold is not that of the project
    assert find_run("train", "facemesh", project.root) is None
    assert not (project.root / "data/train").exists()
    assert not any((project.root / ".work").rglob("*.pt"))


def test_another_seed_of_a_fold_shares_its_data_and_changes_training_only(project: Project, done: list[str]) -> None:
    fold_run(project).run.finish()
    done.clear()
    fold_run(project, seed=2).run.finish()
    assert done == ["train", "edits of sad with seed 7", "answers of sad"]
    assert fold_run(project, seed=1).run.is_finished


def test_the_fold_of_nothing_is_edited_in_all_emotions(project: Project, done: list[str]) -> None:
    run = fold_run(project, emotion=None)
    run.run.finish()
    assert "edits of all with seed 7" in done
    assert run.run.name == "seen, seed 1"
    assert run.project.params.held_out_emotion is None


def test_only_what_a_change_reaches_is_done_anew(project: Project, done: list[str]) -> None:
    fold_run(project).run.finish()
    done.clear()
    write_json(project.places.folder("judge") / "judge.json", CARD.model_dump() | {"seed": 2})
    assert not fold_run(project).run.is_finished
    fold_run(project).run.finish()
    assert done == ["answers of sad"]
    done.clear()
    edits = project.params.edits.model_copy(update={"strength": 0.5})
    weaker = replace(project, params=project.params.model_copy(update={"edits": edits}))
    shutil.rmtree(fold_run(weaker).out / "edits")
    fold_run(weaker).run.finish()
    assert done == ["edits of sad with seed 7", "answers of sad"]
    done.clear()
    (project.places.folder("speech", "opensmile") / "embeddings.parquet").write_text("other speech")
    shutil.rmtree(fold_run(project).out / "edits")
    fold_run(project).run.finish()
    assert len(done) == 6


def test_a_matrix_goes_seed_by_seed_and_uses_what_is_finished_again(
    project: Project, done: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = project.places.folder("unseen")
    said = run_unseen(project, "facemesh", [], [1], out).text
    capsys.readouterr()
    done.clear()
    run_unseen(project, "facemesh", [], [1, 2], out)
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("unseen")] == [
        "unseen: fold 1 of 6: seen, seed 1, already done",
        "unseen: fold 2 of 6: without happy, seed 1, already done",
        "unseen: fold 3 of 6: without sad, seed 1, already done",
        "unseen: fold 4 of 6: seen, seed 2",
        "unseen: fold 5 of 6: without happy, seed 2",
        "unseen: fold 6 of 6: without sad, seed 2",
    ]
    assert done.count("train") == 3
    table = pd.read_parquet(out / "facemesh/unseen.parquet")
    assert list(table) == ANSWER_COLUMNS
    assert table.groupby(["fold", "seed", "row_id"]).size().eq(2).all()
    assert table["judge"].unique().tolist() == ["stand-in of the project (small), sha256 ffffffffffff"]
    rows = pd.read_csv(out / "facemesh/unseen.csv").set_index(["seed", "method", "emotion"])
    # of the judge's three emotions
    assert rows.loc[("all", "oracle", "average"), ["n", "seen", "left_out", "times_chance"]].tolist() == [4, 1, 1, 3]
    assert rows.loc[("2", "cmet", "sad"), ["n", "seen", "left_out", "survives"]].tolist() == [1, 1, 0, 0]
    assert (out / "facemesh/unseen.png").stat().st_size > 1000
    assert "| sad " in said
    assert run_unseen(project, "facemesh", [], [1], out).text == said


def test_a_judge_is_called_what_it_is() -> None:
    assert judge_name(CARD) == "stand-in of the project (small), sha256 ffffffffffff"
    released = CARD.model_copy(update={"source": "released checkpoint"})
    assert judge_name(released) == "released checkpoint, sha256 ffffffffffff"


def test_a_training_that_was_killed_goes_on_where_it_was(
    project: Project, really_done: list[str], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(Run, "log_metrics", noting(seen, killed_at=5))
        with pytest.raises(KeyboardInterrupt):
            fold_run(project).run.finish()
    # another fold in between does not clear the unfinished training away
    fold_run(project, emotion="happy").run.finish()
    really_done.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Run, "log_metrics", noting(seen))
        fold_run(project).run.finish()
    assert really_done == ["train", "edits of sad with seed 7", "answers of sad"]
    # the checkpoint is of step 4; after training come the kept weights' metrics and those of the answers
    assert seen == [1, 2, 3, 4, 5, 5, 6, *seen[7:]]
    assert len(seen[7:]) == 2
    names = [name for name in runs(project, store) if "sad" in name]
    assert names == ["facemesh without sad, seed 1"]


def test_what_is_not_there_yet_is_named_with_the_next_step(project: Project) -> None:
    (project.places.folder("judge") / "judge.json").unlink()
    with pytest.raises(UserError, match="data/judge/judge.json: not there yet; run `dvc repro judge`"):
        run_unseen(project, "facemesh", [], [1], project.places.folder("unseen"))
    shutil.rmtree(project.places.folder("expression", "facemesh"))
    with pytest.raises(UserError, match="data/expression/facemesh/codes: not there yet; run `dvc repro expression@"):
        run_unseen(project, "facemesh", [], [1], project.places.folder("unseen"))
    assert not project.places.folder("unseen").exists()


def test_a_judge_of_other_clips_is_refused_before_anything_is_trained(project: Project, done: list[str]) -> None:
    clips = ClipForm.of(project.params.clips).model_copy(update={"fps": 30})
    card = CARD.model_copy(update={"clips": clips})
    write_json(project.places.folder("judge") / "judge.json", card.model_dump())
    with pytest.raises(UserError, match="this judge was trained on clips made with clips.fps 30, not 25"):
        run_unseen(project, "facemesh", [], [1], project.places.folder("unseen"))
    assert done == []


def test_a_seed_that_comes_twice_is_refused(project: Project) -> None:
    with pytest.raises(UserError, match="--seeds 1 2 1: a seed is named twice"):
        run_unseen(project, "facemesh", [], [1, 2, 1], project.places.folder("unseen"))


def test_an_emotion_that_the_corpus_lacks_is_refused_with_those_it_has(project: Project) -> None:
    with pytest.raises(UserError, match=r"have no pairs of joy; leave out some of happy, sad"):
        run_unseen(project, "facemesh", ["sad", "joy"], [1], project.places.folder("unseen"))


def test_two_matrices_of_one_project_wait_for_each_other(project: Project) -> None:
    with (
        project.places.only_run("unseen"),
        pytest.raises(UserError, match="unseen: another run of this stage is at work"),
    ):
        run_unseen(project, "facemesh", [], [1], project.places.folder("unseen"))


def test_all_emotions_of_the_corpus_are_left_out_by_default() -> None:
    known = ["happy", "sad", "fear"]
    assert chosen_emotions([], known) == known
    assert chosen_emotions(["sad", "happy"], known) == ["happy", "sad"]
    with pytest.raises(UserError, match="unseen sad sad: an emotion is named twice"):
        chosen_emotions(["sad", "sad"], known)


def test_an_emotion_counts_if_training_and_test_speakers_have_it() -> None:
    pairs = pd.DataFrame(
        [("train", "sad"), ("test", "sad"), ("train", "fear"), ("test", "happy")], columns=["split", "emotion"]
    )
    assert emotions_of(pairs, ("fear", "happy", "sad")) == ["sad"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"begin_from": "weights/connector/mine"}, "begin_from is weights/connector/mine, which may have seen"),
        ({"excluded_emotions": ["happy"]}, r"excluded_emotions is \['happy'\], so no fold would see them"),
    ],
)
def test_an_experiment_that_has_seen_or_excludes_emotions_by_itself_is_refused(
    params: Params, changes: dict[str, Any], message: str
) -> None:
    train = params.train.model_copy(update=changes)
    with pytest.raises(UserError, match=message):
        check_experiment(params.model_copy(update={"train": train}))


def test_accuracies_have_the_same_names_in_all_folds() -> None:
    rows = pd.DataFrame(
        [("a", "cmet", "sad", True), ("b", "cmet", "happy", False), ("a", "oracle", "sad", True)],
        columns=["row_id", "method", "target", "correct"],
    )
    assert accuracies(rows, "acc_emo") == {
        "n": 2,
        "acc_emo": 0.5,
        "acc_emo/happy": 0,
        "acc_emo/sad": 1,
        "oracle/acc_emo": 1,
    }
    assert accuracies(rows[rows["target"] == "sad"], "acc_emo_held_out") == {
        "n": 1,
        "acc_emo_held_out": 1,
        "oracle/acc_emo_held_out": 1,
    }


SHARDS_ON = ["shards", "train", "edits of sad with seed 7", "answers of sad"]


REPEATED = {
    "report/page.py": [],
    "scores/figures.py": [],
    "studies/unseen_table.py": [],
    "backbones/edtalk/decoder.py": [],
    "judge/training.py": [],
    "judge/small.py": SHARDS_ON[3:],
    "edits/methods.py": SHARDS_ON[2:],
    "connector/losses.py": SHARDS_ON[1:],
    "shards.py": SHARDS_ON,
    "pairs/deltas.py": ["deltas", *SHARDS_ON],
    "backbones/facemesh/basis.py": ["expression without sad", "deltas", *SHARDS_ON],
}


def test_a_fold_is_bound_to_the_code_of_each_of_its_steps(
    project: Project, done: list[str], change: Callable[[str], None]
) -> None:
    fold_run(project).run.finish()
    found = {}
    for changed, repeated in REPEATED.items():
        done.clear()
        change(changed)
        fold = fold_run(project)
        assert fold.run.is_finished == (not repeated), changed
        fold.run.finish()
        found[changed] = [*done]
    assert found == REPEATED
