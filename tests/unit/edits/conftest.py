"""Two rendered actors, who are edited by a facemesh backbone that was made for others."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.clips.product import Clips
from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.edits.material import Material
from cmet.expression.encoding import write_faces
from cmet.expression.product import Faces
from cmet.media.sound import read_sound
from cmet.media.video import read_video
from cmet.params import Params
from cmet.speech.product import Voices
from tests.packing import pack_all, pack_arrays
from tests.unit.backbones.faces import made_model
from tests.unit.edits.making import RATE_HZ, WIDTH, made_bundle, write_clip

SPEECH_WIDTH = 88
NUM_FRAMES = 8
"""Of a rendered clip."""


@pytest.fixture(scope="session")
def material(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A neutral and a happy clip of a test speaker, who is edited, and a happy one of a training speaker."""
    root: Path = tmp_path_factory.mktemp("corpus")
    clips, faces, voices = Clips(root / "clips", root), Faces(root / "expression"), Voices(root / "speech")
    for folder in (faces.all_tracks, voices.folder):
        folder.mkdir(parents=True)
    jobs = [job for job in list_clips(params.sample, seed=3) if job["level"] in (1, 2) and job["number"] < 2]
    kept = {(job["number"], job["emotion"]): job for job in jobs if job["emotion"] in ("neutral", "happy")}
    model = made_model(WIDTH)
    rows = []
    tracks = {}
    for (number, emotion), job in kept.items():
        clip_id = job["clip_id"]
        render_clip(job, root)
        frames = read_video(root / f"{clip_id}.mp4", range(NUM_FRAMES)).frames
        write_clip(clips, clip_id, frames, read_sound(root / f"{clip_id}.mp4", RATE_HZ))
        tracks[clip_id] = model.track(frames)
        rows.append((clip_id, "sample", f"S{number}", emotion, job["level"], "001", ("test", "train")[number], "ok"))
    columns = ["clip_id", "corpus", "speaker", "emotion", "intensity", "sentence", "split", "status"]
    table = pd.DataFrame(rows, columns=columns).assign(view=None).astype({"intensity": "Int64"})
    table.to_parquet(clips.path)
    pack_all(*(path for path in clips.folder.iterdir() if path.is_dir()))
    pack_arrays(faces.all_tracks, tracks)
    write_faces(faces.folder, model, faces, table.clip_id, "test")
    heard = np.random.default_rng(0).normal(size=(len(table), SPEECH_WIDTH)).astype(np.float32)
    pd.DataFrame({"clip_id": table.clip_id, "embedding": list(heard)}).to_parquet(voices.path)
    mine = table[table.split == "test"].set_index("emotion")
    pairs = table[table.clip_id == mine.clip_id["happy"]].assign(
        pair_id="row", neutral_clip=mine.clip_id["neutral"], emotional_clip=mine.clip_id["happy"], is_held_out=False
    )
    return Material(pairs, clips, faces, voices, made_bundle(SPEECH_WIDTH, root), root)
