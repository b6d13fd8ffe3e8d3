"""Two sets of results on the same rows: how far they differ, how sure that is, and which clips changed.

Everything is B less A. Rows are paired by their id, and speaker and sentence make a cluster, as clips of one source are
no independent trials. The test flips the signs of whole clusters: where neither side is better, a cluster could as well
have come out the other way round.
"""

# R rows, K clusters, F flips

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cmet.errors import UserError
from cmet.outputs import fresh_file
from cmet.params import EvaluateParams
from cmet.scores.intervals import ClusterBootstrap, clusters
from cmet.scores.results import ACC_EMO, LOGIT, values
from cmet.text_tables import text_table
from cmet.vocabulary import GROUND_TRUTH

DEFAULT_METHOD = "cmet"
NUM_FLIPS = 20_000
"""Flips drawn where there are more than that; all are taken up to 14 clusters that differ."""
FLIPS_AT_ONCE = 1000
FEW_CLUSTERS = 6
"""Below this many, no outcome can reach p = 0.05: 2 / 2^5 = 0.0625."""

MAIN, HELD_OUT = "main", "held out"
ONLY_A, ONLY_B, UNLIKE, NO_VALUE = "only in A", "only in B", "held out in one only", "no value"
"""Where a row counts; those of the last four are in no number."""
LEFT_OUT = (ONLY_A, ONLY_B, UNLIKE, NO_VALUE)

RIGHT_TO_WRONG, WRONG_TO_RIGHT, OTHER_WRONG = "right to wrong", "wrong to right", "wrong to another wrong"
FAILED = "failed"
"""Stands for the answer where there is none."""

CLIP_COLUMNS = [
    "row_id", "speaker", "sentence", "emotion", "intensity", "rows", "value_a", "value_b", "said_a", "said_b", "change",
]  # fmt: skip
MAX_LISTED = 30


@dataclass(frozen=True)
class Side:
    """What is compared."""

    name: str
    """As the caller gave it."""
    corpus: str
    backbone: str
    method: str
    protocol: str
    judge: str | None
    """SHA-256 of its weights."""


@dataclass(frozen=True)
class Difference:
    """B less A over one set of rows."""

    num_rows: int
    num_clusters: int
    num_differing: int
    """Clusters that do not come out even; the test knows no others."""
    a: float
    """Mean over the rows."""
    b: float
    interval: tuple[float, float]
    """Of the difference, clustered."""
    p_value: float
    """Two-sided, clustered."""
    is_exact: bool
    """Whether all flips were taken."""
    changes: Mapping[str, int]
    """Number of clips by kind of change; empty but for `ACC_EMO`."""
    per_emotion: pd.DataFrame
    """emotion, num_rows, a, b, difference."""

    @property
    def difference(self) -> float:
        """B less A."""
        return self.b - self.a

    @property
    def smallest_p(self) -> float:
        """The smallest p that so many differing clusters can give."""
        return min(1.0, 2 / 2**self.num_differing)


@dataclass(frozen=True)
class Comparison:
    """Two methods on the rows that both have."""

    a: Side
    b: Side
    metric: str
    confidence: float
    main: Difference | None
    """Over the emotions that both were trained on; None where there is no such row."""
    held_out: Difference | None
    """Over the emotion that neither was trained on."""
    clips: pd.DataFrame
    """`CLIP_COLUMNS`, a row per clip of either side; `rows` says where it counts, `change` is empty where nothing
    changed."""


def compare_results(
    a: pd.DataFrame,
    b: pd.DataFrame,
    method_a: str,
    method_b: str,
    metric: str,
    params: EvaluateParams,
    seed: int,
    names: tuple[str, str] = ("A", "B"),
) -> Comparison:
    """Compare one metric of two methods clip by clip.

    Args:
        a: Results, as cmet.scores.results has them.
        b: Others, or the same.
        method_a: Method of `a`.
        method_b: Method of `b`.
        metric: One that clips have.
        params: Resamples and confidence of the interval.
        seed: Of the resamples, and of the flips where they are drawn.
        names: What the two are called in messages.

    Raises:
        UserError: A method or metric is not there, no row is in both, or a row wants another emotion in each.
    """
    rows_a, rows_b = _rows_of(a, method_a, names[0], metric), _rows_of(b, method_b, names[1], metric)
    clips = _paired(rows_a, rows_b, names, metric)
    draw = ClusterBootstrap(params, seed)
    return Comparison(
        a=_side(rows_a, names[0]),
        b=_side(rows_b, names[1]),
        metric=metric,
        confidence=params.confidence,
        main=_difference(clips[clips.rows == MAIN], draw, seed),
        held_out=_difference(clips[clips.rows == HELD_OUT], draw, seed),
        clips=clips,
    )


def chosen_method(results: pd.DataFrame, wanted: str | None, name: str) -> str:
    """The wanted method; without a wish `cmet`, or else the only one.

    Raises:
        UserError: It is not there, or there are several.
    """
    there = sorted(set(results.method) - {GROUND_TRUTH})
    if wanted is not None:
        if wanted not in {*there, *results.method}:
            raise UserError(f"{name}: no method {wanted}; there are {', '.join(sorted(set(results.method)))}")
        return wanted
    if DEFAULT_METHOD not in there and len(there) != 1:
        raise UserError(f"{name}: which method? There are {', '.join(there) or 'none'}; write {name}:METHOD")
    return DEFAULT_METHOD if DEFAULT_METHOD in there else there[0]


def refuse_unlike(comparison: Comparison, any_judge: bool, any_protocol: bool) -> None:
    """Refuse two sides whose numbers say different things.

    Raises:
        UserError: Judges differ (where the metric is one of a judge) or protocols do, and that is not allowed.
    """
    a, b = comparison.a, comparison.b
    is_judged = comparison.metric == ACC_EMO or comparison.metric.startswith(LOGIT)
    if is_judged and a.judge != b.judge and not any_judge:
        raise UserError(
            f"{a.name} was judged by {_short(a.judge)}, {b.name} by {_short(b.judge)}: the same answer means something "
            "different from each; score both with one judge, or compare them anyway with --any-judge"
        )
    if a.protocol != b.protocol and not any_protocol:
        raise UserError(
            f"{a.name} follows protocol {a.protocol}, {b.name} follows {b.protocol}: their rows or speech differ; "
            "compare them anyway with --any-protocol"
        )


def flip_test(sums_K: np.ndarray, seed: int) -> tuple[float, bool]:
    """Two-sided p of the sum of clusters when the sign of each is a toss, and whether it is exact.

    Drawn flips count the outcome itself as one of them, so p is never 0.
    """
    # clusters that come out even are the same whichever way they are flipped
    moved_K = sums_K[sums_K != 0]
    if len(moved_K) < 2:
        return 1.0, True
    # imported here: it takes most of a second
    from scipy.stats import permutation_test

    found = permutation_test(
        (moved_K,),
        lambda flipped, axis: flipped.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=NUM_FLIPS,
        batch=FLIPS_AT_ONCE,
        alternative="two-sided",
        rng=np.random.default_rng([seed, len(moved_K)]),
    )
    return float(found.pvalue), 2 ** len(moved_K) <= NUM_FLIPS


def write_clips(comparison: Comparison, out: Path) -> None:
    """Write every clip of the comparison as a table.

    Raises:
        UserError: `out` is neither a .csv nor a .parquet file.
    """
    writers: dict[str, Callable[[Path], Any]] = {
        ".csv": lambda path: comparison.clips.to_csv(path, index=False),
        ".parquet": lambda path: comparison.clips.to_parquet(path, index=False),
    }
    check_clips_file(out)
    with fresh_file(out) as unfinished:
        writers[out.suffix](unfinished)


def check_clips_file(out: Path) -> None:
    """Refuse a place that `write_clips` cannot write to.

    Raises:
        UserError: It is a folder, or has another suffix.
    """
    if out.suffix not in (".csv", ".parquet") or out.is_dir():
        raise UserError(f"{out}: name a file that ends in .csv or .parquet")


def printed_comparison(comparison: Comparison, max_listed: int = MAX_LISTED) -> str:
    """The comparison as plain text (Markdown) for a terminal."""
    parts = [_heading(comparison), _numbers(comparison), _per_emotion(comparison)]
    parts += [
        _changed_clips(comparison, max_listed),
        "\n".join(f"note: {note}" for note in comparison_notes(comparison)),
    ]
    return "\n\n".join(part for part in parts if part)


def comparison_notes(comparison: Comparison) -> list[str]:
    """What a reader has to know of the numbers."""
    found = []
    for where in LEFT_OUT:
        ids = comparison.clips.row_id[comparison.clips.rows == where]
        if len(ids):
            more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
            found.append(f"{len(ids)} row(s) left out, {where}: {', '.join(ids[:3])}{more}")
    a, b = comparison.a, comparison.b
    both = {"corpora": (a.corpus, b.corpus), "protocols": (a.protocol, b.protocol), "judges": (a.judge, b.judge)}
    for what, (left, right) in both.items():
        if left != right:
            found.append(f"two {what}: {left or 'none'} and {right or 'none'}")
    for name, part in _parts(comparison):
        if part.num_differing < FEW_CLUSTERS:
            found.append(
                f"{name}: {part.num_differing} of {part.num_clusters} cluster(s) differ; the smallest p that a "
                f"two-sided flip test can give is then {part.smallest_p:.3g}"
            )
        if part.num_clusters < FEW_CLUSTERS:
            found.append(f"{name}: {part.num_clusters} cluster(s) in all, so the interval is too narrow")
    found.append(
        "intervals and p say how far the difference holds for other speakers and sentences, not for other training runs"
    )
    return found


def _rows_of(results: pd.DataFrame, method: str, name: str, metric: str) -> pd.DataFrame:
    of_method = results[results.method == method]
    if of_method.empty:
        raise UserError(f"{name}: no method {method}; there are {', '.join(sorted(set(results.method)))}")
    rows = values(of_method, metric)
    if rows.empty:
        known = sorted(set(of_method.metric[of_method.row_id.notna()]))
        raise UserError(f"{name}: no values of {metric} for clips of {method}; there are {', '.join(known)}")
    return rows


def _side(rows: pd.DataFrame, name: str) -> Side:
    first = rows.iloc[0]
    judge = None if pd.isna(first.judge) else str(first.judge)
    return Side(name, str(first.corpus), str(first.backbone), str(first.method), str(first.protocol), judge)


def _paired(a: pd.DataFrame, b: pd.DataFrame, names: tuple[str, str], metric: str) -> pd.DataFrame:
    """One row per clip of either side, `CLIP_COLUMNS`."""
    labels = ["speaker", "sentence", "emotion", "intensity", "is_held_out", "value", "answer"]
    both = a.set_index("row_id")[labels].join(
        b.set_index("row_id")[labels], how="outer", lsuffix="_a", rsuffix="_b", validate="1:1"
    )
    is_in_a, is_in_b = both.index.isin(a.row_id), both.index.isin(b.row_id)
    is_in_both = is_in_a & is_in_b
    if not is_in_both.any():
        raise UserError(
            f"{names[0]} and {names[1]} have no row in common, for example {a.row_id.iloc[0]} and {b.row_id.iloc[0]}"
        )
    other = both[is_in_both & (both.emotion_a != both.emotion_b)]
    if len(other):
        first = other.iloc[0]
        raise UserError(
            f"{len(other)} row(s) want one emotion in {names[0]} and another in {names[1]}, first {other.index[0]}: "
            f"{first.emotion_a} and {first.emotion_b}"
        )
    clips = pd.DataFrame(
        {name: both[f"{name}_a"].where(is_in_a, both[f"{name}_b"]) for name in labels[:4]}, index=both.index
    )
    held_a, held_b = (both[f"is_held_out_{side}"].eq(True) for side in "ab")
    has_values = np.isfinite(both.value_a.to_numpy(float)) & np.isfinite(both.value_b.to_numpy(float))
    where = np.select(
        [~is_in_b, ~is_in_a, held_a != held_b, ~has_values, held_a], [ONLY_A, ONLY_B, UNLIKE, NO_VALUE, HELD_OUT], MAIN
    )
    clips = clips.assign(rows=where, value_a=both.value_a, value_b=both.value_b, said_a=None, said_b=None, change="")
    if metric == ACC_EMO:
        said_a, said_b = (both[f"answer_{side}"].fillna(FAILED) for side in "ab")
        clips = clips.assign(said_a=said_a.where(is_in_a), said_b=said_b.where(is_in_b))
        clips["change"] = _changes(clips, is_in_both)
    return clips.rename_axis("row_id").reset_index()[CLIP_COLUMNS].astype({"intensity": "Int64"})


def _changes(clips: pd.DataFrame, is_in_both: np.ndarray) -> np.ndarray:
    was_right, is_right = clips.value_a.eq(1), clips.value_b.eq(1)
    kinds = [was_right & ~is_right, ~was_right & is_right, ~was_right & ~is_right & (clips.said_a != clips.said_b)]
    return np.where(is_in_both, np.select(kinds, [RIGHT_TO_WRONG, WRONG_TO_RIGHT, OTHER_WRONG], ""), "")


def _difference(clips: pd.DataFrame, draw: ClusterBootstrap, seed: int) -> Difference | None:
    if clips.empty:
        return None
    gain_R = (clips.value_b - clips.value_a).to_numpy(float)
    codes_R, num_clusters = clusters(clips)
    sums_K = np.bincount(codes_R, weights=gain_R, minlength=num_clusters)
    p_value, is_exact = flip_test(sums_K, seed)
    counts = clips.change[clips.change != ""].value_counts()
    is_judged = bool(clips.said_a.notna().any())
    per_emotion = clips.groupby("emotion").agg(
        num_rows=("row_id", "size"), a=("value_a", "mean"), b=("value_b", "mean")
    )
    return Difference(
        num_rows=len(clips),
        num_clusters=num_clusters,
        num_differing=int(np.count_nonzero(sums_K)),
        a=float(clips.value_a.mean()),
        b=float(clips.value_b.mean()),
        interval=draw.interval(clips, gain_R),
        p_value=p_value,
        is_exact=is_exact,
        changes={kind: int(counts.get(kind, 0)) for kind in (RIGHT_TO_WRONG, WRONG_TO_RIGHT, OTHER_WRONG)}
        if is_judged
        else {},
        per_emotion=per_emotion.assign(difference=per_emotion.b - per_emotion.a).reset_index(),
    )


def _parts(comparison: Comparison) -> list[tuple[str, Difference]]:
    found = [(MAIN, comparison.main), (HELD_OUT, comparison.held_out)]
    return [(name, part) for name, part in found if part is not None]


def _heading(comparison: Comparison) -> str:
    sides = (("A", comparison.a), ("B", comparison.b))
    lines = [f"{comparison.metric}, B minus A"]
    lines += [
        f"{letter}: {side.name}, method {side.method}, backbone {side.backbone}, corpus {side.corpus}, protocol "
        f"{side.protocol}, judge {_short(side.judge)}"
        for letter, side in sides
    ]
    return "\n".join(lines)


def _numbers(comparison: Comparison) -> str:
    level = f"{100 * comparison.confidence:g} % interval"
    headings = ["rows", "number", "clusters", *_compared(comparison), level, "p"]
    rows = [
        [
            name,
            str(part.num_rows),
            str(part.num_clusters),
            _shown(part.a, comparison.metric),
            _shown(part.b, comparison.metric),
            _shown(part.difference, comparison.metric, "+"),
            " to ".join(_shown(end, comparison.metric, "+") for end in part.interval),
            f"{part.p_value:.3g}{'' if part.is_exact else ' (drawn)'}",
        ]
        for name, part in _parts(comparison)
    ]
    lines = [text_table(headings, rows, headings[1:6])]
    for name, part in _parts(comparison):
        if part.changes:
            lines.append(f"{name}: " + ", ".join(f"{number} {kind}" for kind, number in part.changes.items()))
    lines.append(
        "Clusters: speaker and sentence. p: two-sided, from flipping the signs of whole clusters, all flips"
        + (f" or, where drawn, {NUM_FLIPS} of them" if any(not part.is_exact for _, part in _parts(comparison)) else "")
    )
    return "\n".join(lines)


def _per_emotion(comparison: Comparison) -> str:
    headings = ["emotion", "rows", "number", *_compared(comparison)]
    rows = [
        [row["emotion"], name, str(row["num_rows"])]
        + [_shown(row[key], comparison.metric) for key in ("a", "b")]
        + [_shown(row["difference"], comparison.metric, "+")]
        for name, part in _parts(comparison)
        for row in part.per_emotion.to_dict("records")
    ]
    return text_table(headings, rows, headings[2:])


def _changed_clips(comparison: Comparison, max_listed: int) -> str:
    changed = comparison.clips[(comparison.clips.change != "") & ~comparison.clips.rows.isin(LEFT_OUT)]
    if changed.empty:
        return ""
    rank = {kind: place for place, kind in enumerate((RIGHT_TO_WRONG, WRONG_TO_RIGHT, OTHER_WRONG))}
    changed = changed.sort_values("change", key=lambda kinds: kinds.map(rank), kind="stable")
    headings = ["row_id", "emotion", "said_a", "said_b", "change"]
    shown = changed[headings].head(max_listed).to_numpy().tolist()
    table = text_table(["changed clip", "emotion", "A said", "B said", "change"], shown)
    more = len(changed) - max_listed
    return table + (f"\n... and {more} more; --out writes them all" if more > 0 else "")


def _compared(comparison: Comparison) -> list[str]:
    return ["A %", "B %", "B - A"] if comparison.metric == ACC_EMO else ["A", "B", "B - A"]


def _shown(value: float, metric: str, sign: str = "") -> str:
    return f"{100 * value:{sign}.2f}" if metric == ACC_EMO else f"{value:{sign}.4g}"


def _short(judge: str | None) -> str:
    return "none" if judge is None else judge[:12]
