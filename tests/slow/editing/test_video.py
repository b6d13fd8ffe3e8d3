from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from cmet.editing.editor import Editor
from cmet.editing.video import edit_video
from cmet.media.video import read_video, write_video
from tests.filled_weights import write_filled_weights
from tests.unit.editing.models import write_model
from tests.unit.editing.test_video import QUIET


@pytest.mark.slow
@pytest.mark.parametrize(("name", "lips"), [("edtalk", "speech"), ("pdfgc", None)])
def test_a_published_backbone_edits_a_real_face(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    filled: Path,
    sounds: dict[str, list[Path]],
    darkening: Path,
    name: Literal["edtalk", "pdfgc"],
    lips: str | None,
) -> None:
    write_filled_weights(filled, name)
    monkeypatch.setenv("CMET_WEIGHTS", str(filled))
    write_model(tmp_path / "model", name, {"edtalk": 10, "pdfgc": 30}[name], "opensmile", 88)
    write_video(tmp_path / "short.mp4", read_video(darkening, range(2)).frames, 30, tmp_path / "own.wav")
    out, options = tmp_path / "out.mp4", replace(QUIET, lips=lips)
    report = edit_video(
        tmp_path / "short.mp4", **sounds, out=out, editor=Editor.load(tmp_path / "model"), options=options
    )
    assert (report.num_frames, report.fps, report.width_px, report.height_px) == (2, 30, 456, 256)
    assert report.strength == 1.0 and report.mean_change > 0
    before, after = read_video(tmp_path / "short.mp4").frames.astype(int), read_video(out).frames.astype(int)
    assert np.abs(after - before)[:, :, 300:].max() <= 20
    assert np.abs(after - before)[:, 60:180, 90:170].mean() > 20
