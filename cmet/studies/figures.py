"""The figures of studies: what each layer changes, and what is right of an emotion that was seen or left out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from cmet.scores.figures import COLOURS, INK, STYLE
from cmet.studies.ablation_table import HEADLINES, PERCENT, AblationLabels
from cmet.studies.unseen_table import METHOD, UnseenLabels
from cmet.studies.variants import FULL

SHOWN = ("acc_emo", "val/delta_cosine", "val/delta_mse")
"""Panels of an ablation."""

BAR = 0.38
SIDES: Mapping[str, Mapping[str, Any]] = {
    "seen": {"color": COLOURS[METHOD], "alpha": 0.4, "label": "cmet, emotion seen"},
    "left_out": {"color": COLOURS[METHOD], "label": "cmet, emotion left out"},
}


def ablation_figure(table: pd.DataFrame, summary: pd.DataFrame, labels: AblationLabels) -> Figure:
    """One panel per headline metric: a point and an interval per layer, small dots for the seeds."""
    layers = list(summary["layer"].unique())
    shown = [metric for metric in SHOWN if metric in set(summary["metric"])]
    with rc_context(STYLE):
        figure = Figure((3.4 * len(shown) + 1.6, 0.3 * len(layers) + 1.7), layout="constrained")
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, shown, strict=True):
            factor = 100 if metric in PERCENT else 1
            runs = table[table["metric"] == metric]
            axes.plot(factor * runs["value"], runs["layer"].map(layers.index), ".", color=INK, alpha=0.5, markersize=4)
            means = summary[summary["metric"] == metric].set_index("layer")[["mean", "low", "high"]] * factor
            for place, layer in enumerate(layers):
                colour = COLOURS["reference" if layer == FULL else "cmet"]
                axes.hlines(place, means["low"][layer], means["high"][layer], color=colour, linewidth=1.8)
                axes.plot(means["mean"][layer], place, "o", color=colour, markersize=5)
            if FULL in layers:
                axes.axvline(means["mean"][FULL], color=INK, linestyle=":", linewidth=1)
            axes.set(title=HEADLINES[metric], xlabel=labels.subset(metric))
            axes.grid(axis="x")
        panels[0].set_yticks(range(len(layers)), layers)
        panels[0].invert_yaxis()
        intervals = f", {100 * labels.confidence:g} % t-intervals" if len(labels.seeds) > 1 else ""
        judge = f"; judge: {labels.judge_name}" if labels.judge_name else ""
        figure.suptitle(
            f"{labels.corpus}, {labels.backbone}: means over {len(labels.seeds)} training seed(s){intervals}{judge}",
            fontsize=9.5,
        )
        return figure


def unseen_figure(summary: pd.DataFrame, labels: UnseenLabels) -> Figure:
    """Two bars with intervals per emotion and for their average, the oracle of the same fold, and chance."""
    shown = summary[summary["seed"] == summary["seed"].iloc[0]]
    own = shown[shown["method"] == METHOD].set_index("emotion")
    oracle = shown[shown["method"] == "oracle"].set_index("emotion")["left_out"][own.index]
    places = np.arange(len(own))
    with rc_context(STYLE):
        figure = Figure((max(8.2, 1.15 * len(own) + 1.8), 3.8), layout="constrained")
        axes = figure.subplots()
        marks: list[Any] = []
        for side, (name, look) in zip((-0.5, 0.5), SIDES.items(), strict=True):
            at = places + side * BAR
            marks.append(axes.bar(at, 100 * own[name], 0.92 * BAR, **look))
            axes.vlines(at, 100 * own[f"{name}_low"], 100 * own[f"{name}_high"], color=INK, linewidth=1.6)
        at = places + 0.5 * BAR
        marks += axes.plot(
            at, 100 * oracle, "D", color=COLOURS["oracle"], markersize=5, label="oracle, emotion left out"
        )
        marks.append(axes.axhline(100 / labels.num_classes, color=INK, linestyle=":", linewidth=1.4, label="chance"))
        # the average is no emotion
        axes.axvline(len(own) - 1.5, color=INK, linewidth=0.8, alpha=0.5)
        axes.set_xticks(places, [f"{emotion}\nn {num}" for emotion, num in own["n"].items()])
        axes.set(ylim=(0, 108), yticks=range(0, 101, 20), ylabel="accuracy of emotion, %")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        figure.legend(handles=marks, loc="outside lower center", ncols=4, fontsize=8.5)
        seeds = ", ".join(map(str, labels.seeds))
        figure.suptitle(
            f"{labels.corpus}, {labels.backbone}, {labels.protocol}; training seed(s) {seeds}; judge: {labels.judge}\n"
            f"{labels.interval}",
            fontsize=9,
        )
        return figure
