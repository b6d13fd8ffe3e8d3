import hashlib
import tarfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cmet.clips import kept, one_clip
from cmet.clips.one_clip import prepare_clip
from cmet.engine.attempts import Job
from cmet.errors import ClipError
from cmet.media.landmarks import find_faces
from cmet.media.sound import read_sound, write_sound
from cmet.media.video import frames_at_rate, read_video, write_video
from tests.unit.media.making import cut, encode, remux, with_matrix

RATE = 16_000


def speech(path: Path, duration_s: float = 1.0, level: float = 0.1) -> Path:
    write_sound(path, np.random.default_rng(0).uniform(-level, level, int(RATE * duration_s)), RATE)
    return path


def prepared(job: Job, folder: Path, video: Path | None, audio: Path | None = None, **settings: object) -> dict:
    paths = {"video": str(video) if video else None, "audio": str(audio) if audio else None}
    folder.mkdir(parents=True, exist_ok=True)
    return prepare_clip(job | paths | settings, folder)


def test_30_frames_a_second_become_25_evenly() -> None:
    shown = frames_at_rate(np.arange(30) / 30, 25, 25)
    assert len(shown) == 25
    assert np.abs(shown / 30 - np.arange(25) / 25).max() <= 1 / 30
    assert (np.diff(shown) >= 1).all()


@pytest.mark.parametrize("rate", ["24000/1001", "30", "30000/1001", "50", "60", "60000/1001"])
def test_the_frame_of_each_instant_is_exact_in_ten_minutes(rate: str) -> None:
    clock_hz = 90_000
    ticks = [round(index * clock_hz / Fraction(rate)) for index in range(int(600 * Fraction(rate)) + 1)]
    exact, latest = [], 0
    for number in range(15_000):
        while latest + 1 < len(ticks) and 50 * ticks[latest + 1] <= (2 * number + 1) * clock_hz:
            latest += 1
        exact.append(latest)
    assert frames_at_rate(np.array(ticks) / clock_hz, 25, 15_000).tolist() == exact


def test_a_variable_rate_follows_time_not_index() -> None:
    # half a second at 10 frames/s, then half a second at 50
    times = np.concatenate([np.arange(5) / 10, 0.5 + np.arange(25) / 50])
    shown = frames_at_rate(times, 25, 25)
    assert np.abs(times[shown] - np.arange(25) / 25).max() <= 0.1
    assert shown[-1] >= 28


def test_a_clip_gets_picture_and_sound_of_one_span_and_a_record(tmp_path: Path, job: Job, talking: Path) -> None:
    record = prepared(job, tmp_path, talking)
    video = read_video(tmp_path / "video/clip.mp4")
    # P1: the rate is what it says
    assert video.fps == 25
    assert video.frames.shape == (record["num_frames"], 256, 256, 3)
    sound, rate = soundfile.read(tmp_path / "audio/clip.wav")
    assert (sound.ndim, rate, len(sound)) == (1, RATE, record["num_frames"] * RATE // 25)
    assert record["duration_s"] == record["num_frames"] / 25
    assert record["reader"] == "decord"
    assert record["num_source_frames"] == pytest.approx(record["duration_s"] * 30, abs=2)
    assert (record["num_face_tracks"], record["face_ratio"]) == (1, 1.0)
    assert record["source_sha256"] == hashlib.sha256(talking.read_bytes()).hexdigest()


def test_the_same_clip_gives_the_same_bytes(tmp_path: Path, job: Job, talking: Path) -> None:
    for name in ("a", "b"):
        prepared(job, tmp_path / name, talking)
    for file in ("video/clip.mp4", "audio/clip.wav"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("max_bytes", [0, 2_000_000])
def test_decoding_once_or_twice_gives_the_same_pixels(
    tmp_path: Path, job: Job, talking: Path, monkeypatch: pytest.MonkeyPatch, max_bytes: int
) -> None:
    prepared(job, tmp_path / "once", talking)
    monkeypatch.setattr(one_clip, "KeptFrames", lambda: kept.KeptFrames(max_bytes))
    prepared(job, tmp_path / "twice", talking)
    once, twice = ((tmp_path / name / "video/clip.mp4").read_bytes() for name in ("once", "twice"))
    assert once == twice


def test_a_face_that_wanders_out_of_the_kept_part_is_cut_from_a_second_pass(
    tmp_path: Path, job: Job, talking_frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.zeros((30, 256, 512, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[:, 2 * number : 2 * number + 256] = talking_frames[number]
    video, audio = tmp_path / "wander.mp4", speech(tmp_path / "speech.wav")
    write_video(video, frames, 30)
    prepared(job, tmp_path / "narrow", video, audio)
    monkeypatch.setattr(kept, "MARGIN", 10)
    prepared(job, tmp_path / "wide", video, audio)
    narrow, wide = ((tmp_path / name / "video/clip.mp4").read_bytes() for name in ("narrow", "wide"))
    assert narrow == wide


def test_a_clip_inside_an_archive_is_the_same_clip(tmp_path: Path, job: Job, talking: Path) -> None:
    archive = tmp_path / "M101" / "video.tar"
    archive.parent.mkdir()
    with tarfile.open(archive, "w") as tar:
        tar.add(talking, "front/angry/level_1/001.mp4")
    outside = prepared(job, tmp_path / "outside", talking)
    inside = prepared(job, tmp_path / "inside", archive / "front/angry/level_1/001.mp4")
    assert inside == outside
    one, other = ((tmp_path / name / "video/clip.mp4").read_bytes() for name in ("inside", "outside"))
    assert one == other


def side_by_side(frames: np.ndarray) -> np.ndarray:
    """The face twice, at the right only in the first half of the clip."""
    right = frames[:, :, ::-1].copy()
    right[len(right) // 2 :] = 0
    return np.concatenate([frames, right], axis=2)


def test_of_two_faces_the_one_that_stays_is_cut_out(tmp_path: Path, job: Job, talking_frames: np.ndarray) -> None:
    # P4: the official preparation writes both to one name, and the last one wins
    video = tmp_path / "two.mp4"
    write_video(video, side_by_side(talking_frames), 30, crf=4)
    record = prepared(job, tmp_path, video, speech(tmp_path / "speech.wav"))
    assert record["num_face_tracks"] == 2
    assert record["face_ratio"] == 1
    assert record["crop_right"] < 270


def test_a_small_face_is_cut_out(tmp_path: Path, job: Job, talking_frames: np.ndarray) -> None:
    frames = np.full((30, 540, 960, 3), 90, np.uint8)
    frames[:, 300:428, 700:828] = talking_frames[:, ::2, ::2]
    write_video(tmp_path / "small.mp4", frames, 30, crf=4)
    record = prepared(job, tmp_path, tmp_path / "small.mp4", speech(tmp_path / "speech.wav"), detect_stride=15)
    assert record["face_ratio"] == 1
    assert 690 < record["crop_left"] < record["crop_right"] < 838
    (face,) = next(find_faces(read_video(tmp_path / "video/clip.mp4").frames[:1]))
    assert (face[2:] - face[:2]).min() > 120


def test_a_clip_is_cut_from_what_a_player_shows(tmp_path: Path, job: Job, talking_frames: np.ndarray) -> None:
    # pixels twice as high as wide, mirrored
    sound = speech(tmp_path / "speech.wav")
    encode(tmp_path / "plain.mp4", talking_frames, range(0, 1200, 40))
    path = encode(tmp_path / "odd.mp4", talking_frames[:, ::2, ::-1], range(0, 1200, 40), pixel_shape=Fraction(1, 2))
    plain = prepared(job, tmp_path / "plain", tmp_path / "plain.mp4", sound)
    odd = prepared(job, tmp_path / "odd", with_matrix(path, right=(-1, 0), down=(0, 1)), sound)
    assert (odd["source_width_px"], odd["source_height_px"]) == (256, 256)
    for side in ("left", "top", "right", "bottom"):
        assert odd[f"crop_{side}"] == pytest.approx(plain[f"crop_{side}"], abs=4)


@pytest.mark.parametrize(("rule", "aspect"), [("fomm-reflect-1", 1.0), ("fomm-clip-1", 1.2)])
def test_a_face_at_the_edge(tmp_path: Path, job: Job, talking_frames: np.ndarray, rule: str, aspect: float) -> None:
    # P7: the official rule stretches what is left of the face
    video = tmp_path / "edge.mp4"
    write_video(video, talking_frames[:, :, 80:], 30, crf=4)
    record = prepared(job, tmp_path, video, speech(tmp_path / "speech.wav"), crop_rule=rule)
    side = record["crop_right"] - record["crop_left"]
    inside = np.clip([record["crop_left"], record["crop_right"]], 0, 176)
    assert record["crop_rule"] == rule
    assert record["crop_outside_share"] == pytest.approx(1 - np.ptp(inside) / side, abs=1e-4)
    assert record["crop_outside_share"] > 0.1
    (face,) = next(find_faces(read_video(tmp_path / "video/clip.mp4").frames[:1]))
    assert (face[2] - face[0]) / (face[3] - face[1]) == pytest.approx(aspect * 0.8, rel=0.15)


def test_picture_and_sound_of_unequal_length_are_measured_and_cut_to_the_shorter(
    tmp_path: Path, job: Job, talking: Path
) -> None:
    # P5
    record = prepared(job, tmp_path, talking, speech(tmp_path / "speech.wav", 0.8))
    assert record["num_frames"] == 20
    assert record["video_minus_audio_s"] == pytest.approx(record["num_source_frames"] / 30 - 0.8, abs=0.01)


def uneven_flv(folder: Path, frames: np.ndarray) -> Path:
    return encode(folder / "uneven.flv", frames, [*range(0, 500, 100), *range(500, 1000, 20)])


def turned(folder: Path, frames: np.ndarray) -> Path:
    return encode(folder / "turned.mp4", list(np.rot90(frames, -1, axes=(1, 2))), range(0, 1200, 40), rotation=90)


def edited(folder: Path, frames: np.ndarray) -> Path:
    whole = encode(folder / "whole.mp4", frames, range(0, 1200, 40))
    return remux(whole, folder / "edited.mp4", from_s=0.4)


@pytest.mark.parametrize(
    ("make", "reader", "num_frames"), [(uneven_flv, "pyav", 25), (turned, "pyav", 25), (edited, "pyav", 20)]
)
def test_odd_files_are_prepared_upright_and_in_time(
    tmp_path: Path,
    job: Job,
    talking_frames: np.ndarray,
    make: Callable[[Path, np.ndarray], Path],
    reader: str,
    num_frames: int,
) -> None:
    record = prepared(job, tmp_path, make(tmp_path, talking_frames), speech(tmp_path / "speech.wav"))
    assert (record["reader"], record["num_frames"]) == (reader, num_frames)
    assert (record["source_width_px"], record["source_height_px"]) == (256, 256)


@pytest.mark.parametrize(("rate_hz", "num_channels"), [(48_000, 6), (24_000, 1), (44_100, 2)])
def test_sound_of_any_form_becomes_16_khz_mono(tmp_path: Path, job: Job, rate_hz: int, num_channels: int) -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz)
    soundfile.write(tmp_path / "tone.wav", np.repeat(tone[:, None], num_channels, axis=1), rate_hz)
    record = prepared(job, tmp_path, None, tmp_path / "tone.wav")
    assert record["duration_s"] == pytest.approx(1, abs=1e-3)
    assert soundfile.info(tmp_path / "audio/clip.wav").samplerate == RATE
    assert np.sqrt(np.mean(read_sound(tmp_path / "audio/clip.wav", RATE) ** 2)) == pytest.approx(0.354, abs=0.01)


def test_clipping_is_measured(tmp_path: Path, job: Job) -> None:
    write_sound(tmp_path / "loud.wav", 2 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE), RATE)
    record = prepared(job, tmp_path, None, tmp_path / "loud.wav")
    assert record["clipped_share"] == pytest.approx(2 / 3, abs=0.02)


def missing(folder: Path, talking: Path) -> Path:
    return folder / "nothing.mp4"


def zero_bytes(folder: Path, talking: Path) -> Path:
    # P17
    return write(folder, b"")


def pointer(folder: Path, talking: Path) -> Path:
    return write(folder, b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 201958\n")


def web_page(folder: Path, talking: Path) -> Path:
    return write(folder, b"<!DOCTYPE html><html><title>Quota exceeded</title></html>")


def text(folder: Path, talking: Path) -> Path:
    return write(folder, b"this is no video")


def half_an_flv(folder: Path, talking: Path) -> Path:
    return cut(remux(talking, folder / "whole.flv"), folder / "half.flv", 0.5)


def without_sound(folder: Path, talking: Path) -> Path:
    return remux(talking, folder / "mute.mp4", with_sound=False)


def without_a_face(folder: Path, talking: Path) -> Path:
    write_video(folder / "grey.mp4", [np.full((64, 64, 3), 99, np.uint8)] * 30, 30, speech(folder / "speech.wav"))
    return folder / "grey.mp4"


def write(folder: Path, content: bytes) -> Path:
    path = folder / "001.mp4"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (missing, "missing_video: "),
        (zero_bytes, "zero_bytes: 001.mp4"),
        (pointer, "lfs_pointer: 001.mp4 is a git-lfs pointer to 201958 bytes"),
        (web_page, "html_page: 001.mp4"),
        (text, "unreadable_video: 001.mp4"),
        (half_an_flv, "truncated: half.flv declares"),
        (without_sound, "no_sound: mute.mp4"),
        (without_a_face, "no_face: a face in 0%"),
    ],
)
def test_an_unusable_video_has_its_reason(
    tmp_path: Path, job: Job, talking: Path, make: Callable[[Path, Path], Path], reason: str
) -> None:
    # P2, P3: nothing is lost without a word
    with pytest.raises(ClipError) as error:
        prepared(job, tmp_path / "out", make(tmp_path, talking))
    assert str(error.value).startswith(reason)


@pytest.mark.parametrize(
    ("duration_s", "level", "reason"), [(0.1, 0.5, "too_short"), (31.0, 0.5, "too_long"), (1.0, 0.0, "silent")]
)
def test_unusable_speech_is_quarantined(tmp_path: Path, job: Job, duration_s: float, level: float, reason: str) -> None:
    with pytest.raises(ClipError, match=reason):
        prepared(job, tmp_path, None, speech(tmp_path / "speech.wav", duration_s, level))


def test_what_decord_refuses_midway_is_left_to_pyav(
    tmp_path: Path, job: Job, talking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prepared(job, tmp_path / "whole", talking)

    def refuse(*_: object) -> None:
        raise ClipError("unreadable_video", "a frame that decord cannot decode")

    monkeypatch.setattr("cmet.media.readers.DecordReader.frames_at", refuse)
    record = prepared(job, tmp_path / "again", talking)
    assert record == whole | {"reader": "pyav"}
    one, other = ((tmp_path / name / "video/clip.mp4").read_bytes() for name in ("whole", "again"))
    assert one == other


def test_a_frame_that_nobody_can_decode_quarantines_the_clip(tmp_path: Path, job: Job, talking: Path) -> None:
    content = bytearray(talking.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4000] = bytes(4000)
    with pytest.raises(ClipError, match=r"unreadable_video: 001\.mp4"):
        prepared(job, tmp_path / "out", write(tmp_path, bytes(content)), speech(tmp_path / "speech.wav", 1.5))
