"""The summary of a sweep, what is printed and the figure, on hand-made metrics."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cmet.studies.ablation_table import AblationLabels, ablation_summary, long_table, printed_ablations, t_interval
from cmet.studies.figures import ablation_figure

JUDGE = "stand-in of the project (small), sha256 ffff"
LABELS = AblationLabels("sample", "facemesh", "sad", JUDGE, [1, 2, 3], 0.95, {"full": ("same",)})
ACCURACIES = {"full": [0.60, 0.70, 0.80], "mse": [0.55, 0.60, 0.80]}


@pytest.fixture
def table() -> pd.DataFrame:
    """Three seeds of two layers."""
    counts = {"n": 96.0, "n_held_out": 16.0, "acc_emo_low": 0.1, "train/total": 0.5, "val/delta_cosine_happy": 0.1}
    return long_table(
        [
            (name, seed, counts | {"acc_emo": value, "acc_emo_held_out": value, "val/delta_mse": 1 - value})
            for name, values in ACCURACIES.items()
            for seed, value in enumerate(values, 1)
        ],
        LABELS,
    )


def test_intervals_over_seeds_are_those_of_student(table: pd.DataFrame) -> None:
    summary = ablation_summary(table, LABELS).set_index(["metric", "layer"])
    row = summary.loc["acc_emo", "mse"]
    low, high = stats.ttest_1samp(ACCURACIES["mse"], 0).confidence_interval(0.95)
    assert (row["mean"], row["low"], row["high"]) == pytest.approx((0.65, low, high))
    # by hand: 4.3027 is the 97.5 % point with two degrees of freedom
    assert row["high"] - row["mean"] == pytest.approx(4.3027 * np.std(ACCURACIES["mse"], ddof=1) / 3**0.5, rel=1e-4)


def test_differences_to_full_are_taken_seed_by_seed(table: pd.DataFrame) -> None:
    shuffled = table.sample(frac=1, random_state=0)
    summary = ablation_summary(shuffled, LABELS).set_index(["metric", "layer"])
    row = summary.loc["acc_emo", "mse"]
    paired = stats.ttest_rel(ACCURACIES["mse"], ACCURACIES["full"])
    low, high = paired.confidence_interval(0.95)
    assert (row["minus_full"], row["minus_full_low"], row["minus_full_high"]) == pytest.approx((-0.05, low, high))
    assert summary.loc["acc_emo", "full"][["minus_full", "minus_full_low", "minus_full_high"]].isna().all()


def test_one_seed_has_no_interval(table: pd.DataFrame) -> None:
    summary = ablation_summary(table[table["seed"] == 1], LABELS).set_index(["metric", "layer"])
    row = summary.loc["acc_emo", "mse"]
    assert row["mean"] == 0.55
    assert row["minus_full"] == pytest.approx(-0.05)
    assert row[["low", "high", "minus_full_low", "minus_full_high"]].isna().all()
    assert np.isnan(t_interval(np.array([1.0]), 0.95)).all()


def test_every_number_says_what_it_was_measured_on(table: pd.DataFrame) -> None:
    summary = ablation_summary(table, LABELS)
    assert summary.groupby("metric")["subset"].first().to_dict() == {
        "acc_emo": "test pairs without sad",
        "acc_emo_held_out": "test pairs of sad",
        "val/delta_mse": "validation pairs, weights kept",
    }
    judged = summary["metric"].str.startswith("acc")
    assert summary.loc[judged, "judge"].eq(JUDGE).all()
    assert summary.loc[~judged, "judge"].isna().all()
    assert summary["num_seeds"].eq(3).all()
    assert summary["seeds"].eq("1 2 3").all()
    said = printed_ablations(table, summary, LABELS)
    for part in (
        "Corpus sample, backbone facemesh",
        "95 % t-intervals over 3 seeds",
        "96 test pairs without sad; held out: 16 test pairs of sad",
        f"Judge: {JUDGE}. Layers are compared with each other",
        "| full = same | 70.0 (45.2 to 94.8)",
        "| -5.0 (-17.4 to +7.4)",
    ):
        assert part in said


def test_the_figure_has_a_point_for_every_layer_and_metric(table: pd.DataFrame) -> None:
    figure = ablation_figure(table, ablation_summary(table, LABELS), LABELS)
    assert [axes.get_title() for axes in figure.axes] == ["acc_emo, %", "val/delta_mse"]
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["full", "mse"]
    assert "95 % t-intervals" in figure.get_suptitle()
