"""Prepared clips: the face at one size and frame rate, its sound at one sample rate, both over the same span."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cmet.corpora.scan import count_reasons
from cmet.engine import ClipMap, Job
from cmet.errors import UserError
from cmet.media.prepare import prepare_clip
from cmet.params import ClipsParams


@dataclass(frozen=True)
class ClipsReport:
    """Counts of a preparation."""

    num_clips: int
    num_quarantined: int
    num_frames: int
    duration_s: float
    quarantined_by_reason: dict[str, int]


def prepare_clips(manifest: pd.DataFrame, root: Path, out: Path, work: Path, params: ClipsParams) -> ClipsReport:
    """Prepare all usable clips of a manifest.

    Args:
        manifest: Rows of `manifest.parquet`.
        root: Folder of the raw corpus.
        out: Gets `video/<clip_id>.mp4`, `audio/<clip_id>.wav` and `clips.parquet`: the manifest with the facts of
            each prepared clip and the reason of each quarantined one.
        work: Keeps finished clips over an interruption.
        params: The `clips` section.

    Raises:
        UserError: More clips were quarantined than `max_rejected` allows, or all.
    """
    usable = manifest[manifest.status == "ok"]
    settings = params.model_dump()
    jobs: list[Job] = [
        {
            "clip_id": row["clip_id"],
            "video": _below(root, row["video"]),
            "audio": _below(root, row["audio"]),
            **settings,
        }
        for row in usable.to_dict("records")
    ]
    clip_map = ClipMap(prepare_clip, work, "clips")
    records = pd.DataFrame(clip_map.run(jobs)).set_index("clip_id")
    clips = manifest.set_index("clip_id")
    clips = clips.join(records.drop(columns=["status", "reason"]))
    clips.update(records[["status", "reason"]])
    check_rejected("clips", records.status.eq("quarantined"), records.reason, params.max_rejected)
    files = work / "files"
    clips.reset_index().to_parquet(files / "clips.parquet", index=False)
    clip_map.publish(out)
    ok = clips[clips.status == "ok"]
    return ClipsReport(
        num_clips=len(ok),
        num_quarantined=len(clips) - len(ok),
        num_frames=int(ok.num_frames.sum()),
        duration_s=float(ok.duration_s.sum()),
        quarantined_by_reason=count_reasons(clips.reason.dropna()),
    )


def check_rejected(stage: str, is_rejected: pd.Series, reasons: pd.Series, max_rejected: float) -> None:
    """Stop a stage that lost too many clips.

    Raises:
        UserError: With the count and the first few reasons.
    """
    share = float(is_rejected.mean()) if len(is_rejected) else 1.0
    if share > max_rejected or share == 1.0:
        first = "; ".join(f"{clip_id}: {reason}" for clip_id, reason in reasons[is_rejected].head(3).items())
        raise UserError(
            f"{stage}: {int(is_rejected.sum())} of {len(is_rejected)} clips rejected, {stage}.max_rejected allows "
            f"{max_rejected:.0%}; first {first}"
        )


def _below(root: Path, path: str | None) -> str | None:
    return str(root / path) if path else None
