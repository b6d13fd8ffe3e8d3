"""What a person wants to see of each stage: one small function per stage turns its report and outputs into metadata.

Plain numbers are drawn by Dagster as curves over the runs. Pictures land in its event database, so they stay small.
"""

import base64
import hashlib
import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pandas as pd
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager

from assets.dvc_project import DvcStage
from cmet.errors import UserError
from cmet.outputs import fresh_file
from cmet.project import Project
from cmet.quarantine import count_reasons
from cmet.speech.product import QUARANTINE
from cmet.text_tables import markdown_text, text_table
from cmet.vocabulary import GROUND_TRUTH, SPLITS, in_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cmet.clips.product import Clips
    from cmet.edits.product import Edits
    from cmet.scores.measured import HeldOut, MethodScores

Metadata = dict[str, Any]

MAX_PICTURE_BYTES = 70_000
"""Before base64, which makes it a third longer."""
COLUMN_PX, WIDE_PX = 400, 760
"""What metadata get of a page of 1,400 and of 1,920 pixels: of wider pictures the page shows the left part."""
SHEET_TILE_PX = 48
STRIP_TILE_PX = 112
MAX_SPEAKERS = 12
FIRST_COLUMNS = ["clip_id", "speaker", "emotion", "intensity", "sentence", "split", "status"]
REPORTS_VARIABLE = "REPORTS_PAGE"
"""Where `make dev` serves the folder of reports; without it the page is a path."""
PICTURES = "cmet-pictures"
"""Folder of pictures among Dagster's logs, which its page serves."""
MAX_FILES_SHOWN = 20
"""Quarantined files that are listed."""


@dataclass(frozen=True)
class Picture:
    """A picture as its file has it."""

    content: bytes
    kind: str
    """`png` or `jpeg`."""

    def shown(self, logs: object) -> dg.MetadataValue:
        """The picture in Markdown: by its address among Dagster's logs, or in the text where they are elsewhere.

        The page shows Markdown of less than 1,000 characters at once, and more of it behind a click.
        """
        if isinstance(logs, LocalComputeLogManager):
            name = hashlib.sha256(self.content).hexdigest()[:32]
            with fresh_file(Path(logs.get_captured_local_path([PICTURES, name], self.kind))) as unfinished:
                unfinished.write_bytes(self.content)
            return dg.MetadataValue.md(f"![](/logs/{PICTURES}/{name}/{self.kind})")
        return dg.MetadataValue.md(f"![](data:image/{self.kind};base64,{base64.b64encode(self.content).decode()})")


def preview(stage: DvcStage, root: Path, instance: dg.DagsterInstance | None = None) -> Metadata:
    """Metadata of a stage that has run; nothing for a stage this module does not know.

    No parameter is read: whoever edits params.yaml at this moment, the stage is done.

    Args:
        stage: The stage.
        root: The project.
        instance: Where the metadata goes; it keeps the pictures, if it keeps its logs on this disk.
    """
    if stage.kind not in PREVIEWS:
        return {}
    found = PREVIEWS[stage.kind](Project.of_outputs(root), *stage.arguments)
    logs = instance and instance.compute_log_manager
    return {name: value.shown(logs) if isinstance(value, Picture) else value for name, value in found.items()}


def preview_sample(project: Project) -> Metadata:
    """Size of the corpus, and its speakers by split."""
    from cmet.corpora.sample.layout import read_splits

    speakers = pd.DataFrame(read_splits(project.sample().corpus).items(), columns=["speakers", "split"])
    table = speakers.groupby("split").speakers.agg(", ".join).reset_index()
    return {"speakers": _markdown(table), **_numbers(project.places.reported("sample"))}


def preview_manifest(project: Project) -> Metadata:
    """Clips per split and emotion, what was quarantined and why, the first rows."""
    manifest = project.manifest().table
    report = project.places.reported("manifest")
    not_wanted = _counts("not wanted", report["not_wanted_by_reason"])
    return {
        **_clip_tables(manifest),
        **_quarantined(report, manifest[manifest.status != "ok"]),
        **not_wanted,
        **_numbers(report),
    }


def preview_clips(project: Project) -> Metadata:
    """Clips per split and emotion, lengths, quarantine, and a picture of every speaker in every emotion."""
    clips = project.clips()
    report = project.places.reported("clips")
    shown = clips.usable[clips.usable.num_frames.notna()]
    return {
        **({"contact_sheet": _clips_sheet(shown, clips)} if len(shown) else {}),
        **_clip_tables(clips.table),
        **_quarantined(report, clips.table[clips.table.status != "ok"]),
        **_numbers(report),
    }


def preview_speech(project: Project, encoder: str) -> Metadata:
    """Counts, and the mean length of the vectors."""
    report = project.places.reported("speech", encoder)
    vectors = project.voices(encoder).vectors
    lengths = np.linalg.norm(np.stack(list(vectors.values())), axis=1)
    return {
        **_quarantined(report, _lost(report, project.places.folder("speech", encoder))),
        **_numbers(report),
        "mean_length": float(lengths.mean()),
        "dagster/row_count": len(vectors),
    }


def preview_directions(project: Project) -> Metadata:
    """Accuracy of every speech encoder."""
    directions = project.directions()
    accuracies = {f"accuracy/{encoder}": result.accuracy for encoder, result in directions.facts.encoders.items()}
    return {"table": dg.MetadataValue.md(directions.text), **accuracies}


def preview_expression(project: Project, backbone: str) -> Metadata:
    """Counts, the share of frames with a face, and what the fitted basis explains."""
    report = project.places.reported("expression", backbone)
    facts = _basis_facts(project.faces(backbone).model) if backbone == "facemesh" else {}
    return {
        **facts,
        **_quarantined(report, _lost(report, project.places.folder("expression", backbone))),
        **_numbers(report),
    }


def preview_deltas(project: Project, backbone: str) -> Metadata:
    """Cosines of deltas of the same and of other emotions, pairs per split and emotion, clips without a partner."""
    report = project.places.reported("deltas", backbone)
    cosines = pd.DataFrame(
        {
            "delta": name,
            "same emotion": report[f"{name}_cosine_same_emotion"],
            "other emotion": report[f"{name}_cosine_other_emotion"],
        }
        for name in ("speech", "expression")
    )
    counts = report["pairs_per_split_and_emotion"]
    pairs = pd.DataFrame({split: counts[split] for split in SPLITS if split in counts}).fillna(0).astype(int)
    return {
        "cosines": _markdown(cosines),
        "pairs": _markdown(pairs.sort_index().rename_axis("emotion").reset_index()),
        **_counts("unpaired", report["unpaired_reasons"]),
        **_numbers(report),
    }


def preview_shards(project: Project, backbone: str) -> Metadata:
    """The tars of every split."""
    report = project.places.reported("shards", backbone)
    rows = [
        (split, len(shards), sum(shard.n for shard in shards), sum(shard.bytes for shard in shards) / 2**20)
        for split, shards in project.shards(backbone).splits.items()
    ]
    table = pd.DataFrame(rows, columns=["split", "tars", "pairs", "size_mib"])
    return {"shards": _markdown(table), **_numbers(report), "dagster/row_count": report["num_pairs"]}


def preview_train(project: Project, backbone: str) -> Metadata:
    """Loss curves, the metrics of the kept weights, and the run in MLflow."""
    from cmet.scores.figures import curves_figure

    report = project.places.reported("train", backbone)
    return {
        "curves": _figure(curves_figure(project.model(backbone).history, is_narrow=True)),
        **_mlflow("train", backbone, project),
        **_numbers(report),
        **_numbers(report["validation"], "validation/"),
        **_numbers(report["losses"], "loss/"),
    }


def preview_judge(project: Project) -> Metadata:
    """Accuracy on training and validation speakers, and the curve of its training."""
    from cmet.report.labels import training_set
    from cmet.scores.figures import judge_figure

    judge = project.judge()
    card, history = judge.card, judge.history
    return {
        # a released judge has no curve
        **({} if history.empty else {"curve": _figure(judge_figure(history))}),
        **_numbers(project.places.reported("judge")),
        "judge": f"{card.network}, {card.source}",
        "trained_on": training_set(card),
        "classes": ", ".join(card.classes),
    }


def preview_edits(project: Project, backbone: str) -> Metadata:
    """Counts by method, why edits failed, and one row per emotion as every method shows it."""
    product = project.edits(backbone)
    edits = product.table
    made = edits[edits.status == "ok"]
    counts = pd.crosstab(edits.method, edits.status).reindex(edits.method.unique()).reset_index()
    failed = count_reasons(edits.reason[edits.status != "ok"].to_list())
    return {
        **({"examples": _edits_sheet(made, product)} if len(made) else {}),
        "rows": _markdown(counts),
        **_counts("failed", failed),
        **_numbers(project.places.reported("edits", backbone)),
    }


def preview_evaluate(project: Project, backbone: str) -> Metadata:
    """Accuracy of every method with its interval, confusions of C-MET, and the run in MLflow."""
    from cmet.scores.figures import confusion_figure, emotion_figure, method_figure

    metrics = project.scores(backbone).metrics
    methods, held_out = metrics.methods, metrics.held_out
    return {
        **_accuracy_tables(methods, held_out, "accuracy"),
        **_other_metrics(methods, metrics.absent),
        "methods": _figure(method_figure(methods)),
        "emotions": _figure(emotion_figure(methods), WIDE_PX),
        **({"confusion": _figure(confusion_figure(methods["cmet"].confusion, "cmet"))} if "cmet" in methods else {}),
        **_mlflow("evaluate", backbone, project),
        **{f"acc_emo/{method}": scores.acc_emo for method, scores in methods.items()},
        **_numbers({"acc_emo_held_out": held_out.acc_emo} if held_out else {}),
    }


def preview_timing(project: Project, backbone: str) -> Metadata:
    """Seconds of every method by part, and what they were measured on; or that it was not on this machine."""
    try:
        timing = project.timing(backbone)
    except UserError as error:
        # what was timed may come from DVC's cache, and has no seconds with it
        return {"not_measured": str(error)}
    facts = timing.facts
    rows = [
        {"method": method, "seconds per video": timed.seconds_per_video, "sd": timed.sd, **timed.parts}
        for method, timed in in_order(timing.methods).items()
    ]
    seconds = {f"seconds_per_video/{method}": float(value) for method, value in timing.seconds.items()}
    measured = f"{facts.device}, {facts.threads} threads, after {facts.warm_up} clip(s) of warm-up"
    return {"table": _markdown(pd.DataFrame(rows)), "measured_on": measured, **seconds}


def preview_report(project: Project) -> Metadata:
    """Where the page is, and its table."""
    report = project.report()
    tables: Metadata = {}
    for backbone, parts in report.summary.backbones.items():
        methods = parts.methods | {GROUND_TRUTH: parts.ground_truth}
        tables |= _accuracy_tables(methods, parts.held_out, f"accuracy/{backbone}")
    return tables | {
        "page": _page(report.page),
        "summary": dg.MetadataValue.path(str(report.summary_file)),
        "size_mib": round(report.page.stat().st_size / 2**20, 1),
    }


PREVIEWS: dict[str, Callable[..., Metadata]] = {
    "sample": preview_sample,
    "manifest": preview_manifest,
    "clips": preview_clips,
    "speech": preview_speech,
    "directions": preview_directions,
    "expression": preview_expression,
    "deltas": preview_deltas,
    "shards": preview_shards,
    "train": preview_train,
    "judge": preview_judge,
    "edits": preview_edits,
    "timing": preview_timing,
    "evaluate": preview_evaluate,
    "report": preview_report,
}
"""Each takes the project, and where a stage has variants the one that is meant."""


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Metadata:
    """The plain numbers among values."""
    return {f"{prefix}{name}": value for name, value in values.items() if isinstance(value, int | float)}


def _clip_tables(clips: pd.DataFrame) -> Metadata:
    usable = clips[clips.status == "ok"]
    per_emotion = pd.crosstab(usable.emotion, usable.split, margins=True, margins_name="all")
    columns = [name for name in (*SPLITS, "all") if name in per_emotion]
    return {
        "clips": _markdown(per_emotion[columns].reset_index()),
        "first_rows": _markdown(clips.head(5)[FIRST_COLUMNS]),
        "dagster/row_count": len(clips),
    }


def _quarantined(report: Mapping[str, Any], clips: pd.DataFrame) -> Metadata:
    """How many clips were lost to which reason, and which ones.

    Args:
        report: What the stage has reported.
        clips: Rows of quarantined clips, with a reason; files by `video` or `audio`, or else by `clip_id`.
    """
    if clips.empty:
        return _counts("quarantined", report["quarantined_by_reason"])
    named = clips.reindex(columns=["video", "audio", "clip_id"]).bfill(axis=1).iloc[:, 0]
    files = pd.DataFrame({"file": named, "reason": clips.reason}).head(MAX_FILES_SHOWN).reset_index(drop=True)
    left = len(clips) - len(files)
    if left:
        files.loc[len(files)] = [f"and {left} more", ""]
    return _counts("quarantined", report["quarantined_by_reason"]) | {"quarantined files": _markdown(files)}


def _lost(report: Mapping[str, Any], folder: Path) -> pd.DataFrame:
    """The clips that a stage which has no table of all has quarantined."""
    return pd.read_csv(folder / QUARANTINE) if report["quarantined_by_reason"] else pd.DataFrame()


def _counts(name: str, counts: Mapping[str, int]) -> Metadata:
    if not counts:
        return {}
    return {name: _markdown(pd.DataFrame(list(counts.items()), columns=["reason", "clips"]))}


def _basis_facts(model: Path) -> Metadata:
    from cmet.backbones.facemesh.basis import ExpressionBasis

    explained = ExpressionBasis.load(model).explained
    components = range(1, len(explained) + 1)
    shares = pd.DataFrame({"component": components, "share": explained, "running total": explained.cumsum()})
    return {"explained": float(explained.sum()), "components": _markdown(shares)}


def _clips_sheet(shown: pd.DataFrame, clips: "Clips") -> Picture:
    """Each speaker's most intense clip of every emotion; all speakers are on the sheet that the stage writes."""
    from cmet.clips.preparation import sheet_cells

    return _sheet(sheet_cells(shown, clips, MAX_SPEAKERS), SHEET_TILE_PX)


def _edits_sheet(made: pd.DataFrame, edits: "Edits") -> Picture:
    """The first row of every emotion at its highest level."""
    strongest_first = made.sort_values(["emotion", "intensity", "row_id"], ascending=[True, False, True])
    chosen = strongest_first.drop_duplicates("emotion").row_id
    rows = made[made.row_id.isin(chosen)].sort_values("emotion", kind="stable")
    videos = [edits.video(name) for name in rows.video]
    cells = pd.DataFrame({"row": rows.speaker + " " + rows.emotion, "column": rows.method, "video": videos})
    return _sheet(cells, STRIP_TILE_PX)


def _sheet(cells: pd.DataFrame, tile_px: int) -> Picture:
    from cmet.clips.contact_sheet import contact_sheet, to_jpeg

    return Picture(to_jpeg(contact_sheet(cells, tile_px), MAX_PICTURE_BYTES), "jpeg")


def _figure(figure: "Figure", max_width_px: int = COLUMN_PX) -> Picture:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=min(90, max_width_px / figure.get_figwidth()))
    return Picture(stream.getvalue(), "png")


def _accuracy_tables(methods: Mapping[str, "MethodScores"], held_out: "HeldOut | None", name: str) -> Metadata:
    """A table of the emotions that were trained on, and one of the emotion that was held out."""
    tables = {name: _accuracy_table(methods)}
    return tables | {f"{name}, held out: {held_out.emotion}": _accuracy_table(held_out.methods)} if held_out else tables


def _other_metrics(methods: Mapping[str, "MethodScores"], absent: Mapping[str, str]) -> Metadata:
    """What was measured besides the emotion, a column per method, and why the rest was not."""
    edited = {method: scores.metrics for method, scores in methods.items() if method != GROUND_TRUTH}
    names = dict.fromkeys(name for found in edited.values() for name in found)
    rows = [
        {"metric": name} | {method: found[name].value if name in found else None for method, found in edited.items()}
        for name in names
    ]
    reasons = pd.DataFrame(list(absent.items()), columns=["metric", "reason"])
    return ({"metrics": _markdown(pd.DataFrame(rows))} if rows else {}) | (
        {"absent": _markdown(reasons)} if absent else {}
    )


def _accuracy_table(methods: Mapping[str, "MethodScores"]) -> dg.MetadataValue:
    rows = [
        (method, scores.acc_emo, *scores.interval, scores.n, scores.num_failed)
        for method, scores in in_order(methods).items()
    ]
    return _markdown(pd.DataFrame(rows, columns=["method", "acc_emo", "low", "high", "n", "failed"]))


def _page(page: Path) -> dg.MetadataValue:
    served = os.environ.get(REPORTS_VARIABLE)
    return dg.MetadataValue.url(f"{served.rstrip('/')}/{page.name}") if served else dg.MetadataValue.path(str(page))


def _mlflow(stage: str, backbone: str, project: Project) -> Metadata:
    """Link to the run that the stage has logged; nothing when the store was removed since, or does not answer."""
    from cmet.tracking.runs import find_run_page

    try:
        page = find_run_page(stage, backbone, project.root)
    except UserError:
        # the stage itself is done
        return {}
    return {"mlflow": dg.MetadataValue.url(page)} if page else {}


def _markdown(table: pd.DataFrame) -> dg.MetadataValue:
    """A table whose cells are shown as they are, whatever a corpus calls its speakers and clips."""
    rows = [[markdown_text(_cell(value)) for value in row] for row in table.itertuples(index=False)]
    return dg.MetadataValue.md(text_table([markdown_text(str(column)) for column in table], rows, is_padded=False))


def _cell(value: object) -> str:
    if isinstance(value, float | np.floating):
        return "" if np.isnan(value) else f"{value:.3f}"
    return "" if value is None or value is pd.NA else str(value)
