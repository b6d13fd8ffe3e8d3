"""Scores of edited clips: accuracy of emotion per method, with its uncertainty, its ceiling and its floor.

The rules are those of the paper where it has some (micro-averaged accuracy, mean of frame logits) and stricter
where it is silent: a clip that could not be made or read stays in the denominator as wrong, intervals are
clustered by (speaker, sentence), and the held-out emotion is counted apart.
"""

# R rows, K clusters, B bootstrap resamples

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cmet.errors import ClipError, UserError
from cmet.evaluation.card import read_card
from cmet.evaluation.protocol import CHANCE, EDITS, GROUND_TRUTH, METHODS, METRICS, PREDICTIONS, video_path
from cmet.outputs import fresh_folder, write_json
from cmet.params import TARGET_EMOTIONS, EvaluateParams

if TYPE_CHECKING:
    from cmet.evaluation.judge import Judge

ROW_COLUMNS = [
    "row_id",
    "method",
    "speaker",
    "sentence",
    "emotion",
    "intensity",
    "source_clip",
    "target_clip",
    "is_held_out",
]


@dataclass(frozen=True)
class EvaluationReport:
    """What came out of scoring one backbone."""

    num_rows: int
    """Rows per method, the held-out emotion included."""
    num_failed: int
    """Clips over all methods that could not be made or read; they count as wrong."""
    acc_emo: dict[str, float]
    """Accuracy per method over the emotions that were trained on."""
    held_out_acc_emo: float | None
    """Accuracy of `cmet` on the held-out emotion."""


def score_edits(
    edits_folder: Path, clips_folder: Path, judge_folder: Path, out: Path, params: EvaluateParams, seed: int
) -> EvaluationReport:
    """Let the judge name every edited clip and every true target clip, and write predictions and metrics.

    Args:
        edits_folder: Holds `edits.parquet` and the videos it names.
        clips_folder: The prepared clips, for the true targets.
        judge_folder: What `train_judge` wrote.
        out: Gets `predictions.parquet` (one row per clip and method) and `metrics.json`.
        params: The `evaluate` section of params.yaml.
        seed: Of the bootstrap.

    Raises:
        UserError: There is no judge or there are no edits, or methods edited different rows.
    """
    # imported here: reading scores must not wait for torch
    from cmet.evaluation.judge import Judge

    edits = read_edits(edits_folder)
    predictions = predict(edits, edits_folder, clips_folder, Judge.load(judge_folder))
    metrics = measure(predictions, params, seed) | {"judge_sha256": read_card(judge_folder).sha256}
    with fresh_folder(out) as folder:
        predictions.to_parquet(folder / PREDICTIONS, index=False)
        write_json(folder / METRICS, metrics)
    return EvaluationReport(
        num_rows=edits["row_id"].nunique(),
        num_failed=int(predictions["predicted"].isna().sum()),
        acc_emo={name: scores["acc_emo"] for name, scores in metrics["methods"].items()},
        held_out_acc_emo=metrics["held_out"]["acc_emo"] if metrics["held_out"] else None,
    )


def read_edits(folder: Path) -> pd.DataFrame:
    """The table of edited clips, methods in the order of `METHODS`.

    Raises:
        UserError: There is no table, it is empty, or the methods did not edit the same rows.
    """
    if not (folder / EDITS).is_file():
        raise UserError(f"{folder}: no edits.parquet; run 'cmet edits'")
    edits = pd.read_parquet(folder / EDITS)
    if edits.empty:
        raise UserError(
            f"{folder}: edits.parquet has no rows, so there is nothing to score; see the counts of 'cmet edits'"
        )
    rows = {str(method): frozenset(part["row_id"]) for method, part in edits.groupby("method")}
    if len(set(rows.values())) > 1 or edits.duplicated(["row_id", "method"]).any():
        counts = ", ".join(f"{method} {len(ids)}" for method, ids in sorted(rows.items()))
        raise UserError(f"{folder}: every method must edit the same rows once, found {counts}; run 'cmet edits' again")
    rank = edits["method"].map({method: place for place, method in enumerate(METHODS)}).fillna(len(METHODS))
    return edits.assign(rank=rank).sort_values(["rank", "method", "row_id"]).drop(columns="rank").reset_index(drop=True)


def predict(edits: pd.DataFrame, edits_folder: Path, clips_folder: Path, judge: "Judge") -> pd.DataFrame:
    """What the judge says of every edited clip, and of the true target of every row.

    Returns:
        The row columns with `predicted` (null when there is no readable clip), `correct`, `reason` and
        `logits` (null likewise).
    """
    rows = edits.drop_duplicates("row_id")
    paths = [None if pd.isna(video) else edits_folder / video for video in edits["video"]]
    reasons = [None if pd.isna(reason) else str(reason) for reason in edits["reason"]]
    truth_paths = [video_path(clips_folder, clip_id) for clip_id in rows["target_clip"]]

    clips = pd.concat([edits[ROW_COLUMNS], rows[ROW_COLUMNS].assign(method=GROUND_TRUTH)], ignore_index=True)
    answers = _answers([*paths, *truth_paths], [*reasons, *([None] * len(rows))], judge)
    predicted = [None if isinstance(a, str) else TARGET_EMOTIONS[int(a.argmax())] for a in answers]
    return clips.assign(
        predicted=pd.Series(predicted, dtype=object),
        correct=[said == truth for said, truth in zip(predicted, clips["emotion"], strict=True)],
        reason=pd.Series([a if isinstance(a, str) else None for a in answers], dtype=object),
        logits=pd.Series([None if isinstance(a, str) else a.astype(np.float32) for a in answers], dtype=object),
    )


def _answers(paths: list[Path | None], reasons: list[str | None], judge: "Judge") -> list[np.ndarray | str]:
    """Logits per clip, or the reason why there are none; each file is judged once."""
    files = list(dict.fromkeys(path for path in paths if path is not None))
    said = dict(zip(files, judge.classify_clips(files, "evaluate"), strict=True))
    answers: list[np.ndarray | str] = []
    for path, reason in zip(paths, reasons, strict=True):
        answer = said[path] if path is not None else reason or "not made"
        answers.append(str(answer) if isinstance(answer, ClipError) else answer)
    return answers


def measure(predictions: pd.DataFrame, params: EvaluateParams, seed: int) -> dict[str, Any]:
    """All metrics of one backbone as plain values.

    The main part counts the emotions that were trained on; `held_out` the one that was not, where the judge
    may still answer with any of its classes.
    """
    main = predictions[~predictions["is_held_out"]]
    held_out = predictions[predictions["is_held_out"]]
    draw = ClusterBootstrap(params, seed)
    return {
        "methods": _measure_methods(main, draw),
        "comparisons": _compare(main, draw),
        "chance": CHANCE,
        "floor": constant_floor(main[main["method"] == GROUND_TRUTH]),
        "num_clusters": _clusters(main)[1],
        "held_out": _measure_held_out(held_out, draw),
        "confidence": params.confidence,
        "num_bootstrap": params.num_bootstrap,
    }


class ClusterBootstrap:
    """Percentile intervals that resample whole (speaker, sentence) clusters.

    Clips of one speaker and sentence share their source and are no independent trials. With few clusters the
    interval is still a little narrow.
    """

    def __init__(self, params: EvaluateParams, seed: int) -> None:
        """Keep the number of resamples, the confidence and the seed; each interval draws anew from the seed."""
        self.params = params
        self.seed = seed

    def interval(self, rows: pd.DataFrame, values: np.ndarray) -> tuple[float, float]:
        """Interval of the mean of one value per row, shape (R,)."""
        codes, num_clusters = _clusters(rows)
        sums_K = np.bincount(codes, weights=values, minlength=num_clusters)
        counts_K = np.bincount(codes, minlength=num_clusters)
        rng = np.random.default_rng([self.seed, num_clusters])
        taken_BK = rng.multinomial(num_clusters, np.full(num_clusters, 1 / num_clusters), self.params.num_bootstrap)
        means_B = (taken_BK @ sums_K) / (taken_BK @ counts_K)
        tail = (1 - self.params.confidence) / 2
        low, high = np.quantile(means_B, [tail, 1 - tail])
        return float(low), float(high)


def _measure_methods(predictions: pd.DataFrame, draw: ClusterBootstrap) -> dict[str, Any]:
    return {str(name): _scores(rows, draw) for name, rows in predictions.groupby("method", sort=False)}


def _measure_held_out(predictions: pd.DataFrame, draw: ClusterBootstrap) -> dict[str, Any] | None:
    if predictions.empty:
        return None
    methods = _measure_methods(predictions, draw)
    driven = methods.get("cmet", {"acc_emo": None, "interval": None, "n": 0})
    return {
        "emotion": predictions["emotion"].iloc[0],
        "acc_emo": driven["acc_emo"],
        "interval": driven["interval"],
        "n": driven["n"],
        "chance": CHANCE,
        "methods": methods,
    }


def _scores(rows: pd.DataFrame, draw: ClusterBootstrap) -> dict[str, Any]:
    correct = rows["correct"].to_numpy(float)
    per_emotion = {emotion: _share(part) for emotion, part in rows.groupby("emotion")}
    return {
        "acc_emo": float(correct.mean()),
        "acc_emo_macro": float(np.mean([share["acc_emo"] for share in per_emotion.values()])),
        "interval": list(draw.interval(rows, correct)),
        "n": len(rows),
        "num_correct": int(correct.sum()),
        "num_failed": int(rows["predicted"].isna().sum()),
        "coverage": float(rows["predicted"].notna().mean()),
        "per_emotion": {emotion: share["acc_emo"] for emotion, share in per_emotion.items()},
        "per_emotion_n": {emotion: share["n"] for emotion, share in per_emotion.items()},
        "per_level": {
            _level(level): _share(part)["acc_emo"] for level, part in rows.groupby("intensity", dropna=False)
        },
        "confusion": confusion(rows),
    }


def _level(intensity: Any) -> str:
    return "unspecified" if pd.isna(intensity) else f"level_{intensity}"


def _share(rows: pd.DataFrame) -> dict[str, Any]:
    return {"acc_emo": float(rows["correct"].mean()), "n": len(rows)}


def _compare(predictions: pd.DataFrame, draw: ClusterBootstrap) -> dict[str, Any]:
    """How far `cmet` is from each other method on the same rows, as a difference of accuracies."""
    table = predictions.pivot(index="row_id", columns="method", values="correct").astype(float)
    if "cmet" not in table:
        return {}
    rows = predictions.drop_duplicates("row_id").set_index("row_id").loc[table.index]
    comparisons = {}
    for method in table.columns.drop("cmet"):
        gain = (table["cmet"] - table[method]).to_numpy()
        comparisons[f"cmet-{method}"] = {"difference": float(gain.mean()), "interval": list(draw.interval(rows, gain))}
    return comparisons


def confusion(rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Counts of what was said for each true emotion; `failed` counts the clips without an answer."""
    said = rows["predicted"].fillna("failed")
    columns = [*TARGET_EMOTIONS, "failed"] if (said == "failed").any() else list(TARGET_EMOTIONS)
    table = pd.crosstab(rows["emotion"], said).reindex(columns=columns, fill_value=0)
    return {
        str(emotion): {str(name): int(count) for name, count in counts.items()}
        for emotion, counts in table.to_dict("index").items()
    }


def constant_floor(rows: pd.DataFrame) -> dict[str, Any]:
    """The best accuracy that the same answer for every clip can reach, and that answer."""
    shares = rows["emotion"].value_counts(normalize=True).sort_index(kind="stable")
    return {"acc_emo": float(shares.max()), "answer": str(shares.idxmax())}


def not_whole(percentages: Iterable[float], num_rows: int) -> list[float]:
    """The printed percentages (two decimals) that no whole number of correct rows out of `num_rows` can give."""
    slack = 0.005 * num_rows / 100 + 1e-9
    return [value for value in percentages if abs(value * num_rows / 100 - round(value * num_rows / 100)) > slack]


def _clusters(rows: pd.DataFrame) -> tuple[np.ndarray, int]:
    """A number per row that says to which (speaker, sentence) it belongs, shape (R,), and how many there are."""
    codes = rows.groupby(["speaker", "sentence"]).ngroup().to_numpy()
    return codes, int(codes.max()) + 1 if len(codes) else 0
