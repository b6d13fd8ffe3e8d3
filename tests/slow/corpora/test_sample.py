from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from cmet.corpora.sample.affect import ACTIONS, POINTS, affect_point, facial_actions
from cmet.corpora.sample.corpus import FPS, SampleReport, list_clips, make_sample, render_clip, split_speakers
from cmet.corpora.sample.motion import blinks
from cmet.corpora.sample.voice import SAMPLE_RATE_HZ, Manner, Voice, lip_track, speak
from cmet.errors import UserError
from cmet.media.landmarks import still_landmarks
from cmet.params import SampleParams

SEED = 3
TINY = SampleParams(
    num_train_speakers=1,
    num_val_speakers=1,
    num_test_speakers=1,
    num_sentences=1,
    sentences_per_speaker=1,
    levels=[3],
    frame_px=256,
    style=1.0,
    noise=1.0,
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SampleReport]:
    folder = tmp_path_factory.mktemp("sample")
    return folder / "sample", make_sample(TINY, SEED, folder / "sample", folder / "work")


def a_voice() -> Voice:
    return Voice.draw(np.random.default_rng(1), is_woman=True)


def manner(valence: float = 0, arousal: float = 0, dominance: float = 0) -> Manner:
    return Manner.of(np.array([valence, arousal, dominance]), np.random.default_rng(0), noise=0)


def test_the_tree_is_laid_out_as_mead_and_the_truth_has_a_row_per_clip(sample):
    root, report = sample
    paths = sorted(path.relative_to(root / "corpus").as_posix() for path in root.rglob("*.mp4"))
    assert "W102/front/happy/level_3/001.mp4" in paths
    assert "W102/front/neutral/level_1/001.mp4" in paths
    truth = pd.read_parquet(root / "truth.parquet")
    assert sorted(truth["path"]) == paths
    assert report == SampleReport(24, 3, int(truth["num_frames"].sum()), truth["num_frames"].sum() / FPS)
    assert (root / "corpus" / "val.txt").read_text(encoding="utf-8") == "W102\n"


def test_work_is_gone_when_the_corpus_is_complete(sample):
    root, _ = sample
    assert sorted(path.name for path in root.parent.iterdir()) == ["sample"]


def test_picture_and_sound_span_the_same_time_and_the_sound_is_never_quite_silent(sample):
    root, _ = sample
    with av.open(str(root / "corpus/M101/front/sad/level_3/001.mp4")) as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert picture.average_rate == FPS
        assert sound.codec_context.name == "aac"
        assert float(sound.duration * sound.time_base) == pytest.approx(
            float(picture.duration * picture.time_base), abs=0.001
        )
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    beginning = samples[100:2000]
    assert 1e-5 < np.std(beginning) < 0.01 < np.std(samples)


def test_a_face_is_found_in_every_frame(sample):
    root, _ = sample
    found = []
    for path in sorted(root.rglob("*.mp4")):
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        found += np.isfinite(still_landmarks(frames[5::12])).all(axis=(1, 2)).tolist()
    assert np.mean(found) >= 0.99


def test_a_clip_has_the_same_bytes_in_any_process_after_any_other_clip(sample, tmp_path):
    root, _ = sample
    jobs = list_clips(TINY, SEED)
    for job in (jobs[20], jobs[9]):
        render_clip(job, tmp_path)
    again = (tmp_path / f"{jobs[9]['clip_id']}.mp4").read_bytes()
    assert again == (root / "corpus" / jobs[9]["path"]).read_bytes()


def test_another_seed_gives_another_clip(sample, tmp_path):
    root, _ = sample
    job = list_clips(TINY, SEED + 1)[0]
    render_clip(job, tmp_path)
    assert (tmp_path / f"{job['clip_id']}.mp4").read_bytes() != (root / "corpus" / job["path"]).read_bytes()


def test_too_many_sentences_are_refused_and_nothing_is_written(tmp_path):
    params = TINY.model_copy(update={"num_sentences": 1000})
    with pytest.raises(UserError, match="num_sentences is 1000, but only 20 sentences exist"):
        make_sample(params, SEED, tmp_path / "sample", tmp_path / "work")
    assert not list(tmp_path.iterdir())


def test_a_speaker_cannot_say_more_sentences_than_there_are(tmp_path):
    params = TINY.model_copy(update={"sentences_per_speaker": 2})
    with pytest.raises(UserError, match="sentences_per_speaker is 2, but sample.num_sentences is only 1"):
        make_sample(params, SEED, tmp_path / "sample", tmp_path / "work")
    assert not list(tmp_path.iterdir())


def test_neighbours_share_a_sentence_and_all_sentences_are_said():
    params = TINY.model_copy(update={"num_sentences": 3, "sentences_per_speaker": 2})
    jobs = list_clips(params, SEED)
    said = [{job["sentence"] for job in jobs if job["number"] == number} for number in range(3)]
    assert said == [{1, 2}, {2, 3}, {1, 3}]


def test_no_speaker_is_in_two_splits():
    splits = split_speakers(TINY.model_copy(update={"num_train_speakers": 4, "num_test_speakers": 2}))
    assert splits == {"train": ["M101", "W102", "M103", "W104"], "val": ["M105"], "test": ["W106", "M107"]}


def test_neutral_has_level_one_only_and_every_clip_is_listed_once():
    jobs = list_clips(
        TINY.model_copy(update={"levels": [3, 2, 3], "num_sentences": 2, "sentences_per_speaker": 2}), SEED
    )
    assert {job["level"] for job in jobs if job["emotion"] == "neutral"} == {1}
    assert len({job["clip_id"] for job in jobs}) == len(jobs) == 3 * 2 * (1 + 7 * 2)


def test_a_neutral_face_does_nothing():
    assert facial_actions(affect_point("neutral", 1)) == pytest.approx(np.zeros(len(ACTIONS)))


@pytest.mark.parametrize(
    ("action", "emotion"),
    [
        ("corner_raise", "happy"),
        ("cheek_raise", "happy"),
        ("brow_lower", "angry"),
        ("smirk", "contempt"),
        ("nose_wrinkle", "disgusted"),
        ("lip_stretch", "fear"),
        ("outer_brow_raise", "surprised"),
        ("jaw_drop", "surprised"),
    ],
)
def test_an_action_is_strongest_in_its_emotion(action: str, emotion: str):
    strength = {name: facial_actions(affect_point(name, 3))[ACTIONS.index(action)] for name in POINTS}
    assert max(strength, key=lambda name: strength[name]) == emotion


@pytest.mark.parametrize(
    ("field", "more", "less"),
    [
        ("pitch_semitones", {"arousal": 0.8}, {}),
        ("log_rate", {"arousal": 0.8}, {"arousal": -0.5}),
        ("log_formants", {"valence": 0.8}, {"dominance": 0.8}),
        ("roughness", {"valence": -0.8}, {}),
        ("tremor", {"arousal": 0.7, "dominance": -0.8}, {"arousal": 0.8, "dominance": 0.7}),
    ],
)
def test_the_manner_of_speaking_follows_affect(field: str, more: dict[str, float], less: dict[str, float]):
    assert getattr(manner(**more), field) > getattr(manner(**less), field)


@pytest.mark.parametrize(("semitones", "factor"), [(4, 2 ** (4 / 12)), (-3, 2 ** (-3 / 12))])
def test_pitch_is_heard_as_asked(semitones: float, factor: float):
    calm = manner()
    moved = Manner(**(vars(calm) | {"pitch_semitones": semitones}))
    pitches = [
        _pitch_hz(speak("All the boats.", a_voice(), how, np.random.default_rng(0)).samples) for how in (calm, moved)
    ]
    assert pitches[1] / pitches[0] == pytest.approx(factor, rel=0.08)


def test_lips_are_closed_in_silence_and_open_in_speech():
    speech = speak("All the boats are out.", a_voice(), manner(), np.random.default_rng(0))
    lips = lip_track(speech, 0.5, 60, FPS)
    assert lips.shape == (60, 2)
    assert lips[:13].max() < 0.02
    assert lips[15:40, 0].max() > 0.5
    assert speech.lips[-1][0] < len(speech.samples) / SAMPLE_RATE_HZ


def test_blinks_shut_the_eyes_now_and_then():
    shut = blinks(np.random.default_rng(0), 30 * 60, FPS)
    assert 0.01 < np.mean(shut > 0.5) < 0.2
    assert shut.max() > 0.7


def _pitch_hz(samples: np.ndarray) -> float:
    """Median over windows of the strongest period between 120 and 350 Hz."""
    lags = np.arange(SAMPLE_RATE_HZ // 350, SAMPLE_RATE_HZ // 120)
    pitches = []
    for start in range(0, len(samples) - 2048, 512):
        window = samples[start : start + 2048]
        likeness = [np.corrcoef(window[:-lag], window[lag:])[0, 1] for lag in lags]
        if max(likeness) > 0.6:
            pitches.append(SAMPLE_RATE_HZ / lags[int(np.argmax(likeness))])
    return float(np.median(pitches))
