"""Facts that must hold for the outputs of a stage. A check computes and reports; an error stays an error."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from assets.dvc_project import DvcProject, DvcStage
from cmet.params import ParamsError, Undeclared
from cmet.project import Project
from cmet.text_tables import markdown_text
from cmet.vocabulary import CHANCE

SAMPLE_FACE_RATIO = 0.99
"""Share of frames of the sample corpus in which the face must be found; other corpora go by their params."""

NUM_SPEAKERS_SHOWN = 10


@dataclass(frozen=True)
class Fact:
    """What a check found."""

    is_true: bool
    description: str
    numbers: dict[str, Any]


@dataclass(frozen=True)
class Check:
    """A fact about the outputs of a stage."""

    function: Callable[..., Fact]
    """Takes the project, and where a stage has variants the one that is meant."""
    is_blocking: bool = False
    """A false fact stops what comes after, since its numbers would be wrong."""

    @property
    def name(self) -> str:
        """The fact in words."""
        return self.function.__name__


def stage_checks(stages: Sequence[DvcStage]) -> list[dg.AssetChecksDefinition]:
    """All checks of all stages, each once per variant."""
    return [asset_check(check, stage) for stage in stages for check in CHECKS.get(stage.kind, ())]


def asset_check(check: Check, stage: DvcStage) -> dg.AssetChecksDefinition:
    """A check as Dagster runs it after its asset."""

    @dg.asset_check(
        asset=stage.key, name=check.name, blocking=check.is_blocking, description=check.function.__doc__ or ""
    )
    def fact(project: DvcProject) -> dg.AssetCheckResult:
        return _result(check, stage, project.path)

    return fact


def check_evaluations(stage: DvcStage, root: Path) -> list[dg.AssetCheckEvaluation]:
    """What the checks of a stage find now, for one that no run of Dagster has made."""
    checks = CHECKS.get(stage.kind, ())
    return [
        dg.AssetCheckEvaluation(
            asset_key=stage.key,
            check_name=check.name,
            passed=found.passed,
            metadata=found.metadata,
            severity=found.severity,
            description=found.description,
            blocking=check.is_blocking,
        )
        for check, found in ((check, _result(check, stage, root)) for check in checks)
    ]


def _result(check: Check, stage: DvcStage, root: Path) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.ERROR if check.is_blocking else dg.AssetCheckSeverity.WARN
    try:
        found = _looked_at(check, root, stage.arguments)
    except ParamsError as error:
        # somebody is editing it: no reason to fail a run whose stage is done
        found, severity = Fact(False, f"not looked at: {error}", {}), dg.AssetCheckSeverity.WARN
    # the page of Dagster takes a description for Markdown
    shown = markdown_text(found.description)
    return dg.AssetCheckResult(passed=found.is_true, severity=severity, description=shown, metadata=found.numbers)


def _looked_at(check: Check, root: Path, variant: Sequence[str]) -> Fact:
    """What a check finds; only one that needs parameters needs a params.yaml that can be read.

    Raises:
        ParamsError: It cannot be read, and the check needs it.
    """
    try:
        project = Project.at(root / "params.yaml")
    except ParamsError as error:
        try:
            return check.function(Project.of_outputs(root), *variant)
        except Undeclared:
            raise error from None
    return check.function(project, *variant)


def speakers_do_not_cross_splits(project: Project) -> Fact:
    """No speaker is in two splits."""
    usable = project.manifest().usable
    splits = usable.groupby("speaker").split.nunique()
    crossing = splits.index[splits > 1].to_list()
    shown = f"some in several splits: {', '.join(crossing[:NUM_SPEAKERS_SHOWN])}" if crossing else "each in one split"
    numbers = {"num_speakers": len(splits), "num_crossing": len(crossing)}
    return Fact(not crossing, f"{len(splits)} speakers, {shown}", numbers)


def every_split_has_speakers(project: Project) -> Fact:
    """There is somebody to train on, to validate on and to test on."""
    counts = project.manifest().usable.groupby("split").speaker.nunique()
    numbers = {split: int(counts.get(split, 0)) for split in ("train", "val", "test")}
    return Fact(all(numbers.values()), ", ".join(f"{split} {count}" for split, count in numbers.items()), numbers)


def few_clips_are_quarantined(project: Project) -> Fact:
    """No more clips of the corpus are lost than `clips.max_rejected` allows, unreadable names included."""
    clips = project.clips().table
    share = float((clips.status != "ok").mean())
    allowed = project.params.clips.max_rejected
    return Fact(share <= allowed, f"{share:.1%} of {len(clips)} clips, {allowed:.0%} allowed", {"share": share})


def faces_are_found(project: Project, backbone: str) -> Fact:
    """The face is found in nearly all frames."""
    ratio = project.places.reported("expression", backbone)["face_ratio"]
    if ratio is None:
        return Fact(True, "this backbone takes the face of a prepared clip for granted", {})
    is_sample = project.params.manifest.corpus == "sample"
    needed = SAMPLE_FACE_RATIO if is_sample else project.params.expression.min_face_ratio
    return Fact(ratio >= needed, f"in {ratio:.2%} of the frames, {needed:.0%} needed", {"face_ratio": ratio})


def every_emotional_clip_has_a_neutral(project: Project, backbone: str) -> Fact:
    """Every emotional clip has a neutral clip of the same speaker and sentence."""
    clips = project.clips().usable.set_index("clip_id")
    pairs = project.pairs(backbone).table
    usable = clips[clips.emotion != "neutral"]
    alone = usable.index.difference(pd.Index(pairs.emotional_clip))
    first = f", first {alone[0]}" if len(alone) else ""
    return Fact(
        alone.empty, f"{len(alone)} of {len(usable)} emotional clips have none{first}", {"num_alone": len(alone)}
    )


def held_out_emotion_is_not_in_training_shards(project: Project, backbone: str) -> Fact:
    """The connector can see no pair of the held-out emotion while it is trained or chosen."""
    held_out = project.params.held_out_emotion
    if held_out is None:
        return Fact(True, "no emotion is held out", {})
    index = project.shards(backbone).index
    pairs = project.pairs(backbone).table
    emotions = pairs.set_index("pair_id").emotion.loc[index.key].to_numpy()
    counts = index.split[emotions == held_out].value_counts()
    numbers = {split: int(counts.get(split, 0)) for split in ("train", "val", "test")}
    found = ", ".join(f"{split} {count}" for split, count in numbers.items())
    return Fact(numbers["train"] + numbers["val"] == 0, f"pairs of {held_out}: {found}", numbers)


def prediction_beats_the_mean_change(project: Project, backbone: str) -> Fact:
    """On the validation speakers the predicted change is nearer to the true one than the mean change of training."""
    validation = project.places.reported("train", backbone)["validation"]
    if not validation:
        return Fact(False, "there are no validation pairs to measure on", {})
    error, mean = validation["delta_mse"], validation["delta_mse_mean"]
    numbers = {"error": error, "error_of_mean": mean}
    return Fact(error < mean, f"error {error:.4f}, that of the mean change {mean:.4f}", numbers)


def judge_never_saw_test_speakers(project: Project) -> Fact:
    """The judge was trained on training speakers only."""
    clips = project.clips().table
    card = project.judge().card
    if not card.train_speakers:
        return Fact(True, f"not known: a released judge, trained on {card.trained_on}", {})
    seen = sorted(set(card.train_speakers) & set(clips.speaker[clips.split != "train"]))
    shown = f"saw {', '.join(seen)}" if seen else f"saw {len(card.train_speakers)} training speakers"
    return Fact(not seen, shown, {"num_seen": len(seen)})


def judge_is_better_than_chance(project: Project) -> Fact:
    """On speakers it never saw, the judge is right more often than chance by at least two standard errors."""
    report = project.places.reported("judge")
    if not report["num_val_clips"]:
        return Fact(False, "there are no clips of validation speakers to measure on", {})
    needed = CHANCE + 2 * (CHANCE * (1 - CHANCE) / report["num_val_clips"]) ** 0.5
    accuracy = float(report["acc_val"])
    numbers = {"accuracy": accuracy, "chance": CHANCE}
    return Fact(accuracy > needed, f"accuracy {accuracy:.3f}, chance {CHANCE:.3f}, needed {needed:.3f}", numbers)


def every_method_edited_every_row(project: Project, backbone: str) -> Fact:
    """No edit failed, and all methods edited the same rows."""
    edits = project.edits(backbone).table
    made = edits[edits.status == "ok"]
    counts = {str(method): int((made.method == method).sum()) for method in edits.method.unique()}
    num_rows = edits.row_id.nunique()
    shown = ", ".join(f"{method} {count}" for method, count in counts.items())
    return Fact(set(counts.values()) == {num_rows}, f"{num_rows} rows; {shown}", counts)


def cmet_beats_no_edit(project: Project, backbone: str) -> Fact:
    """C-MET shows the wanted emotion more often than the unedited clips do, beyond the uncertainty."""
    gain = project.scores(backbone).metrics.comparisons["cmet-neutral"]
    low, high = gain.interval
    return Fact(low > 0, f"{gain.difference:+.1%}, interval {low:+.1%} to {high:+.1%}", {"gain": gain.difference})


CHECKS: dict[str, tuple[Check, ...]] = {
    "manifest": (Check(speakers_do_not_cross_splits, is_blocking=True), Check(every_split_has_speakers)),
    "clips": (Check(few_clips_are_quarantined),),
    "expression": (Check(faces_are_found),),
    "deltas": (Check(every_emotional_clip_has_a_neutral),),
    "shards": (Check(held_out_emotion_is_not_in_training_shards, is_blocking=True),),
    "train": (Check(prediction_beats_the_mean_change),),
    "judge": (Check(judge_never_saw_test_speakers, is_blocking=True), Check(judge_is_better_than_chance)),
    "edits": (Check(every_method_edited_every_row),),
    "evaluate": (Check(cmet_beats_no_edit),),
}
