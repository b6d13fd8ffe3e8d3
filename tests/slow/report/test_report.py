"""The page, the summary and the table."""

import base64
import json
import re
import shutil
from pathlib import Path

import av
import pandas as pd
import pytest

from cmet.connector.product import Model
from cmet.edits.product import TIMING_SCRIPT
from cmet.errors import UserError
from cmet.judge.card import CARD, HISTORY
from cmet.judge.classifier import Judge
from cmet.judge.product import JudgeFolder
from cmet.outputs import write_json
from cmet.params import Params, load_params
from cmet.report.compared import loss_curves, write_compared
from cmet.report.page import Reported, write_report
from cmet.report.printed import print_table
from cmet.report.product import Report
from cmet.scores.evaluate import score_edits
from cmet.scores.product import Scores
from cmet.scores.results import write_results
from tests.unit.conftest import TIMING, Tiny


@pytest.fixture(scope="module")
def params() -> Params:
    """The default experiment with two examples."""
    params = load_params(Path(__file__).parents[3] / "params.yaml")
    return params.model_copy(update={"report": params.report.model_copy(update={"num_examples": 2})})


@pytest.fixture(scope="module")
def scores(tiny: Tiny, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Scores:
    """What the edits of the tiny project are worth, with a metric whose weights are not there."""
    root = tmp_path_factory.mktemp("scores")
    asked = params.evaluate.model_copy(update={"metrics": ["fid"]})
    score_edits(tiny.edits, tiny.clips, Judge.load(tiny.judge.folder), root / "facemesh", asked, 0, root)
    return Scores(root / "facemesh")


def written(tiny: Tiny, scores: Scores, params: Params, out: Path, judge: JudgeFolder | None = None) -> Report:
    """The report of the tiny project."""
    reported = {"facemesh": Reported(scores, tiny.edits, tiny.model, TIMING.timed_sha256)}
    write_report(reported, tiny.clips, judge or tiny.judge, None, out.with_name("others"), params, out)
    return Report(out)


@pytest.fixture(scope="module")
def report(tiny: Tiny, scores: Scores, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of the tiny project; `tests/test_whole_line.py` writes one again and compares."""
    return written(tiny, scores, params, tmp_path_factory.mktemp("report") / "out")


def test_the_page_needs_no_other_file_but_for_the_seconds(report: Report) -> None:
    page = report.page.read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    others = [source for source in sources if not source.startswith(("data:", "#"))]
    assert others == [f"timing/facemesh/{TIMING_SCRIPT}"]


def test_its_videos_play_in_a_browser(report: Report, tmp_path: Path) -> None:
    page = report.page.read_text(encoding="utf-8")
    videos = re.findall(r"data:video/mp4;base64,([A-Za-z0-9+/=]+)", page)
    assert len(videos) == 2
    for video in videos:
        content = base64.b64decode(video)
        assert content.index(b"moov") < content.index(b"mdat")
        (tmp_path / "strip.mp4").write_bytes(content)
        with av.open(str(tmp_path / "strip.mp4")) as container:
            picture = container.streams.video[0].codec_context
            assert (picture.name, picture.pix_fmt) == ("h264", "yuv420p")
            assert picture.width % 2 == picture.height % 2 == 0
            assert container.streams.audio[0].codec_context.name == "aac"
            assert len(list(container.decode(video=0))) == 6


def test_commits_are_compared_by_a_few_flat_numbers_and_tables(tiny: Tiny, scores: Scores, tmp_path: Path) -> None:
    reported = {"facemesh": Reported(scores, tiny.edits, tiny.model, TIMING.timed_sha256)}
    write_compared(reported, tiny.clips, tiny.judge, tmp_path / "metrics", tmp_path / "plots")
    numbers = json.loads((tmp_path / "metrics/report.json").read_text())
    accuracy = scores.metrics.methods["cmet"].acc_emo
    assert numbers["facemesh.acc_emo.cmet"] == round(accuracy, 4)
    assert (numbers["num_clips"], numbers["num_quarantined"], numbers["facemesh.num_rows"]) == (64, 0, 14)
    # one clip was not made
    assert (numbers["facemesh.num_failed"], numbers["facemesh.val_delta_mse"]) == (1, 0.5)
    assert all(isinstance(value, int | float) for value in numbers.values())
    tables = {path.relative_to(tmp_path / "plots").as_posix(): path for path in (tmp_path / "plots").rglob("*.csv")}
    assert sorted(tables) == [
        "confusion/facemesh-cmet.csv", "curves/facemesh.csv", "emotions/facemesh-cmet.csv",
        "emotions/facemesh-neutral.csv",
    ]  # fmt: skip
    emotions = pd.read_csv(tables["emotions/facemesh-cmet.csv"], index_col="emotion").accuracy
    assert emotions["all"] == pytest.approx(accuracy, abs=1e-4)
    assert emotions["disgusted *"] == pytest.approx(scores.metrics.held_out_methods["cmet"].acc_emo, abs=1e-4)
    answers = pd.read_csv(tables["confusion/facemesh-cmet.csv"])
    assert (answers.target == answers.answer).sum() == round(accuracy * 12) + 2
    assert answers.answer.eq("failed").sum() == 1


def test_a_curve_has_a_row_per_validation_with_the_mean_loss_of_training_before_it(tmp_path: Path) -> None:
    logged = [(2, "train", 8.0), (4, "train", 4.0), (5, "val", 3.0), (6, "train", 2.0), (8, "train", 1.0)]
    logged += [(0, "val", 9.0), (8, "val", 2.0)]
    history = pd.DataFrame(logged, columns=["step", "metric", "value"])
    history.assign(metric=history.metric + "/total").to_parquet(tmp_path / "history.parquet")
    assert loss_curves(Model(tmp_path)).to_dict("list") == {"step": [5, 8], "train": [6.0, 1.5], "val": [3.0, 2.0]}
    only_train = history[history.metric == "train"]
    only_train.assign(metric="train/total").to_parquet(tmp_path / "history.parquet")
    assert loss_curves(Model(tmp_path)).to_dict("list") == {"step": [2, 4, 6, 8], "train": [8.0, 4.0, 2.0, 1.0]}


def test_the_summary_has_the_promised_form(report: Report, params: Params) -> None:
    summary = report.summary
    backbone = summary.backbones["facemesh"]
    assert set(backbone.methods) == {"cmet", "neutral"}
    scores = backbone.methods["cmet"]
    assert scores.n == 12
    assert scores.interval[0] <= scores.acc_emo <= scores.interval[1]
    assert len(scores.per_emotion) == 6
    assert backbone.held_out
    assert (backbone.held_out.emotion, backbone.held_out.n) == ("disgusted", 2)
    assert summary.judge.acc_ground_truth is not None
    assert 0 <= summary.judge.acc_ground_truth <= 1
    assert summary.seed == params.seed


def test_labels_say_what_the_figures_are(report: Report) -> None:
    labels = report.summary.backbones["facemesh"].labels
    assert labels.synthetic is True
    assert labels.comparability == "own-protocol"
    assert (labels.lips, labels.backbone_weights) == ("own", ["none, it was fitted on this corpus"])
    assert labels.judge_saw_test_speakers is False
    assert labels.whole_number_check == "passed"
    assert labels.protocol == "pool-by-intensity-00000000"
    assert "unedited clips of 2 training speakers (A, B)" in labels.judge_corpus
    assert "pt_inception" in labels.absent["fid"]
    assert labels.fid_kind is None
    assert labels.rows_planned - labels.rows_scored == len(labels.dropped) == labels.num_dropped == 1


def test_every_wide_table_scrolls_in_its_own_box(report: Report) -> None:
    page = report.page.read_text(encoding="utf-8")
    assert re.search(r"\.scroll \{[^}]*overflow-x: auto", page)
    kinds = re.findall(r'<div class="(\w+)"[^>]*>\s*(?:<h3>\w+</h3>)?<table(?: class="(\w+))?', page)
    assert len(kinds) == page.count("<table") > 5
    # names and what they name stand below each other on a phone
    assert {box for box, kind in kinds if kind != "names"} == {"scroll"}


def test_a_value_of_a_table_that_turns_into_cards_has_its_label(report: Report) -> None:
    page = report.page.read_text(encoding="utf-8")
    tables = re.findall(r'<table class="cards">(.*?)</table>', page, re.DOTALL)
    assert len(tables) == 3
    for table in tables:
        headings = re.findall(r"<th>(.*?)</th>", table.split("</thead>")[0])[1:]
        for row in table.split("<tbody>")[1].split("</tr>")[:-1]:
            labels = re.findall(r'<td data-label="(.*?)"', row)
            assert labels == headings[: len(labels)]
            assert len(labels) == len(re.findall("<td(?! *></td>)", row)) > 0


@pytest.fixture(scope="module")
def other(tiny: Tiny, scores: Scores, params: Params, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the same project with a distance between landmarks and a released judge."""
    root = tmp_path_factory.mktemp("other")
    shutil.copytree(scores.folder, root / "scores")
    metrics = json.loads(scores.metrics_file.read_text())
    measured = {"value": 0.1, "interval": [0.1, 0.2], "n": 12, "num_failed": 0}
    metrics["methods"]["cmet"]["metrics"]["lmd/mouth"] = measured
    write_json(root / "scores/metrics.json", metrics)
    shutil.copytree(tiny.judge.folder, root / "judge")
    tiny.judge.history.head(0).to_parquet(root / "judge" / HISTORY)
    write_json(root / "judge" / CARD, tiny.judge.card.model_dump() | {"acc_train": None, "acc_val": 0.25})
    report = written(tiny, Scores(root / "scores"), params, root / "out", JudgeFolder(root / "judge"))
    return report.page.read_text(encoding="utf-8")


def test_landmark_distances_are_explained_only_where_they_were_measured(report: Report, other: str) -> None:
    assert "Distance between landmarks" not in report.page.read_text(encoding="utf-8")
    assert "Distance between landmarks" in other


def test_a_released_judge_has_an_accuracy_and_no_curve(report: Report, other: str) -> None:
    pages = [report.page.read_text(encoding="utf-8"), other]
    assert ["augmented frames named correctly" in page for page in pages] == [True, False]
    assert ["of its training clips correctly" in page for page in pages] == [True, False]
    assert "It names 25.0 % of the validation speakers’ clips correctly." in pages[1]


def test_a_lost_clip_takes_the_headline_away(report: Report) -> None:
    page = report.page.read_text(encoding="utf-8")
    assert "No headline: 13 of 14 planned rows have a" in page
    assert 'class="tiles"' not in page


def test_the_papers_numbers_are_in_the_page_with_what_is_wrong_with_them(report: Report) -> None:
    page = report.page.read_text(encoding="utf-8")
    for part in (
        "Table 1, MEAD",
        "Table 8, C-MET per emotion, CREMA-D",
        "55.91",
        "1070, 1100, 1127, 1157 rows would fit",
    ):
        assert part in page


def test_the_table_names_methods_failures_and_the_held_out_emotion(report: Report) -> None:
    table = print_table(report.summary)
    first_words = [line.split()[0] for line in table.splitlines()]
    assert first_words[2:6] == ["neutral", "cmet", "judge", "best"]
    assert "1 failed, counted as wrong" in table
    assert "Held out of training: disgusted (chance 14.3%)" in table


def test_a_report_of_two_states_is_refused(tiny: Tiny, scores: Scores, params: Params, tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    shutil.copytree(scores.folder, folder)
    write_results(scores.results.assign(judge="0" * 64), Scores(folder).results_file)
    with pytest.raises(UserError, match="scored by another judge than .*; run 'cmet evaluate'"):
        written(tiny, Scores(folder), params, tmp_path / "out")
    metrics = json.loads(scores.metrics_file.read_text())
    Scores(folder).metrics_file.write_text(json.dumps(metrics | {"protocol": "static-folder-1"}))
    with pytest.raises(UserError, match="scored under static-folder-1; run 'cmet evaluate'"):
        written(tiny, Scores(folder), params, tmp_path / "out")
