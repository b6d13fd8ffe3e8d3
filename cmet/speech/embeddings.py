"""Speech embeddings of prepared clips."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cmet.clips.preparation import below, check_rejected
from cmet.corpora.scan import count_reasons
from cmet.engine import ClipMap, Job, Record
from cmet.errors import UserError
from cmet.media.audio import read_audio
from cmet.outputs import fresh_folder
from cmet.params import SpeechParams
from cmet.speech.encoders.precomputed import NO_FEATURES
from cmet.speech.encoders.protocol import SAMPLE_RATE_HZ
from cmet.speech.encoders.registry import load_encoder


@dataclass(frozen=True)
class SpeechReport:
    """Counts of an embedding run."""

    num_clips: int
    num_quarantined: int
    width: int
    quarantined_by_reason: dict[str, int]


def write_embeddings(
    clips: pd.DataFrame, clips_folder: Path, root: Path, encoder: str, out: Path, work: Path, params: SpeechParams
) -> SpeechReport:
    """Embed the sound of every usable clip.

    Args:
        clips: Rows of `clips.parquet`.
        clips_folder: Folder that holds `audio/<clip_id>.wav`.
        root: Folder of the raw corpus, for encoders that read vectors from there.
        encoder: Name in the registry.
        out: Gets `embeddings.parquet` (clip_id, embedding) and `quarantine.csv` (clip_id, reason).
        work: Keeps finished clips over an interruption.
        params: The `speech` section.

    Raises:
        UserError: What the encoder needs is not here, or more clips were quarantined than `max_rejected` allows, or
            all.
    """
    speech = load_encoder(encoder)
    if speech.check is not None:
        speech.check()
    jobs: list[Job] = [
        {
            "clip_id": row["clip_id"],
            "encoder": encoder,
            "sound": str(clips_folder / "audio" / f"{row['clip_id']}.wav"),
            "raw": below(root, row["audio"]) or below(root, row["video"]),
        }
        for row in clips[clips.status == "ok"].to_dict("records")
    ]
    clip_map = ClipMap(embed_clip, work, f"speech {encoder}")
    records = pd.DataFrame(clip_map.run(jobs)).set_index("clip_id")
    is_bad = records.status.eq("quarantined")
    if count_reasons(records.reason.dropna()) == {NO_FEATURES: len(records)}:
        raise UserError(
            f"speech: no features of {encoder} for any of {len(records)} clips, first {records.reason.iloc[0]}; "
            "the corpus has none beside its sounds; use opensmile or emotion2vec"
        )
    check_rejected("speech", is_bad, records.reason, params.max_rejected)
    vectors = [np.load(work / "files" / f"{clip_id}.npy") for clip_id in records.index[~is_bad]]
    with fresh_folder(out) as folder:
        table = pd.DataFrame({"clip_id": records.index[~is_bad], "embedding": vectors})
        table.to_parquet(folder / "embeddings.parquet", index=False)
        records.loc[is_bad, ["reason"]].to_csv(folder / "quarantine.csv")
    clip_map.forget()
    return SpeechReport(len(vectors), int(is_bad.sum()), len(vectors[0]), count_reasons(records.reason.dropna()))


def embed_clip(job: Job, files: Path) -> Record:
    """Embed one clip and keep the vector beside the record."""
    encoder = load_encoder(job["encoder"])
    if encoder.embed is not None:
        vector = encoder.embed(read_audio(Path(job["sound"]), SAMPLE_RATE_HZ))
    else:
        assert encoder.read is not None
        vector = encoder.read(Path(job["raw"]))
    np.save(files / f"{job['clip_id']}.npy", vector)
    return {}


def read_embeddings(folder: Path) -> pd.Series:
    """Vectors by clip id."""
    return pd.read_parquet(folder / "embeddings.parquet").set_index("clip_id").embedding
