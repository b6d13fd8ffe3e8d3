"""The figure of a sweep: each layer's mean over seeds with its interval."""

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from cmet.scores.figures import COLOURS, INK, STYLE
from cmet.sweep.table import HEADLINES, PERCENT, Labels
from cmet.sweep.variants import FULL

SHOWN = ("acc_emo", "val/delta_cosine", "val/delta_mse")


def ablation_figure(table: pd.DataFrame, summary: pd.DataFrame, labels: Labels) -> Figure:
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
