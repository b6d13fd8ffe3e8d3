"""Figures of the report and of the tracked runs, in colours that colour-blind readers can tell apart.

They have no background and a middle-grey ink, so they are readable on light and dark pages; `to_svg` lets the
page choose the ink. A narrow one (`is_narrow`) fits a phone in its own size, so that its letters stay as large.
"""

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from cmet.scores.measured import MethodScores
from cmet.vocabulary import CHANCE, GROUND_TRUTH, METHODS

INK = "#74787e"
COLOURS = {
    "neutral": "#8d939c",
    "reference": "#e69f00",
    "cmet": "#2f86d0",
    "oracle": "#009e73",
    GROUND_TRUTH: "#cc79a7",
}
"""Okabe and Ito's palette, the blue a little lighter for dark pages."""

NAMES = {GROUND_TRUTH: "true clips"}
"""What a method is called in a figure or table, where that is not its own name."""

NARROW_IN = 3.3
"""Width of a narrow figure: a card of the report on a phone."""

STYLE: dict[Any, Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.prop_cycle": f"cycler('color', {[colour for colour in COLOURS.values()]})",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "figure.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "grid.alpha": 0.25,
    "grid.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "text.color": INK,
    # names of folders and files may hold what would be a formula
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


def display_name(method: str) -> str:
    """The method as a reader sees it."""
    return NAMES.get(method, method)


def method_figure(methods: Mapping[str, MethodScores], chance: float = CHANCE, is_narrow: bool = False) -> Figure:
    """Accuracy per method with its interval, the judge on true clips as a line, chance as another."""
    shown = [method for method in METHODS if method in methods]
    if is_narrow:
        return _narrow_method_figure(
            {method: methods[method] for method in (*shown, GROUND_TRUTH) if method in methods}, chance
        )
    with rc_context(STYLE):
        figure, axes = _axes(5.6, 3.0)
        for place, method in enumerate(shown):
            value, (low, high) = 100 * methods[method].acc_emo, np.multiply(100, methods[method].interval)
            axes.bar(place, value, 0.62, color=COLOURS[method])
            axes.vlines(place, low, high, color=INK, linewidth=1.6)
            axes.annotate(f"{value:.1f}", (place, high), (0, 4), textcoords="offset points", ha="center")
        if GROUND_TRUTH in methods:
            ceiling = 100 * methods[GROUND_TRUTH].acc_emo
            _level(axes, ceiling, f"judge on\ntrue clips\n{ceiling:.1f}", COLOURS[GROUND_TRUTH])
        _level(axes, 100 * chance, "chance", INK)
        axes.set_xticks(range(len(shown)), shown)
        axes.set_xlim(-0.6, len(shown) - 0.4)
        _percent(axes)
        return figure


def emotion_figure(methods: Mapping[str, MethodScores], is_narrow: bool = False) -> Figure:
    """Accuracy per emotion, one group of bars per emotion; the groups stand below each other where it is narrow."""
    emotions = sorted({emotion for scores in methods.values() for emotion in scores.per_emotion})
    values = {method: [scores.per_emotion.get(emotion) for emotion in emotions] for method, scores in methods.items()}
    return _grouped_rows(values, emotions) if is_narrow else _grouped_bars(values, emotions)


def level_figure(methods: Mapping[str, MethodScores]) -> Figure:
    """Accuracy per intensity level; narrow."""
    levels = sorted({level for scores in methods.values() for level in scores.per_level})
    values = {method: [scores.per_level.get(level) for level in levels] for method, scores in methods.items()}
    names = [level.replace("_", " ") for level in levels]
    return _grouped_rows(values, names)


DARK_SHARE = 0.45
"""Cells of a confusion matrix with more of their row are dark enough for white numbers."""


def confusion_figure(confusion: Mapping[str, Mapping[str, int]], method: str, is_narrow: bool = False) -> Figure:
    """What the judge said (columns) for each target emotion (rows): counts, shaded by their share of the row."""
    table = pd.DataFrame.from_dict(dict(confusion), orient="index")
    shares = table.div(table.sum(axis=1).clip(lower=1), axis=0).to_numpy()
    with rc_context(STYLE):
        figure, axes = _axes(NARROW_IN if is_narrow else 4.3, 3.5)
        colours = np.empty((*shares.shape, 4))
        colours[..., :3] = to_rgb(COLOURS[method])
        # shaded by transparency: the same picture works on a light and on a dark page
        colours[..., 3] = 0.85 * shares
        axes.pcolormesh(colours, edgecolors="none")
        for (row, column), count in np.ndenumerate(table.to_numpy()):
            if count:
                # grey on the colour itself cannot be read
                ink = "white" if shares[row, column] > DARK_SHARE else INK
                axes.text(column + 0.5, row + 0.5, str(count), ha="center", va="center", color=ink, weight="bold")
        turned: dict[str, Any] = {"rotation": 90} if is_narrow else {"rotation": 40, "ha": "right"}
        axes.set_xticks(np.arange(table.shape[1]) + 0.5, list(table.columns), **turned)
        axes.set_yticks(np.arange(table.shape[0]) + 0.5, list(table.index))
        axes.tick_params(length=0)
        axes.invert_yaxis()
        axes.set(xlabel="the judge says", ylabel="target", title=display_name(method))
        return figure


def curves_figure(history: pd.DataFrame, is_narrow: bool = False) -> Figure:
    """Loss terms of training, error and cosine on the validation speaker (columns step, metric, value)."""
    parts = history.assign(split=history["metric"].str.split("/").str[0], name=history["metric"].str.split("/").str[1])
    losses = parts[parts["split"] == "train"]
    val = parts[parts["split"] == "val"]
    # one line per emotion would hide the summary
    cosines = val[val["name"].str.fullmatch(f"delta_cosine({_BASELINES})?")]
    errors = val[val["name"].str.fullmatch(f"delta_mse({_BASELINES})?")]
    panels = [("training loss", losses), ("validation: error of the delta", errors), ("validation: cosine", cosines)]
    panels = [(title, rows) for title, rows in panels if not rows.empty]
    with rc_context(STYLE):
        number_of = max(1, len(panels))
        rows_columns = (number_of, 1) if is_narrow else (1, number_of)
        size = (NARROW_IN, 2.5 * number_of) if is_narrow else (3.2 * number_of, 2.8)
        figure = Figure(size, layout="constrained")
        if not panels:
            figure.text(0.5, 0.5, "no training step", ha="center")
            return figure
        for axes, (title, rows) in zip(figure.subplots(*rows_columns, squeeze=False).flat, panels, strict=True):
            for number, (name, line) in enumerate(rows.groupby("name", sort=False)):
                label, place = _LINES.get(str(name), (str(name), number))
                colour = [COLOURS["cmet"], COLOURS["reference"], COLOURS["oracle"], COLOURS[GROUND_TRUTH]][place % 4]
                axes.plot(line["step"], line["value"], color=colour, label=label, linewidth=1.5)
            axes.set(title=title, xlabel="step")
            axes.grid(axis="y")
            axes.legend(fontsize=9)
        return figure


_BASELINES = "_zero|_emotion_mean|_nearest"
_LINES = {
    "delta_mse": ("C-MET", 0),
    "delta_mse_zero": ("no change", 1),
    "delta_mse_emotion_mean": ("mean change of the emotion", 2),
    "delta_mse_nearest": ("nearest training speech", 3),
    "delta_cosine": ("C-MET", 0),
    "delta_cosine_emotion_mean": ("mean change of the emotion", 2),
    "delta_cosine_nearest": ("nearest training speech", 3),
}
"""Label and colour."""


def judge_figure(history: pd.DataFrame) -> Figure:
    """Accuracy of the judge on its augmented training frames, per epoch."""
    line = history[history["metric"] == "acc"]
    with rc_context(STYLE):
        figure, axes = _axes(NARROW_IN, 2.4)
        axes.plot(line["step"], 100 * line["value"], color=COLOURS[GROUND_TRUTH], marker="o", markersize=3)
        axes.set(xlabel="epoch")
        axes.set_title("augmented frames named correctly, %", fontsize=9.5)
        _percent(axes, "")
        return figure


def to_svg(figure: Figure, name: str) -> str:
    """The figure as an SVG element for a page, the same text for the same figure; `name` keeps its ids apart."""
    stream = io.StringIO()
    with rc_context(STYLE | {"svg.hashsalt": name}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    return re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    # Figure, not pyplot: no window system, no global list of open figures
    figure = Figure((width, height), layout="constrained")
    return figure, figure.subplots()


def _grouped_bars(values: Mapping[str, list[float | None]], groups: list[str]) -> Figure:
    with rc_context(STYLE):
        figure, axes = _axes(9.4, 3.0)
        bar = 0.82 / max(1, len(values))
        for number, (method, heights) in enumerate(values.items()):
            places = np.arange(len(groups)) + (number - (len(values) - 1) / 2) * bar
            percent = [100 * (height or 0.0) for height in heights]
            axes.bar(places, percent, 0.9 * bar, color=COLOURS[method], label=display_name(method))
        axes.axhline(100 * CHANCE, color=INK, linestyle=":", linewidth=1)
        axes.set_xticks(range(len(groups)), groups)
        _percent(axes)
        figure.legend(loc="outside upper center", ncols=len(values), fontsize=9)
        return figure


def _grouped_rows(values: Mapping[str, list[float | None]], groups: list[str]) -> Figure:
    """The same lying on its side: as wide as a phone, and as high as it has to be."""
    with rc_context(STYLE):
        figure, axes = _axes(NARROW_IN, 0.9 + 0.13 * len(groups) * (len(values) + 1.3))
        bar = 0.82 / max(1, len(values))
        for number, (method, lengths) in enumerate(values.items()):
            places = np.arange(len(groups)) + (number - (len(values) - 1) / 2) * bar
            percent = [100 * (length or 0.0) for length in lengths]
            axes.barh(places, percent, 0.9 * bar, color=COLOURS[method], label=display_name(method))
        axes.axvline(100 * CHANCE, color=INK, linestyle=":", linewidth=1)
        _lying(axes, groups)
        figure.legend(loc="outside upper center", ncols=3, fontsize=8.5)
        return figure


def _narrow_method_figure(methods: Mapping[str, MethodScores], chance: float) -> Figure:
    """A bar lies below the other, the judge on true clips as the last one."""
    with rc_context(STYLE):
        figure, axes = _axes(NARROW_IN, 0.8 + 0.36 * len(methods))
        for place, (method, scores) in enumerate(methods.items()):
            low, high = np.multiply(100, scores.interval)
            axes.barh(place, 100 * scores.acc_emo, 0.62, color=COLOURS[method])
            axes.hlines(place, low, high, color=INK, linewidth=1.6)
            # at the edge, where no interval crosses it
            axes.annotate(
                f"{100 * scores.acc_emo:.1f}",
                (1, place),
                (4, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                annotation_clip=False,
            )
        axes.axvline(100 * chance, color=INK, linestyle=":", linewidth=1.4)
        axes.annotate(
            "chance", (100 * chance, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
            ha="center", fontsize=8.5, annotation_clip=False,
        )  # fmt: skip
        _lying(axes, [display_name(method) for method in methods])
        return figure


def _lying(axes: Axes, names: list[str]) -> None:
    """Axes of bars that lie below each other."""
    axes.set_yticks(range(len(names)), names)
    axes.margins(y=0.02)
    axes.invert_yaxis()
    axes.set_xlim(0, 104)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("accuracy of emotion, %")
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _level(axes: Axes, value: float, label: str, colour: str) -> None:
    axes.axhline(value, color=colour, linestyle=":", linewidth=1.4)
    # beside the bars, where it covers none of them
    axes.annotate(
        label,
        (1, value),
        (5, 0),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        va="center",
        color=colour,
        fontsize=8,
        annotation_clip=False,
    )


def _percent(axes: Axes, label: str = "accuracy of emotion, %") -> None:
    axes.set_ylim(0, 108)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel(label)
    axes.grid(axis="y")
    axes.set_axisbelow(True)
