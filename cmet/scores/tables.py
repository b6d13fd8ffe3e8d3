"""From results to tables: every number of a report, with its interval, its ceiling and its floor.

The rules are those of the paper where it has some (micro-averaged accuracy, mean of frame logits) and stricter
where it is silent: a clip that could not be made or read stays in the denominator as wrong, intervals are
clustered by (speaker, sentence), and the held-out emotion is counted apart.
"""

# R rows

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from cmet.params import EvaluateParams
from cmet.scores.intervals import ClusterBootstrap, clusters
from cmet.scores.measured import Floor, Gain, HeldOut, MethodScores, Numbers, Value
from cmet.scores.results import ACC_EMO, LOGIT, answers
from cmet.vocabulary import TARGET_EMOTIONS

FAILED = "failed"
"""Stands for the answer where there is none."""


def measure(results: pd.DataFrame, params: EvaluateParams, seed: int) -> Numbers:
    """All numbers of one set of results.

    The main part counts the emotions that were trained on; `held_out` the one that was not, where the judge
    may still answer with any of its classes.
    """
    main = results[~results.is_held_out.astype(bool)]
    held_out = results[results.is_held_out.astype(bool)]
    said = answers(main)
    draw = ClusterBootstrap(params, seed)
    chance = 1 / results.metric[results.metric.str.startswith(LOGIT)].nunique() if _has_logits(results) else None
    return Numbers(
        methods=_measure_methods(main, draw),
        comparisons=_compare(said, draw),
        chance=chance,
        floor=constant_floor(said.drop_duplicates("row_id")) if len(said) else None,
        num_clusters=clusters(said)[1],
        held_out=_measure_held_out(held_out, draw, chance),
        confidence=params.confidence,
        num_bootstrap=params.num_bootstrap,
        protocol=str(results.protocol.iloc[0]),
    )


def _has_logits(results: pd.DataFrame) -> bool:
    return bool(results.metric.str.startswith(LOGIT).any())


def _measure_methods(results: pd.DataFrame, draw: ClusterBootstrap) -> dict[str, MethodScores]:
    return {str(name): _scores(rows, draw) for name, rows in results.groupby("method", sort=False)}


def _measure_held_out(results: pd.DataFrame, draw: ClusterBootstrap, chance: float | None) -> HeldOut | None:
    if results.empty:
        return None
    methods = _measure_methods(results, draw)
    driven = methods.get("cmet")
    return HeldOut(
        emotion=str(results.emotion.dropna().iloc[0]),
        acc_emo=driven.acc_emo if driven else None,
        interval=driven.interval if driven else None,
        n=driven.n if driven else 0,
        chance=chance,
        methods=methods,
    )


def _scores(results: pd.DataFrame, draw: ClusterBootstrap) -> MethodScores:
    rows = answers(results)
    correct = rows["correct"].to_numpy(float)
    per_emotion = {str(emotion): part for emotion, part in rows.groupby("emotion")}
    shares = {emotion: _share(part) for emotion, part in per_emotion.items()}
    return MethodScores(
        acc_emo=float(correct.mean()),
        acc_emo_macro=float(np.mean(list(shares.values()))),
        interval=draw.interval(rows, correct),
        n=len(rows),
        num_correct=int(correct.sum()),
        num_failed=int(rows["predicted"].isna().sum()),
        coverage=float(rows["predicted"].notna().mean()),
        per_emotion=shares,
        per_emotion_n={emotion: len(part) for emotion, part in per_emotion.items()},
        per_level={_level(level): _share(part) for level, part in rows.groupby("intensity", dropna=False)},
        confusion=confusion(rows),
        metrics=_other_metrics(results, draw),
    )


def _other_metrics(results: pd.DataFrame, draw: ClusterBootstrap) -> dict[str, Value]:
    """Mean and interval of each metric over the clips that have it, or the value that only the set has."""
    others = results[(results.metric != ACC_EMO) & ~results.metric.str.startswith(LOGIT)]
    found: dict[str, Value] = {}
    for name, rows in others.groupby("metric", sort=False):
        measured = rows[np.isfinite(rows.value.to_numpy(float))]
        if measured.empty:
            found[str(name)] = Value(None, None, 0, len(rows))
        elif measured.row_id.isna().all():
            found[str(name)] = Value(float(measured.value.iloc[0]), None, None, 0)
        else:
            numbers = measured.value.to_numpy(float)
            interval = draw.interval(measured, numbers)
            found[str(name)] = Value(float(numbers.mean()), interval, len(measured), len(rows) - len(measured))
    return found


def _level(intensity: Any) -> str:
    return "unspecified" if pd.isna(intensity) else f"level_{intensity}"


def _share(rows: pd.DataFrame) -> float:
    return float(rows["correct"].mean())


def _compare(said: pd.DataFrame, draw: ClusterBootstrap) -> dict[str, Gain]:
    """`cmet` less each other method on the same rows, as a difference of accuracies."""
    table = said.pivot(index="row_id", columns="method", values="correct").astype(float)
    if "cmet" not in table:
        return {}
    comparisons = {}
    for method in table.columns.drop("cmet"):
        both = table[["cmet", method]].dropna()
        if both.empty:
            continue
        rows = said.drop_duplicates("row_id").set_index("row_id").loc[both.index]
        gain = (both["cmet"] - both[method]).to_numpy()
        comparisons[f"cmet-{method}"] = Gain(float(gain.mean()), draw.interval(rows, gain))
    return comparisons


def confusion(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Counts of what was said for each true emotion; `FAILED` counts the clips without an answer."""
    said = rows["predicted"].fillna(FAILED)
    columns = [*TARGET_EMOTIONS, *(name for name in ("neutral", FAILED) if (said == name).any())]
    table = pd.crosstab(rows["emotion"], said).reindex(columns=columns, fill_value=0)
    return {
        str(emotion): {str(name): int(count) for name, count in counts.items()}
        for emotion, counts in table.to_dict("index").items()
    }


def constant_floor(rows: pd.DataFrame) -> Floor:
    """The best accuracy that the same answer for every clip can reach, and that answer."""
    shares = rows["emotion"].value_counts(normalize=True).sort_index(kind="stable")
    return Floor(float(shares.max()), str(shares.idxmax()))


def evaluation_metrics(scores: MethodScores, held_out: MethodScores | None) -> dict[str, float]:
    """The scores of one method under names that are the same for all methods and backbones."""
    values: dict[str, float] = {
        "acc_emo": scores.acc_emo,
        "acc_emo_macro": scores.acc_emo_macro,
        "acc_emo_low": scores.interval[0],
        "acc_emo_high": scores.interval[1],
        "coverage": scores.coverage,
        "n": scores.n,
    }
    values |= {f"acc_emo/{emotion}": value for emotion, value in scores.per_emotion.items()}
    values |= {f"acc_emo/{level}": value for level, value in scores.per_level.items()}
    values |= _measured_values(scores.metrics, "")
    if held_out:
        values["acc_emo_held_out"] = held_out.acc_emo
        values |= _measured_values(held_out.metrics, "_held_out")
    return values


def _measured_values(metrics: Mapping[str, Value], suffix: str) -> dict[str, float]:
    """What was measured; a metric that is absent has no value rather than a zero."""
    return {f"{name}{suffix}": found.value for name, found in metrics.items() if found.value is not None}
