"""What a metric row must say of itself to be comparable at all (evaluation protocol, labels of a report)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from cmet.backbones.saved import used_weights
from cmet.connector.product import Model
from cmet.edits.benchmark import BENCHMARKS
from cmet.edits.product import Edits, EditsProtocol
from cmet.errors import UserError
from cmet.judge.card import JudgeFacts
from cmet.params import Params
from cmet.report.summary import Labels, RowLabels
from cmet.scores.measured import Numbers
from cmet.scores.product import Scores
from cmet.scores.whole_numbers import not_whole
from cmet.vocabulary import GROUND_TRUTH

NUMBERINGS = {
    frozenset({"author"}): "author-renumbered",
    frozenset({"transcript-aligned"}): "transcript-aligned",
    frozenset({"release"}): "release-filename-subset",
}
MAX_DROPPED = 200
"""Lost clips that are listed one by one."""


def describe(scores: Scores, made: Edits, model: Model, clips: pd.DataFrame, params: Params) -> Labels:
    """The labels of every row of one backbone's table.

    Args:
        scores: What was measured.
        made: The edits that it was measured on.
        model: The trained model.
        clips: Rows of a `Clips` table.
        params: The whole experiment.

    Raises:
        UserError: The edits are not those that were scored.
    """
    metrics, edits, protocol = scores.metrics, made.table, made.protocol
    if protocol.name != metrics.protocol:
        raise UserError(
            f"{made.folder}: made under {protocol.name}, scored under {metrics.protocol}; run 'cmet evaluate'"
        )
    judge = metrics.judge
    said = scores.answers
    edited = said[said["method"] != GROUND_TRUTH]
    failed = edited[edited["predicted"].isna()]
    speakers = sorted(said["speaker"].unique())
    config = model.config
    shown = clips[clips.clip_id.isin(said["target_clip"].dropna())]
    labels = RowLabels(
        corpus=str(said["corpus"].iloc[0]),
        numbering=numbering(shown, params),
        rows_planned=edited["row_id"].nunique(),
        rows_generated=edits["row_id"].nunique() - edits.loc[edits["status"] != "ok", "row_id"].nunique(),
        rows_scored=edited["row_id"].nunique() - failed["row_id"].nunique(),
        coverage=1 - len(failed) / len(edited),
        dropped=[f"{row.row_id} ({row.method}): {row.reason}" for row in failed.head(MAX_DROPPED).itertuples()],
        num_dropped=len(failed),
        protocol=protocol.name,
        pools_sha256=protocol.pools_sha256,
        num_speech_clips=protocol.num_speech_clips,
        judge_sha256=judge.sha256,
        judge_source=judge.source,
        judge_corpus=training_set(judge),
        judge_saw_test_speakers=_may_have_seen(judge, speakers),
        fid_kind=_kinds(metrics, "fid"),
        fvd_kind=_kinds(metrics, "fvd"),
        absent=metrics.absent,
        media=(
            f"{params.clips.fps} fps, crop {params.clips.crop_rule}, wav cropped-clip, identity frame "
            f"{protocol.identity_frame}"
        ),
        backbone=config.backbone,
        checkpoint_sha256=model.sha256,
        backbone_weights=_weights(model.backbone),
        strength=params.edits.strength,
        lips=", ".join(sorted(edits["lips"].unique())),
        training_steps=config.step,
        seed=params.seed,
        test_speakers=speakers,
        uncertainty=(
            f"{100 * metrics.confidence:.0f} % percentile bootstrap, {metrics.num_bootstrap} resamples of "
            f"{metrics.num_clusters} (speaker, sentence) clusters"
        ),
        whole_number_check=_whole_number_check(metrics),
        train_speakers_in_rows=_train_speakers(clips, speakers) if params.train.num_steps else 0,
        synthetic=params.manifest.corpus == "sample",
    )
    comparability, why = compare_to_paper(labels, protocol, judge)
    return Labels(**vars(labels), comparability=comparability, comparability_reasons=why)


def compare_to_paper(labels: RowLabels, protocol: EditsProtocol, judge: JudgeFacts) -> tuple[str, list[str]]:
    """How far a row can be set beside the paper's, and why not further.

    `paper-protocol`, `paper-protocol-subset` (all as published, but not all rows), `approximation` (its rows, another
    judge, pool or backbone) or `own-protocol` (other rows).
    """
    if protocol.rows != "official" or labels.corpus not in BENCHMARKS:
        return "own-protocol", ["the rows are our own, not those of an official manifest"]
    departures = [
        reason
        for reason, departs in (
            ("the judge is not a released one", judge.source != "released checkpoint"),
            (f"the pool is {protocol.pools}, not the benchmark's", protocol.pools != "pool-by-intensity"),
            (f"{protocol.num_speech_clips} speech clips, not 10", protocol.num_speech_clips != 10),
            (f"backbone {labels.backbone} is not in the paper", labels.backbone not in ("edtalk", "pdfgc")),
            ("a stand-in took part", labels.synthetic),
            (f"strength {labels.strength:g}, not 1", labels.strength != 1),
            (
                f"{labels.train_speakers_in_rows} speakers of the rows were in training",
                labels.train_speakers_in_rows > 0,
            ),
        )
        if departs
    ]
    if departures:
        return "approximation", departures
    subset = [
        reason
        for reason, departs in (
            (f"coverage {labels.coverage:.4f}", labels.coverage < 1),
            (
                f"numbering {labels.numbering}",
                labels.corpus == "mead" and labels.numbering != "author-renumbered",
            ),
        )
        if departs
    ]
    return ("paper-protocol-subset", subset) if subset else ("paper-protocol", [])


def training_set(judge: JudgeFacts) -> str:
    """What a judge was trained on, in words."""
    if judge.source == "released checkpoint":
        return judge.trained_on or "an unstated corpus"
    return (
        f"{judge.corpus}, {judge.num_train_clips} unedited clips of {len(judge.train_speakers)} training "
        f"speakers ({', '.join(judge.train_speakers)})"
    )


def paper_rows(
    metrics: Numbers, labels: Mapping[str, Any], seconds: Mapping[str, float], name: str
) -> list[dict[str, Any]]:
    """The methods of one set of numbers as rows that can stand beside the paper's, each with all labels.

    Args:
        metrics: What `measure` gave.
        labels: What is known of all of them, by column.
        seconds: Seconds per video by method, where they were measured.
        name: Of the backbone, or of the method's source, put before the method.
    """
    rows = []
    for method, scores in metrics.methods.items():
        values = {metric: found.value for metric, found in scores.metrics.items()}
        rows.append(
            {**labels, "method": f"{name} {method}", "aitv_s": seconds.get(method)}
            | {key: getattr(scores, key) for key in ("acc_emo", "interval", "n", "coverage")}
            | {kind: values.get(f"{kind}/pairwise-mean") for kind in ("fid", "fvd")}
            | {f"{kind}_kind": "pairwise-mean" for kind in ("fid", "fvd")}
            | {"sync_conf": values.get("sync_conf")}
        )
    return rows


def numbering(clips: pd.DataFrame, params: Params) -> str:
    """Whose numbers of sentences the true clips of the rows have."""
    if params.manifest.corpus != "mead" or "numbering" not in clips:
        return "the corpus's own file names"
    kinds = frozenset(clips["numbering"].dropna())
    return NUMBERINGS.get(kinds, "mixed: " + ", ".join(sorted(kinds)))


def _train_speakers(clips: pd.DataFrame, speakers: list[str]) -> int:
    """How many speakers of the rows the connector was trained on."""
    return int(clips.speaker[clips.speaker.isin(speakers) & (clips.split == "train")].nunique())


def _may_have_seen(judge: JudgeFacts, speakers: list[str]) -> bool | str:
    """Whether the judge was trained on a speaker of the rows, where anybody says so."""
    return bool(set(speakers) & set(judge.train_speakers)) if judge.train_speakers else "not stated"


def _kinds(metrics: Numbers, name: str) -> str | None:
    """Which kinds of a Fréchet distance were measured."""
    found = {
        metric.split("/")[1] for scores in metrics.methods.values() for metric in scores.metrics
        if metric.startswith(f"{name}/")
    }  # fmt: skip
    return ", ".join(sorted(found, reverse=True)) or None


def _weights(folder: Path) -> list[str]:
    """The published files that a backbone was run with, and their SHA-256."""
    used = used_weights(folder)
    if used is None:
        return ["none, it was fitted on this corpus"]
    return [f"{file} {sha256}" for file, sha256 in used.items()]


def _whole_number_check(metrics: Numbers) -> str:
    suspect = [
        method for method, scores in metrics.methods.items() if not_whole([round(100 * scores.acc_emo, 2)], scores.n)
    ]
    return f"FAILED: {', '.join(suspect)}" if suspect else "passed"
