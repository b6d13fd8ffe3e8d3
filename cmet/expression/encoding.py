"""Expression codes of prepared clips, and the fitting of backbones that learn their codes from the corpus."""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from cmet.backbones.backbone import Backbone
from cmet.backbones.published.used_weights import weights_digests
from cmet.backbones.registry import backbone_class
from cmet.clips.product import Clips
from cmet.engine.attempts import Job
from cmet.engine.clip_map import ClipMap
from cmet.engine.earlier import Earlier
from cmet.errors import UserError
from cmet.expression.product import CODES, MODEL, QUARANTINE, TRACKS, Faces, array_name
from cmet.expression.tracking import track_clip
from cmet.packs import content_state, pack_files, write_packs
from cmet.params import ExpressionParams, InferenceParams
from cmet.quarantine import check_rejected, count_reasons


@dataclass(frozen=True)
class ExpressionReport:
    """Counts of an encoding."""

    num_clips: int
    num_quarantined: int
    num_frames: int
    width: int
    face_ratio: float | None
    """Share of all frames in which the face was found; None where the backbone looks for none in a prepared clip."""
    quarantined_by_reason: dict[str, int]


def write_expression(
    clips: Clips,
    backbone: str,
    held_out_emotion: str | None,
    earlier: Earlier,
    work: Path,
    params: ExpressionParams,
    weights: Path,
    inference: InferenceParams,
) -> ExpressionReport:
    """Track every usable clip, fit the backbone if it is one that is fitted, and encode the tracks.

    Args:
        clips: The prepared clips.
        backbone: Name in the registry.
        held_out_emotion: Clips of this emotion take no part in fitting.
        earlier: The output of before, of which tracks of clips that have not changed are taken over. In its place comes
            what `Faces` reads, and `quarantine.csv`.
        work: Keeps finished clips over an interruption.
        params: The `expression` section.
        weights: Folder of published checkpoints.
        inference: The `inference` section.

    Raises:
        UserError: More clips were quarantined than `max_rejected` allows, too few are left to fit on, or a file of
            weights is missing or is another one.
    """
    kind = backbone_class(backbone)
    used = weights_digests(kind.weights, weights)
    usable = clips.usable[clips.usable.num_frames.notna()].set_index("clip_id")
    jobs: list[Job] = [
        {
            "clip_id": clip_id,
            "video": str(clips.video(clip_id)),
            "backbone": backbone,
            "min_face_ratio": params.min_face_ratio,
            "weights": str(weights),
            "inference": inference.model_dump(),
            "stamp": {
                "weights": used,
                "inference": inference.model_dump(),
                "video": content_state(clips.video(clip_id)),
            },
        }
        for clip_id in usable.index
    ]
    clip_map = ClipMap(track_clip, work, f"expression {backbone}", earlier=earlier)
    records = pd.DataFrame(clip_map.run(jobs, uses_networks=bool(kind.weights)), columns=_COLUMNS)
    records = records.set_index("clip_id")
    is_bad = records.status.eq("quarantined")
    check_rejected("expression", is_bad, records.reason, params.max_rejected)
    files = clip_map.files
    good = usable.loc[records.index[~is_bad]]
    pack_files(files / TRACKS, map(array_name, good.index), f"expression {backbone}: packing the tracks")
    tracked = Faces(files)
    model = kind.fit(good, clips.video, tracked.track, held_out_emotion, params, weights, inference)
    write_faces(files, model, tracked, good.index, f"expression {backbone}: codes")
    records.loc[is_bad, ["reason"]].to_csv(files / QUARANTINE)
    clip_map.publish(earlier.out)
    return ExpressionReport(
        num_clips=len(good),
        num_quarantined=int(is_bad.sum()),
        num_frames=int(records.num_frames.sum()),
        width=model.width,
        face_ratio=None if kind.weights else float(records.num_faces.sum() / records.num_frames.sum()),
        quarantined_by_reason=count_reasons(records.reason.dropna()),
    )


def write_faces(out: Path, model: Backbone, tracked: Faces, clip_ids: Iterable[str], label: str) -> None:
    """Write a fitted backbone and the codes that it reads off the tracks of clips, into an existing folder.

    Args:
        out: The folder.
        model: The backbone.
        tracked: Has the tracks.
        clip_ids: The clips.
        label: Of the progress.

    Raises:
        UserError: Codes are no numbers.
    """
    (out / MODEL).mkdir(exist_ok=True)
    model.save(out / MODEL)
    clips = {array_name(clip_id): clip_id for clip_id in clip_ids}

    def codes(name: str) -> bytes:
        codes_TK = model.encode(tracked.track(clips[name]))
        if not np.isfinite(codes_TK).all():
            raise UserError(
                f"expression: the codes of {clips[name]} are no numbers; look at its video, or leave it out"
            )
        stream = BytesIO()
        np.save(stream, codes_TK)
        return stream.getvalue()

    write_packs(out / CODES, clips, codes, label)


_COLUMNS = ["clip_id", "status", "reason", "num_frames", "num_faces"]
