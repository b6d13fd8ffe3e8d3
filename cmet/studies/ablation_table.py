"""The numbers of a sweep: every one with what it was measured on, and intervals over the seeds of training."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from cmet.studies.variants import FULL
from cmet.text_tables import text_table

HEADLINES = {"acc_emo": "acc_emo, %", "acc_emo_held_out": "held out, %"} | {
    name: name for name in ("val/delta_cosine", "val/delta_mse")
}
"""The metrics of the printed table and the figure, with their headings."""

PERCENT = ("acc_emo", "acc_emo_held_out")
NOT_SUMMARISED = ("acc_emo_low", "acc_emo_high")
"""Ends of the interval over test clips, which is no interval over seeds."""


@dataclass(frozen=True)
class AblationLabels:
    """What a reader has to know of the numbers of a sweep."""

    corpus: str
    backbone: str
    held_out_emotion: str | None
    judge_name: str | None
    """As `cmet.judge.judge_name`; None where nothing was judged."""
    seeds: Sequence[int]
    confidence: float
    same: Mapping[str, Sequence[str]]
    """By layer, the other ones that come to the same values and were not run for themselves."""

    def subset(self, metric: str) -> str:
        """What a metric was measured on."""
        held_out = self.held_out_emotion
        if metric.startswith("train/"):
            return "last training batch"
        if metric.startswith("val/"):
            return "validation pairs, weights kept"
        if metric.endswith("held_out"):
            return f"test pairs of {held_out}"
        return f"test pairs without {held_out}" if held_out else "test pairs"

    def judge(self, metric: str) -> str | None:
        """Who named the emotions of a metric."""
        if metric.startswith(("train/", "val/")) or self.judge_name is None:
            return None
        return self.judge_name


def long_table(runs: Iterable[tuple[str, int, Mapping[str, float]]], labels: AblationLabels) -> pd.DataFrame:
    """One row per layer, seed and metric.

    Args:
        runs: Layer, seed and metrics of each run.
        labels: What the metrics were measured on.
    """
    return pd.DataFrame(
        [
            {
                "corpus": labels.corpus,
                "backbone": labels.backbone,
                "subset": labels.subset(metric),
                "judge": labels.judge(metric),
                "layer": layer,
                "seed": seed,
                "metric": metric,
                "value": float(value),
            }
            for layer, seed, metrics in runs
            for metric, value in metrics.items()
        ]
    )


def ablation_summary(table: pd.DataFrame, labels: AblationLabels) -> pd.DataFrame:
    """Mean over the seeds of each layer and metric, its t-interval, and the paired difference to the layer `full`.

    The interval says how far the mean over seeds of training is known, and nothing of other speakers or test clips.
    The difference is taken seed by seed. Ends of intervals are NaN with fewer than two seeds, differences where
    `full` is not there.
    """
    is_shown = table["metric"].str.startswith("acc_emo") & ~table["metric"].isin(NOT_SUMMARISED)
    shown = table[is_shown | table["metric"].isin(HEADLINES)]
    groups = shown.groupby(["metric", "layer"], sort=False)
    full = shown[shown["layer"] == FULL].set_index(["metric", "seed"])["value"]
    return pd.DataFrame([_summary(part, full.get(part["metric"].iloc[0]), labels) for _, part in groups])


def _summary(part: pd.DataFrame, full: pd.Series | None, labels: AblationLabels) -> dict[str, Any]:
    """One metric of one layer, beside the values of the layer `full` by seed."""
    told = {name: part[name].iloc[0] for name in ("corpus", "backbone", "subset", "judge", "metric", "layer")}
    values = part.set_index("seed")["value"]
    gains = values.iloc[:0] if full is None or told["layer"] == FULL else (values - full).dropna()
    low, high = t_interval(values.to_numpy(), labels.confidence)
    gain_low, gain_high = t_interval(gains.to_numpy(), labels.confidence)
    return told | {
        "same_as": " ".join(labels.same.get(told["layer"], ())),
        "num_seeds": len(values),
        "seeds": " ".join(map(str, values.index)),
        "confidence": labels.confidence,
        "mean": values.mean(),
        "low": low,
        "high": high,
        "minus_full": gains.mean() if len(gains) else np.nan,
        "minus_full_low": gain_low,
        "minus_full_high": gain_high,
    }


def t_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Student's interval of a mean, (NaN, NaN) with fewer than two values."""
    num = len(values)
    if num < 2:
        return np.nan, np.nan
    reach = stats.t.ppf((1 + confidence) / 2, num - 1) * values.std(ddof=1) / np.sqrt(num)
    return float(values.mean() - reach), float(values.mean() + reach)


def printed_ablations(table: pd.DataFrame, summary: pd.DataFrame, labels: AblationLabels) -> str:
    """The headline metrics as a table in Markdown, under what they were measured on."""
    shown = [metric for metric in HEADLINES if metric in set(summary["metric"])]
    has_full = FULL in set(summary["layer"]) and summary["layer"].nunique() > 1
    gain = next(iter(shown), None) if has_full else None
    headings = ["layer", *(HEADLINES[metric] for metric in shown)]
    headings += [f"{HEADLINES[gain].replace(', %', '')} minus {FULL}"] if gain else []
    lines = []
    for layer in summary["layer"].unique():
        part = summary[summary["layer"] == layer].set_index("metric")
        cells = [_interval(part.loc[metric], metric, "mean", "low", "high") for metric in shown]
        if gain:
            names = ("minus_full", "minus_full_low", "minus_full_high")
            cells.append("" if layer == FULL else _interval(part.loc[gain], gain, *names, sign="+"))
        lines.append([" = ".join((layer, *labels.same.get(layer, ()))), *cells])
    return "\n".join([*_said(table, labels), "", text_table(headings, lines)])


def _said(table: pd.DataFrame, labels: AblationLabels) -> list[str]:
    """What the numbers were measured on, in sentences."""
    seeds = ", ".join(map(str, labels.seeds))
    intervals = (
        f"{100 * labels.confidence:g} % t-intervals over {len(labels.seeds)} seeds; they say nothing about other "
        "speakers or test clips."
        if len(labels.seeds) > 1
        else "No intervals, as there is one seed."
    )
    lines = [
        f"Corpus {labels.corpus}, backbone {labels.backbone}. Means over training seeds {seeds}, which change only the "
        "first weights, dropout and samples: clips, split, codes, shards and judge are the same in all runs.",
        intervals,
        "val/: pairs of the validation speakers, with the weights that were kept.",
    ]
    if labels.judge_name:
        num = {
            name: int(table.loc[table["metric"] == name, "value"].max())
            for name in ("n", "n_held_out")
            if (table["metric"] == name).any()
        }
        held_out = f"; held out: {num['n_held_out']} {labels.subset('acc_emo_held_out')}" if "n_held_out" in num else ""
        lines += [
            f"acc_emo: {num['n']} {labels.subset('acc_emo')}{held_out}; method cmet. Judge: {labels.judge_name}. "
            "Layers are compared with each other, not with the paper."
        ]
    return lines


def _interval(row: pd.Series, metric: str, mean: str, low: str, high: str, sign: str = "") -> str:
    factor, form = (100, f"{sign}.1f") if metric in PERCENT else (1, f"{sign}.3f")
    middle = f"{factor * row[mean]:{form}}"
    return middle if np.isnan(row[low]) else f"{middle} ({factor * row[low]:{form}} to {factor * row[high]:{form}})"
