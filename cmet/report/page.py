"""The report: one self-contained page for people, one summary for machines."""

import base64
import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from matplotlib.figure import Figure

from cmet.clips.product import Clips
from cmet.connector.product import Model
from cmet.edits.product import TIMING_SCRIPT, Edits
from cmet.errors import UserError
from cmet.judge.card import JudgeCard
from cmet.judge.product import JudgeFolder
from cmet.outputs import fresh_file, write_json
from cmet.params import Params, flatten
from cmet.report import paper
from cmet.report.labels import describe, paper_rows, training_set
from cmet.report.product import PAGE, SUMMARY
from cmet.report.summary import BackboneSummary, JudgeSummary, Labels, Summary
from cmet.scores import figures
from cmet.scores.examples import PANEL_TITLES, Example, choose_examples, write_example_strip
from cmet.scores.measured import MethodScores, Numbers
from cmet.scores.other_results import ScoredManifest, read_scored
from cmet.scores.product import Scores
from cmet.scores.titles import TITLES
from cmet.speech.product import DirectionsResult
from cmet.vocabulary import CHANCE, GROUND_TRUTH

METHOD_NOTES = {
    "neutral": (
        "No edit: the neutral clip itself, or as redrawn by a backbone that draws faces anew. This is where an edit "
        "starts from; the judge has no neutral class, so it names an emotion anyway."
    ),
    "reference": (
        "The expression codes of a training speaker's clip of the target emotion and level, of the same sentence "
        "where there is one, put in place of the source's own. It sees a face that shows the emotion; C-MET only hears "
        "a voice. With facemesh's linear codes it is a strong reference, so the gain that the paper reports over "
        "EDTalk's encoder need not appear there."
    ),
    "cmet": "C-MET: the change of expression predicted from speech alone, added to the source.",
    "oracle": (
        "The true change of expression, from the target clip's own codes, added to the source. The backbone's ceiling."
    ),
    GROUND_TRUTH: "The true emotional clips, unedited: what the judge reaches on real pictures of unseen speakers.",
}


@dataclass(frozen=True)
class Reported:
    """What the report reads of one backbone."""

    scores: Scores
    edits: Edits
    model: Model
    timed_sha256: str
    """Of what the stage `timing` has timed; the page shows seconds of nothing else."""


@dataclass(frozen=True)
class ReportResult:
    """What was written."""

    num_examples: int
    size_mib: float
    """Of the page."""


def write_report(
    backbones: Mapping[str, Reported],
    clips: Clips,
    judge: JudgeFolder,
    directions: DirectionsResult | None,
    others: Path,
    params: Params,
    out: Path,
) -> ReportResult:
    """Write the page and the summary (`Report`) into a folder; the same bytes for the same inputs.

    The page is whole in itself, but for the seconds per video: it shows those that the machine's own `cmet timing` has
    left in `timing` beside it, if it has.

    Args:
        backbones: What there is of each scored backbone, by name.
        clips: The prepared clips.
        judge: Who named the emotions.
        directions: Left out of the page when None.
        others: Folder of results of other methods (`cmet score`), of which those with rows of ours are shown.
        params: The whole experiment.
        out: The folder `reports`; other files in it are left alone.

    Raises:
        UserError: The scores are of another judge, or the edits are not those that were scored.
    """
    card = judge.card
    metrics = {name: made.scores.metrics for name, made in backbones.items()}
    results = {name: made.scores.results for name, made in backbones.items()}
    labels = {
        name: describe(made.scores, made.edits, made.model, clips.table, params) for name, made in backbones.items()
    }
    for name, table in results.items():
        if table["judge"].iloc[0] != card.sha256:
            raise UserError(
                f"{backbones[name].scores.folder}: scored by another judge than {judge.folder}; run 'cmet evaluate'"
            )
    summary = summarise(metrics, labels, card, params)
    ours = _row_ids(results)
    scored = [part for part in read_scored(others) if ours & set(part.results["row_id"].dropna())]
    sections = [_backbone_section(name, made, labels[name], clips, params) for name, made in backbones.items()]
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            sections=sections,
            summary=summary,
            card=card,
            judge_figure=_judge_figure(judge),
            judge_training_set=training_set(card),
            is_synthetic=params.manifest.corpus == "sample",
            held_out_emotion=params.held_out_emotion,
            quarantine=_quarantine(clips.table),
            num_clips=clips.table["split"].value_counts().to_dict(),
            directions=directions and directions.facts,
            params=flatten(params),
            params_sha256=hashlib.sha256(params.model_dump_json().encode()).hexdigest(),
            notes=METHOD_NOTES,
            paper=_paper_tables(params.manifest.corpus, metrics, labels, scored),
            paper_source=paper.source(),
            others=[_other_method(part, results) for part in scored],
        )
    )
    with fresh_file(out / PAGE) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    write_json(out / SUMMARY, summary)
    num_examples = sum(len(section["examples"]) for section in sections)
    return ReportResult(num_examples, round((out / PAGE).stat().st_size / 2**20, 2))


def _paper_tables(
    corpus: str,
    metrics: Mapping[str, Numbers],
    labels: Mapping[str, Labels],
    scored: Sequence[ScoredManifest],
) -> list[dict[str, Any]]:
    """The paper's tables of this corpus with our rows below those of methods; all tables where it has none of it."""
    known = corpus if corpus in paper.CORPORA else None
    tables = paper.of_corpus(paper.paper_tables(), known)
    ours = [
        row
        for name in metrics
        # how long ours take is the machine's, so the page reads it when it is opened
        for row in paper_rows(metrics[name], vars(labels[name]), {}, name)
        if not row["method"].endswith(GROUND_TRUTH)
    ]
    # what another method was made with is not known, so its rows are uncomparable, and the table says so
    ours += [
        row | {"corpus": corpus}
        for part in scored
        for row in paper_rows(part.metrics, {"judge_sha256": part.metrics.judge.sha256}, {}, "")
    ]
    below = {"table1-mead", "table1-cremad", "plug-in"} if known else set()
    joined = {name: paper.beside(table, ours) if name in below else table for name, table in tables.items()}
    return [
        {"title": paper.TITLES[name], "table": paper.shown_table(table), "notes": paper.table_notes(table)}
        for name, table in joined.items()
    ]


def _row_ids(results: Mapping[str, pd.DataFrame]) -> set[str]:
    """The rows that any backbone has edited."""
    return set().union(*(table["row_id"].dropna() for table in results.values()))


def _other_method(part: ScoredManifest, results: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """A set of clips made elsewhere, with how many of its rows are ours too."""
    ours = _row_ids(results)
    theirs = set(part.results["row_id"].dropna())
    judges = {table["judge"].iloc[0] for table in results.values()}
    return {
        "methods": {name: scores for name, scores in part.metrics.methods.items() if name != GROUND_TRUTH},
        "protocol": part.metrics.protocol,
        "num_rows": len(theirs),
        "num_common": len(theirs & ours),
        "is_same_judge": judges == {part.results["judge"].iloc[0]},
        "remarks": part.metrics.remarks,
    }


def _judge_figure(judge: JudgeFolder) -> str | None:
    """The curve of its training; a released judge has none."""
    history = judge.history
    return None if history.empty else figures.to_svg(figures.judge_figure(history), "judge")


def summarise(metrics: Mapping[str, Numbers], labels: Mapping[str, Labels], card: JudgeCard, params: Params) -> Summary:
    """The machine-readable result."""
    ceilings = [numbers.methods[GROUND_TRUTH].acc_emo for numbers in metrics.values()]
    return Summary(
        backbones={
            name: BackboneSummary(
                methods={method: scores for method, scores in numbers.methods.items() if method != GROUND_TRUTH},
                ground_truth=numbers.methods[GROUND_TRUTH],
                held_out=numbers.held_out,
                comparisons=numbers.comparisons,
                floor=numbers.floor,
                num_clusters=numbers.num_clusters,
                labels=labels[name],
            )
            for name, numbers in metrics.items()
        },
        judge=JudgeSummary(
            # all backbones edit the same rows, so the first one's true clips are everyone's
            acc_ground_truth=ceilings[0] if ceilings else None,
            acc_train=card.acc_train,
            acc_val=card.acc_val,
            sha256=card.sha256,
            corpus=card.corpus,
        ),
        chance=1 / len(card.classes),
        confidence=params.evaluate.confidence,
        seed=params.seed,
        synthetic=params.manifest.corpus == "sample",
    )


def _backbone_section(name: str, made: Reported, labels: Labels, clips: Clips, params: Params) -> dict[str, Any]:
    metrics, edits = made.scores.metrics, made.edits.table
    methods, held_out_methods = metrics.methods, metrics.held_out_methods
    chosen = choose_examples(made.scores.answers, made.edits, clips, params.report.num_examples, params.seed)
    emotions = partial(figures.emotion_figure, _joined_emotions(methods, held_out_methods))
    curves = partial(figures.curves_figure, made.model.history)
    return {
        "name": name,
        "metrics": metrics,
        "labels": labels,
        "label_rows": {key: value for key, value in vars(labels).items() if key not in ("dropped", "absent")},
        "timed_sha256": made.timed_sha256,
        "timing_script": f"timing/{name}/{TIMING_SCRIPT}",
        "headline": _headline(metrics),
        "values": _value_rows(methods),
        "has_landmarks": any(name.startswith("lmd/") for scores in methods.values() for name in scores.metrics),
        "emotions": sorted(methods[GROUND_TRUTH].per_emotion),
        "figures": {
            "methods": figures.to_svg(
                figures.method_figure(methods, metrics.chance or CHANCE, is_narrow=True), f"{name}-methods"
            ),
            "emotions": _in_both_widths(emotions, f"{name}-emotions"),
            "levels": figures.to_svg(figures.level_figure(methods), f"{name}-levels"),
            "curves": _in_both_widths(curves, f"{name}-curves"),
        },
        "confusions": {
            method: figures.to_svg(
                figures.confusion_figure(
                    _joined_confusion(scores, held_out_methods.get(method)), method, is_narrow=True
                ),
                f"{name}-confusion-{method}",
            )
            for method, scores in methods.items()
        },
        "examples": [_shown_example(example) for example in chosen],
        "failures": edits.loc[edits["status"] != "ok", "reason"].fillna("unknown").value_counts().to_dict(),
    }


def _in_both_widths(draw: Callable[..., Figure], name: str) -> dict[str, str]:
    """A figure as SVG for a screen and for a phone, of which the page shows the one that fits."""
    return {width: figures.to_svg(draw(is_narrow=width == "narrow"), f"{name}-{width}") for width in ("wide", "narrow")}


def _value_rows(methods: Mapping[str, MethodScores]) -> list[dict[str, Any]]:
    """Every metric besides accuracy that was measured: its title and, for each method, value, interval and counts."""
    edited = {name: scores.metrics for name, scores in methods.items() if name != GROUND_TRUTH}
    return [
        {"title": title, "better": better, "methods": {method: found.get(name) for method, found in edited.items()}}
        for name, (title, better) in TITLES.items()
        if any(name in found for found in edited.values())
    ]


@dataclass(frozen=True)
class Headline:
    """The figures in large print."""

    acc_emo: float
    """Of C-MET."""
    over_neutral: float
    of_oracle: float | None
    """Share of what the oracle reaches; None where it reaches nothing."""


def _headline(metrics: Numbers) -> Headline | None:
    """None where a planned row has no score."""
    methods = metrics.methods
    if not {"cmet", "neutral", "oracle"} <= methods.keys():
        return None
    if any(scores.coverage < 1 for scores in (*methods.values(), *metrics.held_out_methods.values())):
        return None
    driven, oracle = methods["cmet"].acc_emo, methods["oracle"].acc_emo
    return Headline(driven, driven - methods["neutral"].acc_emo, driven / oracle if oracle else None)


def _joined_emotions(
    methods: Mapping[str, MethodScores], held_out: Mapping[str, MethodScores]
) -> dict[str, MethodScores]:
    """The scores with the accuracy of the held-out emotion, marked by a star, among those of the others."""
    left_out = {method: {f"{name} *": value for name, value in scores.per_emotion.items()}
                for method, scores in held_out.items()}  # fmt: skip
    return {
        method: replace(scores, per_emotion=scores.per_emotion | left_out.get(method, {}))
        for method, scores in methods.items()
    }


def _joined_confusion(scores: MethodScores, held_out: MethodScores | None) -> dict[str, dict[str, int]]:
    """Counts with the held-out emotion as the last row, and one set of columns for all rows."""
    rows = dict(scores.confusion)
    if held_out:
        rows |= {f"{emotion} *": counts for emotion, counts in held_out.confusion.items()}
    columns = list(dict.fromkeys(name for counts in rows.values() for name in counts if name != "failed"))
    if any("failed" in counts for counts in rows.values()):
        columns.append("failed")
    return {emotion: {name: counts.get(name, 0) for name in columns} for emotion, counts in rows.items()}


def _shown_example(example: Example) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        strip = Path(folder) / "strip.mp4"
        write_example_strip(example, strip)
        video = base64.b64encode(strip.read_bytes()).decode()
    return {
        "example": example,
        "video": f"data:video/mp4;base64,{video}",
        "panels": [(PANEL_TITLES[name], example.answers[name]) for name in example.panels],
    }


def _quarantine(clips: pd.DataFrame) -> dict[str, int]:
    reasons = clips.loc[clips["status"] != "ok", "reason"].fillna("unknown").str.split(":").str[0]
    return {str(reason): int(count) for reason, count in reasons.value_counts().sort_index().items()}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cmet.report"),
        autoescape=select_autoescape(["html", "j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda value: f"{100 * value:.1f}"
    environment.filters["significant"] = lambda value: f"{value:#.3g}".rstrip(".")
    environment.filters["shown"] = figures.display_name
    environment.filters["measure"] = lambda name: name.capitalize() if name in ("sync", "identity") else name.upper()
    environment.filters["in_full"] = lambda method: "judge on true clips" if method == GROUND_TRUTH else method
    return environment
