"""Clips that another method made, scored as ours are: same judge, same metrics, same rules for lost clips."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cmet.errors import ClipError, UserError
from cmet.outputs import fresh_folder, write_json
from cmet.params import ClipForm, EvaluateParams
from cmet.progress import counted
from cmet.scores.manifest import check_generated, manifest_remarks, read_manifest, unlike_judged
from cmet.scores.measured import ManifestNumbers, Numbers, Value
from cmet.scores.metrics.registry import load_metrics
from cmet.scores.other_results import ScoredManifest
from cmet.scores.results import METRICS, RESULTS, write_results
from cmet.scores.scoring import score_clips
from cmet.scores.tables import measure
from cmet.text_tables import text_table
from cmet.vocabulary import GROUND_TRUTH, METHODS

if TYPE_CHECKING:
    from cmet.judge.classifier import Judge

OWN_BACKBONE = "its own"
UNKNOWN_CORPUS = "not stated"


def check_results_folder(out: Path) -> None:
    """Refuse a place where results would take the place of something else.

    Raises:
        UserError: It is a file, or a folder that holds anything but results.
    """
    if out.is_file():
        raise UserError(f"--out {out}: this is a file; name a folder")
    inside = sorted(path.name for path in out.iterdir()) if out.is_dir() else []
    others = [name for name in inside if name not in (RESULTS, METRICS)]
    if others:
        raise UserError(f"--out {out}: holds {others[0]}, which is not a result of this command; name another folder")


def check_method(name: str) -> None:
    """Refuse a name that cannot be the name of a folder.

    Raises:
        UserError: As said.
    """
    if not re.fullmatch(r"\w[\w .+-]*", name):
        raise UserError(
            f"--method {name!r}: use letters, digits, spaces and . _ + - only, beginning with a letter, a digit or _"
        )


def score_manifest(
    manifest: Path,
    root: Path | None,
    method: str | None,
    judge: "Judge",
    weights: Path,
    params: EvaluateParams,
    seed: int,
    out: Path,
) -> ScoredManifest:
    """Score the made clips of a manifest, and its true clips as the ceiling.

    Args:
        manifest: A CSV file in the official format (`read_manifest`).
        root: Where its relative paths count from; its folder when None.
        method: Name of the method where the file has no such column; the name of the file when None.
        judge: Names the emotions.
        weights: Folder of published checkpoints.
        params: Which metrics, and how intervals are drawn.
        seed: Of the bootstrap.
        out: Folder that gets `results.parquet` and `metrics.json`.

    Raises:
        UserError: As `read_manifest` and `check_results_folder`, or a method has the name of one of ours.
    """
    check_results_folder(out)
    rows = read_manifest(manifest, root)
    if method is not None and rows["method"].notna().any():
        raise UserError(f"--method {method}: {manifest} has a column method; leave out one of the two")
    rows = rows.assign(method=rows["method"].where(rows["method"].notna(), method or manifest.stem))
    taken = sorted(set(rows["method"]) & {*METHODS, GROUND_TRUTH})
    if taken:
        raise UserError(f"{manifest}: {', '.join(taken)} is the name of a method of ours; give another with --method")
    clips, remarks = _checked(rows, judge.card.clips)
    ready, absent = load_metrics(params.metrics, weights)
    results = score_clips(clips, judge, ready, "score")
    metrics = ManifestNumbers(
        **vars(measure(results, params, seed)),
        judge=judge.card.as_scored(),
        absent=absent,
        manifest_sha256=hashlib.sha256(manifest.read_bytes()).hexdigest(),
        remarks=[*manifest_remarks(rows), *remarks],
    )
    with fresh_folder(out) as folder:
        write_results(results, folder / RESULTS)
        write_json(folder / METRICS, metrics)
    return ScoredManifest(results, metrics)


@dataclass(frozen=True)
class VideoAnswer:
    """What the judge says of a single video."""

    video: Path
    logits: dict[str, float]
    """By emotion, the highest first; empty where the video cannot be read."""
    reason: str | None
    """Why it cannot be read."""

    @property
    def predicted(self) -> str | None:
        """The emotion."""
        return next(iter(self.logits), None)


def video_answers(videos: Sequence[Path], judge: "Judge") -> list[VideoAnswer]:
    """What the judge says of single videos."""
    found = []
    for video, answer in zip(videos, judge.classify_clips(videos, "score"), strict=True):
        if isinstance(answer, ClipError):
            found.append(VideoAnswer(video, {}, str(answer)))
            continue
        ordered = sorted(zip(judge.classes, answer.tolist(), strict=True), key=lambda pair: -pair[1])
        found.append(VideoAnswer(video, dict(ordered), None))
    return found


def answer_table(answers: Sequence[VideoAnswer]) -> str:
    """The answers as a table."""
    rows = []
    for answer in answers:
        if answer.reason is not None:
            rows.append([str(answer.video), "-", "", answer.reason])
            continue
        (best, highest), (second, next_highest), *_ = answer.logits.items()
        rows.append([str(answer.video), best, f"{highest - next_highest:.2f}", f"then {second}"])
    return text_table(["video", "the judge says", "ahead by (logit)", ""], rows, ["ahead by (logit)"])


def unlike_training(videos: Sequence[Path], judge: "Judge") -> list[str]:
    """What is to be said of single videos that differ from the clips that the judge was trained on."""
    if judge.card.clips is None:
        return []
    found = []
    for video in videos:
        # one that cannot be read is told in the table
        with suppress(ClipError):
            found += [f"{video} has {said.split(': ')[1]}" for said in unlike_judged(video, judge.card.clips)]
    return found


def scored_table(parts: Sequence[tuple[str, Numbers]]) -> str:
    """Accuracy of every method of several sets of numbers, each under the name of its part."""
    rows = []
    for name, metrics in parts:
        for method, scores in metrics.methods.items():
            low, high = scores.interval
            rows.append([
                name, "judge on true clips" if method == GROUND_TRUTH else method, f"{100 * scores.acc_emo:.2f}",
                f"{100 * low:.1f} - {100 * high:.1f}", f"{100 * scores.acc_emo_macro:.2f}",
                f"{scores.num_correct} / {scores.n}", f"{scores.coverage:.4f}",
                *(_value(scores.metrics.get(metric)) for metric in _measured(parts)),
            ])  # fmt: skip
    headings = ["results", "method", "Acc_emo %", "interval %", "macro %", "right", "coverage", *_measured(parts)]
    return text_table(headings, rows, headings[2:])


def same_rows(rows: pd.DataFrame, judge: str, others: pd.DataFrame) -> pd.DataFrame:
    """Those of other results that are of the same rows, none of them held out.

    Args:
        rows: What is scored, with `row_id` and `emotion`.
        judge: SHA-256 of the weights of its judge.
        others: The other results.

    Raises:
        UserError: No row is the same, a row wants another emotion, or another judge was asked.
    """
    common = others[others["row_id"].isin(rows["row_id"])]
    if common.empty:
        first, second = rows["row_id"].iloc[0], others["row_id"].dropna().iloc[0]
        raise UserError(
            f"no row is in both results: one has {first}, the other {second}; rows are named in a column id"
        )
    if others["judge"].iloc[0] != judge:
        raise UserError("the other results come from another judge, so the numbers cannot share a table")
    wanted = [table.drop_duplicates("row_id").set_index("row_id")["emotion"] for table in (rows, common)]
    differing = wanted[1].index[wanted[1] != wanted[0].reindex(wanted[1].index)]
    if len(differing):
        raise UserError(f"{len(differing)} row(s) want a different emotion in the other results, first {differing[0]}")
    # a manifest knows of no held-out emotion: all rows count on both sides
    return common.assign(is_held_out=False)


def _checked(rows: pd.DataFrame, judge_clips: ClipForm | None) -> tuple[pd.DataFrame, list[str]]:
    """All clips that are judged, the true ones as a method of their own, and remarks with their counts."""
    remarks: Counter[str] = Counter()
    reasons: list[str | None] = []
    for row in counted(rows.itertuples(), "score: files", len(rows), "clip"):
        checked = check_generated(row, judge_clips)
        reasons.append(None if checked.failure is None else str(checked.failure))
        remarks.update(remark.split(":")[0] for remark in checked.remarks)
    is_lost = pd.Series([reason is not None for reason in reasons], index=rows.index)
    made = rows.assign(
        reason=pd.Series(reasons, index=rows.index, dtype=object),
        video=rows["video"].mask(is_lost, None).astype(object).where(~is_lost, None),
        sound=[source if sound is None else sound for sound, source in zip(rows["sound"], rows["source"], strict=True)],
        corpus=_corpus(rows),
        backbone=OWN_BACKBONE,
        protocol=_protocol(rows),
        is_held_out=False,
        source_clip=[path.stem for path in rows["source"]],
        target_clip=[path.stem for path in rows["truth"]],
    )
    truths = made.drop_duplicates("row_id").assign(method=GROUND_TRUTH, video=lambda table: table.truth, reason=None)
    lost = Counter(reason.split(":")[0] for reason in reasons if reason is not None)
    found = [f"{code}: {count} of {len(rows)} clips, which count as wrong" for code, count in sorted(lost.items())]
    found += [f"{code} in {count} of {len(rows)} clips that were judged" for code, count in sorted(remarks.items())]
    return pd.concat([made, truths], ignore_index=True), found


def _corpus(rows: pd.DataFrame) -> str:
    """Where all rows are told by paths of one corpus, that corpus."""
    corpora = set(rows["corpus"])
    return str(corpora.pop()) if len(corpora) == 1 and None not in corpora else UNKNOWN_CORPUS


def _protocol(rows: pd.DataFrame) -> str:
    """As the manifest says; else a name made of its rows, since nobody says which speech was heard."""
    given = rows["protocol"].iloc[0]
    if given:
        return str(given)
    digest = hashlib.sha256("\n".join(sorted(set(rows["row_id"]))).encode()).hexdigest()
    return f"not-stated-{digest[:8]}"


def _measured(parts: Sequence[tuple[str, Numbers]]) -> list[str]:
    names = [name for _, metrics in parts for scores in metrics.methods.values() for name in scores.metrics]
    return list(dict.fromkeys(names))


def _value(found: Value | None) -> str:
    return "" if found is None or found.value is None else f"{found.value:#.4g}"
