"""By what commits are compared: a few numbers by flat names and small tables, for `dvc metrics` and `dvc plots`.

Git keeps them. They are rounded, so that last digits of another processor are no difference, and have no seconds: all
is the same in every run of a seed.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cmet.clips.product import Clips
from cmet.connector.product import Model
from cmet.judge.product import JudgeFolder
from cmet.outputs import fresh_folder, write_json
from cmet.report.page import Reported
from cmet.scores.measured import MethodScores
from cmet.scores.product import Scores
from cmet.vocabulary import GROUND_TRUTH, METHODS, in_order

NUMBERS = "report.json"
CURVES, EMOTIONS, CONFUSION = "curves", "emotions", "confusion"
ALL = "all"
"""Stands for the emotions that were trained on, together."""


def write_compared(
    backbones: Mapping[str, Reported], clips: Clips, judge: JudgeFolder, metrics: Path, plots: Path
) -> None:
    """Write what commits are compared by.

    Args:
        backbones: What there is of each scored backbone, by name.
        clips: The prepared clips.
        judge: Who named the emotions.
        metrics: Gets `report.json`: numbers by flat names, each beginning with its backbone if it has one.
        plots: Gets a folder per kind: `curves` (step, train, val), `emotions` (emotion, accuracy) and `confusion`
            (target, answer: a row per clip), each with files named by backbone and method.
    """
    num_quarantined = int((clips.table["status"] != "ok").sum())
    numbers: dict[str, float | None] = {
        "num_clips": len(clips.table) - num_quarantined,
        "num_quarantined": num_quarantined,
        "judge.acc_val": _share(judge.card.acc_val),
    }
    with (
        fresh_folder(plots / CURVES) as curves,
        fresh_folder(plots / EMOTIONS) as emotions,
        fresh_folder(plots / CONFUSION) as confusion,
    ):
        for name, made in backbones.items():
            numbers |= {f"{name}.{key}": value for key, value in _numbers(made).items()}
            _write(loss_curves(made.model), curves / f"{name}.csv")
            measured = made.scores.metrics
            for method in METHODS:
                if method in measured.methods:
                    held_out = measured.held_out_methods.get(method)
                    _write(emotion_accuracies(measured.methods[method], held_out), emotions / f"{name}-{method}.csv")
            _write(answers_of(made.scores, "cmet"), confusion / f"{name}-cmet.csv")
    write_json(metrics / NUMBERS, {key: value for key, value in numbers.items() if value is not None})


def loss_curves(model: Model) -> pd.DataFrame:
    """Losses by step: a row per validation, with the mean training loss since the one before.

    Without validation there is a row per logged step, and no column `val`.
    """
    history = model.history
    train, val = (
        history[history["metric"] == f"{split}/total"].set_index("step")["value"] for split in ("train", "val")
    )
    if val.empty:
        return pd.DataFrame({"step": train.index, "train": train.to_numpy()})
    # the weights that training begins with are validated too, before any step
    val = val[val.index > 0]
    ends = val.index[val.index.searchsorted(train.index[train.index <= val.index.max()])]
    means = train[train.index <= val.index.max()].groupby(ends.to_numpy()).mean()
    return pd.DataFrame({"train": means, "val": val}).dropna().rename_axis("step").reset_index()


def emotion_accuracies(scores: MethodScores, held_out: MethodScores | None) -> pd.DataFrame:
    """Accuracy by emotion, the one that was held out marked by a star, and over all that were trained on."""
    values = {ALL: scores.acc_emo, **scores.per_emotion}
    values |= {f"{emotion} *": value for emotion, value in (held_out.per_emotion if held_out else {}).items()}
    return pd.DataFrame({"emotion": list(values), "accuracy": list(values.values())})


def answers_of(scores: Scores, method: str) -> pd.DataFrame:
    """What the judge said of each clip of a method: `target` and `answer`."""
    said = scores.answers[scores.answers["method"] == method]
    return pd.DataFrame({"target": said["emotion"], "answer": said["predicted"].fillna("failed")})


def _numbers(made: Reported) -> dict[str, float | None]:
    measured, held_out = made.scores.metrics, made.scores.metrics.held_out
    methods = measured.methods
    found: dict[str, float | None] = {
        f"acc_emo.{'true_clips' if method == GROUND_TRUTH else method}": _share(scores.acc_emo)
        for method, scores in in_order(methods).items()
    }
    if "cmet" in methods:
        low, high = methods["cmet"].interval
        found |= {"acc_emo.cmet_low": _share(low), "acc_emo.cmet_high": _share(high)}
    return found | {
        "held_out": _share(held_out.acc_emo) if held_out else None,
        "num_rows": max(scores.n for scores in methods.values()) + (held_out.n if held_out else 0),
        "num_failed": sum(scores.num_failed for scores in (*methods.values(), *measured.held_out_methods.values())),
        "val_delta_mse": _kept_error(made.model),
    }


def _kept_error(model: Model) -> float | None:
    """Error of the kept weights on the pairs of the validation speakers; None without such."""
    history = model.history
    found = history[(history["metric"] == "val/delta_mse") & (history["step"] == model.config.step)]["value"]
    return None if found.empty else float(f"{found.iloc[-1]:.3g}")


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _write(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, float_format="%.4g", lineterminator="\n")
