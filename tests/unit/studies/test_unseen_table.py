"""The summary, what is printed and the figure, on hand-made answers."""

import numpy as np
import pandas as pd
import pytest

from cmet.studies.figures import unseen_figure
from cmet.studies.unseen_table import UnseenLabels, most_frequent_wrong, printed_unseen, unseen_summary
from tests.unit.studies.hand_made import answers, evaluate_params

LABELS = UnseenLabels(
    "sample", "facemesh", True, "stand-in, sha256 ffff", "pool-by-intensity, 10 clips", 7, [1], 0.95, 2000
)


def summary(table: pd.DataFrame, labels: UnseenLabels = LABELS) -> pd.DataFrame:
    return unseen_summary(table, "seen", labels, evaluate_params(), 7)


def test_every_emotion_has_both_accuracies_their_share_and_times_chance() -> None:
    rows = summary(answers()).set_index(["method", "emotion"])
    sad = rows.loc["cmet", "sad"]
    assert sad[["seen", "left_out", "times_chance"]].tolist() == [0.75, 0.25, 1.75]
    assert sad["survives"] == pytest.approx(1 / 3)
    assert sad["times_chance_high"] == pytest.approx(7 * sad["left_out_high"])
    average = rows.loc["cmet", "average"]
    assert average[["n", "num_clusters", "seen", "left_out"]].tolist() == [8, 4, 0.875, 0.375]
    assert average["survives"] == pytest.approx(0.375 / 0.875)
    assert rows.loc["oracle", "sad"]["left_out"] == 1
    assert list(rows.loc["cmet"].index) == ["sad", "happy", "average"]


def test_a_clip_without_an_answer_is_wrong_and_stays_in_the_count() -> None:
    rows = summary(answers()).set_index(["method", "emotion"])
    assert rows.loc["cmet", "sad"]["n"] == 4


def test_what_was_said_most_often_instead_is_named() -> None:
    rows = summary(answers()).set_index(["method", "emotion"])
    assert rows.loc["cmet", "sad"][["wrong_answer", "num_wrong_answer"]].tolist() == ["fear", 2]
    assert rows.loc["oracle", "sad"][["wrong_answer", "num_wrong_answer"]].tolist() == [None, 0]


@pytest.mark.parametrize(
    ("said", "expected"),
    [(["fear", "angry"], ("angry", 1)), ([None, None, "fear"], ("no clip", 2)), (["sad"], (None, 0))],
)
def test_equals_are_told_by_the_alphabet_and_a_missing_clip_is_an_answer(said: list, expected: tuple) -> None:
    table = pd.DataFrame({"predicted": said, "correct": [name == "sad" for name in said]})
    assert most_frequent_wrong(table) == expected


def test_every_row_says_what_it_was_measured_on() -> None:
    rows = summary(answers())
    told = rows[["corpus", "backbone", "judge", "protocol", "seeds"]].drop_duplicates().to_numpy().tolist()
    assert told == [["sample", "facemesh", "stand-in, sha256 ffff", "pool-by-intensity, 10 clips", "1"]]
    assert rows["interval"].unique().tolist() == [
        "95 % percentile bootstrap, 2000 resamples of (speaker, sentence) clusters"
    ]


def test_seeds_are_counted_together_and_each_for_itself() -> None:
    table = answers(seeds=(1, 2))
    table.loc[(table["seed"] == 2) & (table["fold"] == "sad"), "correct"] = False
    labels = UnseenLabels(**vars(LABELS) | {"seeds": [1, 2]})
    rows = summary(table, labels).set_index(["seed", "method", "emotion"])
    assert [rows.loc[seed, "cmet", "sad"]["left_out"] for seed in ("all", "1", "2")] == [0.125, 0.25, 0]
    assert rows.loc["all", "cmet", "sad"][["n", "num_clusters"]].tolist() == [8, 4]
    assert rows["seeds"].unique().tolist() == ["1 2"]
    said = printed_unseen(rows.reset_index(), labels)
    assert "Training seed(s) 1, 2, which change only the first weights, dropout and samples" in said
    assert said.splitlines()[-2].startswith("| 1    | 87.5 (")
    assert said.splitlines()[-1].startswith("| 2    | 87.5 (")


def test_the_printed_table_says_what_its_numbers_are() -> None:
    said = printed_unseen(summary(answers()), LABELS)
    for part in (
        "Corpus sample, backbone facemesh.",
        "left out of expression basis, speech scaling and training",
        "`oracle` in the fold of the emotion, whose basis has not seen the emotion either",
        "Judge: stand-in, sha256 ffff",
        "chance 14.3 %",
        "95 % percentile bootstrap, 2000 resamples of (speaker, sentence) clusters (4 here)",
        "| sad     | 4 | 75.0 (",
        "| fear 2",
        "On average over emotions 37.5 % when left out, 2.62 times chance; target 2.5: reached.",
    ):
        assert part in said
    assert len({len(line) for line in said.splitlines() if line.startswith("|")}) == 1


def test_a_published_backbone_is_not_said_to_be_fitted_without_the_emotion() -> None:
    said = printed_unseen(summary(answers()), UnseenLabels(**vars(LABELS) | {"is_fitted": False}))
    assert "expression basis" not in said
    assert "The published backbone stays as it is, whatever it was trained on." in said
    assert "basis has not seen" not in said


def test_a_share_of_nothing_is_printed_as_absent() -> None:
    table = answers()
    table.loc[(table["method"] == "cmet") & (table["target"] == "sad") & (table["fold"] == "seen"), "correct"] = False
    rows = summary(table)
    assert np.isnan(rows.set_index(["method", "emotion"]).loc["cmet", "sad"]["survives"])
    assert "| 0.0 (0.0 to 0.0)" in printed_unseen(rows, LABELS)
    assert "| absent " in printed_unseen(rows, LABELS)


def test_the_figure_has_two_bars_an_oracle_and_chance_for_every_emotion() -> None:
    figure = unseen_figure(summary(answers()), LABELS)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["sad\nn 4", "happy\nn 4", "average\nn 8"]
    heights = [[bar.get_height() for bar in group] for group in axes.containers]
    assert heights == [[75, 100, 87.5], [25, 50, 37.5]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "cmet, emotion seen",
        "cmet, emotion left out",
        "oracle, emotion left out",
        "chance",
    ]
    for part in (
        "sample, facemesh, pool-by-intensity, 10 clips",
        "seed(s) 1",
        "stand-in, sha256 ffff",
        "95 % percentile",
    ):
        assert part in figure.get_suptitle()
