"""The clips that are judged: every method edits the same neutral clips of the test speakers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cmet.backbones.registry import backbone_class
from cmet.edits.material import EditRecipe, Material
from cmet.edits.methods import cmet_codes, draw_references, oracle_codes, reference_codes
from cmet.edits.pools import choose_speech, speech_deltas, with_level
from cmet.edits.product import PROTOCOL, TABLE, sample_ids
from cmet.edits.rendering import render_row
from cmet.edits.rows import planned_rows, protocol_facts
from cmet.engine.attempts import Job
from cmet.engine.clip_map import ClipMap
from cmet.outputs import write_json
from cmet.packs import pack_files
from cmet.vocabulary import METHODS


@dataclass(frozen=True)
class EditsReport:
    """Counts of the edited clips."""

    num_rows: int
    num_clips: int
    num_failed: int
    num_frames: int


def write_edits(
    material: Material, recipe: EditRecipe, out: Path, work: Path, methods: Sequence[str] = METHODS
) -> EditsReport:
    """Edit the neutral clip of every planned row by every method.

    Args:
        material: What the edits are made of.
        recipe: How.
        out: Gets what `Edits` reads, with packs of the videos of each method.
        work: Keeps finished clips over an interruption.
        methods: Those of `METHODS` that are wanted; the work folder is for the same ones always.

    Raises:
        UserError: There are no rows, or a file of weights is missing.
    """
    bundle, faces, clips = material.bundle, material.faces, material.clips
    backbone, params = bundle.config.backbone, recipe.edits
    lips, used = recipe.lips(backbone), recipe.used_weights(backbone, material.weights)
    rows = with_level(planned_rows(material.pairs, clips.table, params, recipe.held_out_emotion))
    whole = rows[rows.reason.isna()]
    speech = choose_speech(whole, clips.table, material.voices.clip_ids, params)
    protocol = protocol_facts(rows, speech, params)
    deltas = speech_deltas(speech, material.voices, bundle)
    references = draw_references(whole, clips.table, faces, recipe.seed)
    jobs: list[Job] = []
    for row in whole.to_dict("records"):
        own = faces.codes(row["source_clip"])
        delta = deltas[row["emotion"], row["level"]]
        reference = references[row["row_id"]]
        edited = {
            "neutral": own,
            "reference": None if reference is None else reference_codes(own, faces.codes(reference)),
            "cmet": cmet_codes(own, bundle, delta, params.strength),
            "oracle": oracle_codes(own, faces.codes(row["target_clip"])),
        }
        jobs.append(
            {
                "clip_id": row["row_id"],
                "source_clip": row["source_clip"],
                "identity_frame": params.identity_frame,
                "clips": str(clips.folder),
                "expression": str(faces.folder),
                "backbone": backbone,
                "crf": recipe.crf,
                "lips": lips,
                "weights": str(material.weights),
                "inference": recipe.inference.model_dump(),
                "stamp": {"inference": recipe.inference.model_dump(), "weights": used},
                "codes": {method: made for method, made in edited.items() if method in methods},
            }
        )
    clip_map = ClipMap(render_row, work, f"edits {backbone}")
    uses_networks = bool(backbone_class(backbone).weights)
    records = pd.DataFrame(clip_map.run(jobs, uses_networks=uses_networks)).set_index("clip_id")
    files = clip_map.files
    edits = pd.concat([_method_rows(rows, records, references, method) for method in methods])
    edits = edits.assign(backbone=backbone, protocol=protocol.name, lips=lips)
    edits = edits.assign(sample_id=sample_ids(edits))
    for method, made in edits.groupby("method").video:
        names = made.dropna().str.removeprefix(f"{method}/")
        pack_files(files / str(method), names, f"edits {backbone}: packing {method}")
    edits.to_parquet(files / TABLE, index=False)
    write_json(files / PROTOCOL, protocol)
    clip_map.publish(out)
    is_ok = edits.status == "ok"
    return EditsReport(
        len(rows), int(is_ok.sum()), int((~is_ok).sum()), int(records.get("num_frames", pd.Series()).sum())
    )


def _method_rows(
    rows: pd.DataFrame, records: pd.DataFrame, references: dict[str, str | None], method: str
) -> pd.DataFrame:
    columns = ["row_id", "speaker", "sentence", "emotion", "intensity", "source_clip", "target_clip", "is_held_out"]
    made = records.reindex(rows.row_id)
    reasons = rows.reason.where(rows.reason.notna(), made.reason.to_numpy())
    status: pd.Series = pd.Series(np.where(rows.reason.notna(), "failed", made.status.to_numpy()), index=rows.index)
    if method == "reference":
        absent = (status == "ok") & rows.row_id.map(references).isna()
        status = status.mask(absent, "failed")
        reasons = reasons.mask(absent, "no_reference: no training clip of this emotion and level")
    video = method + "/" + rows.row_id + ".mp4"
    return rows[columns].assign(method=method, status=status, reason=reasons, video=video.where(status == "ok"))
