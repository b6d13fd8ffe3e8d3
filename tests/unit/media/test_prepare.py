from pathlib import Path

import numpy as np
import pytest

from cmet.engine import Job
from cmet.errors import ClipError
from cmet.media import read_video, write_audio, write_video
from cmet.media.prepare import frames_at_rate, prepare_clip
from cmet.params import Params


def job(params: Params, video: Path | None, audio: Path | None = None) -> Job:
    paths = {"video": str(video) if video else None, "audio": str(audio) if audio else None}
    return {"clip_id": "clip", **paths, **params.clips.model_dump()}


def test_30_frames_a_second_become_25_evenly() -> None:
    shown = frames_at_rate(np.arange(30) / 30, 25, 25)
    assert len(shown) == 25
    assert np.abs(shown / 30 - np.arange(25) / 25).max() <= 1 / 30
    assert (np.diff(shown) >= 1).all()


def test_a_variable_rate_follows_time_not_index() -> None:
    # half a second at 10 frames/s, then half a second at 50
    times = np.concatenate([np.arange(5) / 10, 0.5 + np.arange(25) / 50])
    shown = frames_at_rate(times, 25, 25)
    assert np.abs(times[shown] - np.arange(25) / 25).max() <= 0.1
    assert shown[-1] >= 28


def test_a_clip_without_a_face_is_quarantined(tmp_path: Path, params: Params, moving_square: Path) -> None:
    with pytest.raises(ClipError, match="no_face"):
        prepare_clip(job(params, moving_square), tmp_path)


def test_a_video_without_sound_is_quarantined(tmp_path: Path, params: Params) -> None:
    silent = tmp_path / "silent.mp4"
    write_video(silent, np.zeros((30, 64, 64, 3), np.uint8), 30)
    with pytest.raises(ClipError, match="no_sound"):
        prepare_clip(job(params, silent), tmp_path)


@pytest.mark.parametrize(("duration_s", "level", "reason"), [(0.1, 0.5, "too_short"), (1.0, 0.0, "silent")])
def test_unusable_speech_is_quarantined(
    tmp_path: Path, params: Params, duration_s: float, level: float, reason: str
) -> None:
    path = tmp_path / "speech.wav"
    noise = np.random.default_rng(0).uniform(-level, level, int(16_000 * duration_s))
    write_audio(path, noise, 16_000)
    with pytest.raises(ClipError, match=reason):
        prepare_clip(job(params, None, path), tmp_path)


def test_a_real_clip_is_cropped_to_the_face_with_sound_of_the_same_span(
    real: Path, tmp_path: Path, params: Params
) -> None:
    raw = real / "MEAD_raw/M030/video/front/sad/level_3/001.mp4"
    record = prepare_clip(job(params, raw), tmp_path)
    video = read_video(tmp_path / "video/clip.mp4")
    assert video.fps == 25
    assert video.frames.shape == (record["num_frames"], 256, 256, 3)
    assert record["duration_s"] == pytest.approx(3.7, abs=0.05)
    assert record["source_width_px"] == 1920
    assert record["crop_right"] - record["crop_left"] == pytest.approx(record["crop_bottom"] - record["crop_top"])


def test_two_faces_are_quarantined(real: Path, tmp_path: Path, params: Params) -> None:
    frames = read_video(real / "clips/mead_happy_cropped.mp4").frames[:25]
    path, sound = tmp_path / "two.mp4", tmp_path / "noise.wav"
    write_video(path, np.concatenate([frames, frames[:, :, ::-1]], axis=2), 25)
    write_audio(sound, np.random.default_rng(0).uniform(-0.1, 0.1, 16_000), 16_000)
    with pytest.raises(ClipError, match="two_faces"):
        prepare_clip(job(params, path, sound), tmp_path)
