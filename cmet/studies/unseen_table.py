"""The numbers of unseen emotions: every one with what it was measured on."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from cmet.params import EvaluateParams
from cmet.studies.survival import Estimate, paired_answers, survival
from cmet.text_tables import text_table

METHOD = "cmet"
AVERAGE = "average"
"""Stands for the emotion in rows of the average over emotions."""

OVER_SEEDS = "all"
"""Stands for the seed in rows over several seeds."""

TARGET_TIMES_CHANCE = 2.5
"""What the average accuracy on left-out emotions shall reach."""

NO_ANSWER = "no clip"
"""Stands for the answer to a clip that could not be made or read."""


ANSWER_COLUMNS = [
    "corpus",
    "backbone",
    "judge",
    "protocol",
    "fold",
    "seed",
    "row_id",
    "method",
    "speaker",
    "sentence",
    "target",
    "intensity",
    "predicted",
    "correct",
    "reason",
]


@dataclass(frozen=True)
class UnseenLabels:
    """What a reader has to know of the numbers."""

    corpus: str
    backbone: str
    is_fitted: bool
    """Whether the backbone was fitted to the corpus, so that it has not seen the emotion either."""
    judge: str
    """Who named the emotions, with the SHA-256 of its weights."""
    protocol: str
    """Which speech drives the edits."""
    num_classes: int
    """What the judge chooses from."""
    seeds: Sequence[int]
    confidence: float
    num_bootstrap: int

    @property
    def interval(self) -> str:
        """How intervals were made."""
        return (
            f"{100 * self.confidence:g} % percentile bootstrap, {self.num_bootstrap} resamples of (speaker, sentence) "
            "clusters"
        )


def answers_table(answers: pd.DataFrame, labels: UnseenLabels) -> pd.DataFrame:
    """The answers of all folds, one row each, with what they are of."""
    facts = {name: getattr(labels, name) for name in ("corpus", "backbone", "judge", "protocol")}
    return answers.assign(**facts)[ANSWER_COLUMNS]


def unseen_summary(
    answers: pd.DataFrame, seen: str, labels: UnseenLabels, params: EvaluateParams, seed: int
) -> pd.DataFrame:
    """One row per method, emotion and seed; the average over emotions comes last, and all seeds together where several.

    Args:
        answers: Answers of all folds, with the columns fold and seed.
        seen: The fold in which nothing is left out.
        labels: What the answers are of.
        params: The `evaluate` section.
        seed: Of the bootstrap.
    """
    pairs = paired_answers(answers, seen)
    seeds = [str(number) for number in labels.seeds]
    groups = [(OVER_SEEDS, pairs)] if len(seeds) > 1 else []
    groups += [(number, pairs[pairs["seed"].astype(str) == number]) for number in seeds]
    rows = []
    for number, of_seed in groups:
        for method, of_method in of_seed.groupby("method", sort=False):
            parts = [(str(emotion), part) for emotion, part in of_method.groupby("target", sort=False)]
            for emotion, part in [*parts, (AVERAGE, of_method)]:
                told = {"seed": number, "method": str(method), "emotion": emotion}
                rows.append(_label_columns(labels) | told | _numbers(part, labels, params, seed))
    return pd.DataFrame(rows)


def _label_columns(labels: UnseenLabels) -> dict[str, Any]:
    return {
        "corpus": labels.corpus,
        "backbone": labels.backbone,
        "judge": labels.judge,
        "protocol": labels.protocol,
        "seeds": " ".join(map(str, labels.seeds)),
        "interval": labels.interval,
    }


def _numbers(part: pd.DataFrame, labels: UnseenLabels, params: EvaluateParams, seed: int) -> dict[str, Any]:
    found = survival(part, params, seed)
    wrong, num_wrong = most_frequent_wrong(part)
    return {
        "n": found.num_rows,
        "num_clusters": found.num_clusters,
        **_columns("seen", found.seen),
        **_columns("left_out", found.left_out),
        **_columns("survives", found.share),
        **_columns("times_chance", found.left_out.times(labels.num_classes)),
        "wrong_answer": wrong,
        "num_wrong_answer": num_wrong,
    }


def _columns(name: str, estimate: Estimate) -> dict[str, float]:
    return {name if key == "value" else f"{name}_{key}": value for key, value in asdict(estimate).items()}


def most_frequent_wrong(answers: pd.DataFrame) -> tuple[str | None, int]:
    """What was said most often instead of the wanted emotion, the first by the alphabet of several, and how often."""
    wrong = answers.loc[~answers["correct"], "predicted"].fillna(NO_ANSWER)
    counts = wrong.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return (str(counts.index[0]), int(counts.iloc[0])) if len(counts) else (None, 0)


def printed_unseen(summary: pd.DataFrame, labels: UnseenLabels) -> str:
    """What C-MET keeps of every emotion as a table in Markdown, under what it was measured on."""
    seeds = list(summary["seed"].unique())
    shown = summary[summary["seed"] == seeds[0]]
    own = shown[shown["method"] == METHOD]
    oracle = shown[shown["method"] == "oracle"].set_index("emotion")
    headings = ["emotion", "n", "seen, %", "left out, %", "survives, %", "times chance", "said instead", "oracle, %"]
    lines = [
        [
            row["emotion"],
            str(row["n"]),
            _cell(row, "seen", 100),
            _cell(row, "left_out", 100),
            _cell(row, "survives", 100),
            _cell(row, "times_chance", 1),
            f"{row['wrong_answer']} {row['num_wrong_answer']}" if row["num_wrong_answer"] else "-",
            f"{100 * oracle['left_out'][row['emotion']]:.1f}",
        ]
        for row in own.to_dict("records")
    ]
    return "\n".join(
        [
            *_said(own, labels),
            "",
            text_table(headings, lines, numeric=("n", "oracle, %")),
            "",
            _verdict(own[own["emotion"] == AVERAGE].iloc[0], labels),
            *_each_seed(summary, seeds[1:]),
        ]
    )


def _said(own: pd.DataFrame, labels: UnseenLabels) -> list[str]:
    """What the numbers were measured on, in sentences."""
    left_out = "expression basis, speech scaling and training" if labels.is_fitted else "speech scaling and training"
    backbone = "" if labels.is_fitted else " The published backbone stays as it is, whatever it was trained on."
    oracle = "whose basis has not seen the emotion either" if labels.is_fitted else "the true change of the codes"
    seeds = ", ".join(map(str, labels.seeds))
    return [
        f"Corpus {labels.corpus}, backbone {labels.backbone}. `left out`: the emotion was left out of {left_out}, each "
        f"in a fold of its own; `seen`: nothing was.{backbone}",
        f"Training seed(s) {seeds}, which change only the first weights, dropout and samples: clips, split, tracks, "
        "speech and judge are the same in all folds.",
        f"Method {METHOD}, speech by {labels.protocol}; `oracle` in the fold of the emotion, {oracle}. A clip that "
        "could not be made or read is wrong.",
        f"Judge: {labels.judge}, the same in all folds; it chooses from {labels.num_classes} emotions, chance "
        f"{100 / labels.num_classes:.1f} %. Folds are compared with each other, not with the paper.",
        f"Intervals: {labels.interval} ({own['num_clusters'].max()} here), both sides of a ratio drawn together; they "
        "say nothing about other seeds of training.",
    ]


def _verdict(average: pd.Series, labels: UnseenLabels) -> str:
    times, target = average["times_chance"], TARGET_TIMES_CHANCE
    return (
        f"On average over emotions {100 * average['left_out']:.1f} % when left out, {times:.2f} times chance; "
        f"target {target:g}: {'reached' if times >= target else 'missed'}."
    )


def _each_seed(summary: pd.DataFrame, seeds: Sequence[str]) -> list[str]:
    """The average over emotions of each seed, where there are several."""
    is_own = (summary["method"] == METHOD) & (summary["emotion"] == AVERAGE)
    rows = summary[is_own & summary["seed"].isin(seeds)].to_dict("records")
    lines = [[row["seed"], *(_cell(row, name, 100) for name in ("seen", "left_out", "survives"))] for row in rows]
    return ["", text_table(["seed", "seen, %", "left out, %", "survives, %"], lines)] if rows else []


def _cell(row: Any, name: str, factor: float) -> str:
    value, low, high = (factor * row[column] for column in (name, f"{name}_low", f"{name}_high"))
    if np.isnan(value):
        return "absent"
    return f"{value:.1f} (no interval)" if np.isnan(low) else f"{value:.1f} ({low:.1f} to {high:.1f})"
