"""The whole line on a tiny sample corpus: every stage does its real work, only smaller."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from cmet.backbones.registry import load_backbone
from cmet.closure import EXEMPT, PACKAGE, closure
from cmet.connector.bundle import load_bundle
from cmet.media.sound import read_sound
from cmet.media.video import read_video
from cmet.outputs import content_digest
from cmet.project import Project
from cmet.scores.product import Scores
from cmet.stages.registry import STAGES, run_stage
from cmet.studies.ablations import run_sweep
from cmet.studies.folds import Fold, FoldInputs, FoldRun
from cmet.studies.runner import Study
from cmet.studies.variants import leaving_out, read_variants
from tests.clip_maps import without_workers

ROOT = Path(__file__).parents[1]


def variants(project: Project, name: str) -> list[str | None]:
    per = STAGES[name].per
    lists: dict[str, list[str | None]] = {
        "project": [None],
        "encoder": [*project.params.speech_encoders],
        "backbone": [*project.params.backbones],
    }
    return lists[per]


@pytest.fixture(scope="module")
def project(small_line: Path, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which every stage has run."""
    root = shutil.copytree(small_line / "project", tmp_path_factory.mktemp("line") / "project")
    shutil.copy(empty_store, root / "mlflow.db")
    return Project.at(root / "params.yaml")


@pytest.fixture(scope="module")
def opened(small_line: Path) -> dict[str, list[str]]:
    """The files of the package that each stage has opened."""
    files: dict[str, list[str]] = json.loads((small_line / "opened.json").read_text(encoding="utf-8"))
    return files


def test_no_stage_opens_a_file_of_ours_that_its_closure_lacks(opened: dict[str, list[str]]) -> None:
    lacking = {}
    for step, files in opened.items():
        name, _, variant = step.partition("@")
        found = closure(STAGES[name].module, (variant,) if variant else ())
        known = {file.relative_to(PACKAGE).as_posix() for file in found.files} | {f"{module}.py" for module in EXEMPT}
        unknown = [file for file in files if file not in known and not _is_empty(PACKAGE / file)]
        if unknown:
            lacking[step] = unknown
    assert not lacking
    assert len(opened) == len(STAGES)


def test_every_stage_opens_code_of_its_own(opened: dict[str, list[str]]) -> None:
    # a trace that sees nothing would find nothing
    assert "corpora/sample/face.py" in opened["sample"]
    assert "backbones/facemesh/warp.py" in opened["edits@facemesh"]
    assert "report/templates/report.html.j2" in opened["report"]
    assert not any("edtalk" in file for files in opened.values() for file in files)


def _is_empty(path: Path) -> bool:
    """Whether a package is nothing but a docstring."""
    return path.name == "__init__.py" and path.read_text().rstrip().endswith('"""')


def test_every_clip_arrives_prepared_with_sound_of_the_same_span(project: Project) -> None:
    clips = project.clips()
    assert len(clips.table) == 3 * 8
    assert (clips.table.status == "ok").all()
    for row in clips.table.iloc[::9].itertuples():
        video = read_video(clips.video(row.clip_id))
        assert video.fps == project.params.clips.fps
        assert video.frames.shape == (row.num_frames, 256, 256, 3)
        assert len(read_sound(clips.sound(row.clip_id), 16_000)) == row.num_frames * 16_000 // video.fps


def test_the_held_out_emotion_reaches_no_training_shard(project: Project) -> None:
    index = project.shards("facemesh").index
    held_out = project.params.held_out_emotion
    assert held_out is not None
    assert not index.key[index.split != "test"].str.contains(held_out).any()
    assert index.key[index.split == "test"].str.contains(held_out).any()


def test_the_bundle_alone_is_enough_to_edit(project: Project) -> None:
    model = project.model("facemesh")
    bundle = load_bundle(model.folder)
    backbone = load_backbone("facemesh", model.backbone, project.root / "none", project.params.inference)
    assert bundle.config.expression_width == backbone.width == 6


def test_all_methods_edit_the_same_neutral_clips(project: Project) -> None:
    edits = project.edits("facemesh")
    assert (edits.table.status == "ok").all()
    assert edits.table.groupby("method").size().to_dict() == {"neutral": 7, "reference": 7, "cmet": 7, "oracle": 7}
    sources = edits.table.pivot(index="row_id", columns="method", values="source_clip")
    assert sources.nunique(axis=1).eq(1).all()
    row = edits.table[edits.table.method == "neutral"].iloc[0]
    shown = read_video(edits.video(row.video)).frames.astype(int)
    source = read_video(project.clips().video(row.source_clip)).frames
    assert np.abs(shown - source).mean() < 2


def test_the_summary_has_the_promised_form(project: Project) -> None:
    report = project.report()
    summary = json.loads(report.summary_file.read_text())
    result = summary["backbones"]["facemesh"]
    for method in ("neutral", "reference", "cmet", "oracle"):
        scores = result["methods"][method]
        low, high = scores["interval"]
        assert 0 <= low <= scores["acc_emo"] <= high <= 1
        assert scores["n"] == 6
        assert project.params.held_out_emotion not in scores["per_emotion"]
    assert result["held_out"]["emotion"] == project.params.held_out_emotion
    assert result["held_out"]["n"] == 1
    assert 0 <= summary["judge"]["acc_ground_truth"] <= 1
    assert summary["seed"] == project.params.seed
    page = report.page.read_text()
    assert "data:video/mp4;base64," in page
    assert 'src="http' not in page


def test_every_stage_leaves_a_report_and_no_unfinished_work(project: Project) -> None:
    for name in STAGES:
        for variant in variants(project, name):
            assert json.loads(project.places.metrics_file(name, variant).read_text())
    assert not list((project.root / ".work").rglob("*.mp4"))
    assert not list((project.root / "data").rglob("*.unfinished*"))


def test_stages_that_run_again_give_the_same_bytes(project: Project) -> None:
    names = ("expression", "deltas", "shards", "train", "timing")
    folders = [project.places.folder(name, "facemesh") for name in names]
    before = [content_digest(folder) for folder in folders]
    with without_workers():
        for name in names:
            run_stage(name, project, "facemesh")
    assert [content_digest(folder) for folder in folders] == before


def test_the_report_written_again_is_the_same_to_the_byte(project: Project) -> None:
    folder = project.report().folder
    before = content_digest(folder)
    run_stage("report", project)
    assert content_digest(folder) == before


def test_a_sweep_scores_the_edits_of_a_variant_and_does_nothing_twice(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    variants = read_variants(project.root / "params.yaml", [ROOT / "experiments/ablations/full.yaml"])
    before = content_digest(project.places.folder("edits", "facemesh"))
    out = project.places.folder("sweep")
    with without_workers():
        said = run_sweep(project, "facemesh", variants, [project.params.seed], out, has_edits=True).text
    assert "acc_emo: 6 test pairs without sad; held out: 1 test pairs of sad" in said
    run = out / "facemesh/full" / f"seed-{project.params.seed}"
    # the same experiment with the same seed is the project's own model
    weights = "connector.safetensors"
    assert (run / "model" / weights).read_bytes() == (project.places.folder("train", "facemesh") / weights).read_bytes()
    own = project.scores("facemesh").metrics.methods["cmet"]
    assert Scores(run / "evaluate").metrics.methods["cmet"] == own
    assert json.loads((run / "metrics.json").read_text())["acc_emo"] == own.acc_emo
    # the clips go once they are scored
    assert sorted(path.name for path in run.iterdir()) == ["evaluate", "made_of.json", "metrics.json", "model"]
    capfd.readouterr()
    assert run_sweep(project, "facemesh", variants, [project.params.seed], out, has_edits=True).text == said
    assert capfd.readouterr().out.count("already done") == 1
    run_sweep(project, "facemesh", variants, [project.params.seed], out, has_edits=False)
    assert capfd.readouterr().out.count("already done") == 1
    assert content_digest(project.places.folder("edits", "facemesh")) == before
    assert not list((project.root / ".work").rglob("*.mp4"))


def test_a_fold_without_the_projects_own_held_out_emotion_is_the_project_again(project: Project) -> None:
    before = [content_digest(project.places.folder(name, "facemesh")) for name in ("expression", "train", "edits")]
    emotion, seed = project.params.held_out_emotion, project.params.seed
    study = Study("unseen", project, "facemesh", [seed], project.places.folder("unseen"))
    fold = Fold(study, leaving_out(project.params, emotion), FoldInputs.of(project, "facemesh"))
    run = FoldRun(fold, seed)
    run.run.finish()
    for name in ("codes", "model"):
        own = project.places.folder("expression", "facemesh") / name
        assert content_digest(run.out.parent / "expression" / name) == content_digest(own)
    weights = "connector.safetensors"
    assert (run.out / "train" / weights).read_bytes() == (
        project.places.folder("train", "facemesh") / weights
    ).read_bytes()
    answers = run.answers()
    assert answers.groupby("method").size().to_dict() == {"reference": 1, "cmet": 1, "oracle": 1}
    assert answers["target"].eq(emotion).all()
    assert answers["predicted"].notna().all()
    assert FoldRun(fold, seed).run.is_finished
    assert [
        content_digest(project.places.folder(name, "facemesh")) for name in ("expression", "train", "edits")
    ] == before
    assert not list((project.root / ".work").rglob("*.mp4"))
