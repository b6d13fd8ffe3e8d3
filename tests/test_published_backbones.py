"""The stages that see a backbone, with EDTalk and PD-FGC on filled weights: pictures mean nothing, the work is real.

EDTalk has an eighth of its channels; `slow/editing/test_video.py` edits with all of them. What comes after these stages
sees clips, which say nothing of the backbone.
"""

import shutil
from itertools import product
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
import pytest
import yaml

from cmet.clips.product import Clips
from cmet.connector.bundle import load_bundle
from cmet.edits import rendering
from cmet.errors import UserError
from cmet.media.video import VideoFile
from cmet.project import Project
from cmet.stages.registry import run_stage
from tests.clip_maps import without_workers
from tests.filled_weights import narrow_edtalk, write_filled_weights
from tests.packing import pack_all
from tests.unit.edits.making import write_clip

ROOT = Path(__file__).parents[1]
WINDOW = 1
NUM_FRAMES = {"train": WINDOW, "test": 1}
"""As few as can be: each takes one to two seconds of a core to look at and to draw."""

SOUND_S = 0.25
Published = Literal["edtalk", "pdfgc"]
BACKBONES: tuple[Published, ...] = get_args(Published)
CLIPS = {"M101": ("train", ("neutral", "happy")), "M103": ("test", ("neutral", "happy"))}
WIDTHS = {"edtalk": 10, "pdfgc": 30}
SIDES_PX = {"edtalk": 256, "pdfgc": 224}
FIRST_FILES = {"EDTalk.pt", "generator_model.pth"}

pytestmark = pytest.mark.slow


def make_project(root: Path) -> Project:
    """A project whose clips are prepared: noise to see and noise to hear."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    values |= {"backbones": [*BACKBONES], "held_out_emotion": None}
    values["train"] |= {"num_steps": 2, "batch_size": 4, "validate_every": 1, "num_clips_per_mean": 1}
    values["train"]["network"] |= {"window": WINDOW}
    values["edits"] |= {"lips": "speech"}
    (root / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    project = Project.at(root / "params.yaml")
    clips = Clips(project.places.folder("clips"))
    random = np.random.default_rng(0)
    rows = []
    shown = [(speaker, split, emotion) for speaker, (split, emotions) in CLIPS.items() for emotion in emotions]
    for speaker, split, emotion in shown:
        clip_id = f"{speaker}-{emotion}"
        shown_NHWC = random.integers(0, 255, (NUM_FRAMES[split], 256, 256, 3), np.uint8)
        write_clip(clips, clip_id, shown_NHWC, random.uniform(-0.3, 0.3, round(16_000 * SOUND_S)))
        rows.append(
            {
                "clip_id": clip_id, "corpus": "sample", "speaker": speaker, "emotion": emotion, "split": split,
                "intensity": 1, "sentence": "001", "view": None, "status": "ok", "reason": None,
                "num_frames": float(NUM_FRAMES[split]),
                "video": f"{clip_id}.mp4", "audio": None,
            }
        )  # fmt: skip
    pack_all(*clips.folder.iterdir())
    pd.DataFrame(rows).astype({"intensity": "Int64"}).to_parquet(clips.path)
    return project


def test_every_stage_that_sees_a_backbone_works_with_published_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path, filled: Path
) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.delenv("CMET_WEIGHTS", raising=False)
    monkeypatch.setattr("cmet.backbones.edtalk.model.load_generator", lambda _: narrow_edtalk())
    project = make_project(tmp_path)
    for backbone in BACKBONES:
        with pytest.raises(UserError, match=rf"is missing in .*weights/{backbone}/; run `cmet weights get {backbone}"):
            run_stage("expression", project, backbone)
        (project.places.weights / backbone).mkdir(parents=True)
        for path in write_filled_weights(filled, backbone):
            (project.places.weights / backbone / path.name).symlink_to(path)

    # one project has both, so that what does not depend on the backbone is made once
    with without_workers():
        run_stage("speech", project, "opensmile")
        for backbone, stage in product(BACKBONES, ("expression", "deltas", "shards", "train", "edits")):
            run_stage(stage, project, backbone)

    for backbone in BACKBONES:
        codes = project.faces(backbone).codes("M101-happy")
        assert codes.shape == (NUM_FRAMES["train"], WIDTHS[backbone])
        assert np.isfinite(codes).all()
        assert np.abs(codes).max() > 0
        bundle = load_bundle(project.model(backbone).folder)
        assert (bundle.config.backbone, bundle.config.expression_width) == (backbone, WIDTHS[backbone])
        edits = project.edits(backbone)
        assert set(edits.table.method) == {"neutral", "reference", "cmet", "oracle"}
        assert (edits.table.status == "ok").all()
        assert (edits.table.lips == "speech").all()
        for video in edits.table.video:
            file = VideoFile(edits.video(video))
            side = SIDES_PX[backbone]
            assert (len(file), file.width, file.height) == (NUM_FRAMES["test"], side, side)

        # the model remembers the files that its codes were made with
        (file_of_weights,) = (
            path for path in (project.places.weights / backbone).iterdir() if path.name in FIRST_FILES
        )
        file_of_weights.unlink()
        file_of_weights.write_bytes(b"another")
        rendering._backbone.cache_clear()  # a worker that begins has none
        with pytest.raises(UserError, match=f"made with another {file_of_weights.name}"), without_workers():
            run_stage("edits", project, backbone)
