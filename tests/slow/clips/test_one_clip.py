from pathlib import Path

import pytest

from cmet.engine.attempts import Job
from cmet.media.video import read_video
from tests.unit.clips.test_one_clip import prepared


def test_a_real_clip_is_cropped_to_the_face_with_sound_of_the_same_span(real: Path, tmp_path: Path, job: Job) -> None:
    record = prepared(job, tmp_path, real / "MEAD_raw/M030/video/front/sad/level_3/001.mp4")
    video = read_video(tmp_path / "video/clip.mp4")
    assert video.fps == 25
    assert video.frames.shape == (record["num_frames"], 256, 256, 3)
    assert record["duration_s"] == pytest.approx(3.7, abs=0.05)
    assert record["source_width_px"] == 1920
    assert record["crop_right"] - record["crop_left"] == pytest.approx(
        record["crop_bottom"] - record["crop_top"], abs=1
    )
