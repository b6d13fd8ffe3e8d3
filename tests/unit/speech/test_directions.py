from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.corpora import mead
from cmet.corpora.scan import scan
from cmet.errors import UserError
from cmet.params import TellingRule
from cmet.speech.directions import directions_table, measure_directions, write_directions
from cmet.speech.encoders.precomputed import read_precomputed
from cmet.speech.product import RESULT, TEXT, DirectionsResult, Voices
from cmet.speech.telling import RULES, told_emotions
from tests.layouts import rename

EMOTIONS = ["neutral", "happy", "sad", "angry"]


def corpus(noise: float, num_speakers: int = 4) -> tuple[pd.DataFrame, np.ndarray]:
    """Clips, and embeddings (N, D) = speaker + emotion direction + noise."""
    random = np.random.default_rng(0)
    deltas = {emotion: 3 * random.normal(size=16) * (emotion != "neutral") for emotion in EMOTIONS}
    rows, vectors = [], []
    for speaker in range(num_speakers):
        own = 10 * random.normal(size=16)
        for emotion in EMOTIONS:
            for sentence in range(5):
                rows.append(
                    {"clip_id": f"{speaker}-{emotion}-{sentence}", "speaker": f"M{speaker}", "emotion": emotion}
                )
                vectors.append(own + deltas[emotion] + noise * random.normal(size=16))
    return pd.DataFrame(rows), np.stack(vectors)


def voices_of(folder: Path, clips: pd.DataFrame, embeddings_ND: np.ndarray) -> Voices:
    """The embeddings of some clips as the stage `speech` leaves them."""
    voices = Voices(folder)
    pd.DataFrame({"clip_id": clips.clip_id, "embedding": list(embeddings_ND)}).to_parquet(voices.path)
    return voices


def test_clear_directions_are_always_found_whatever_the_speaker(tmp_path: Path) -> None:
    clips, embeddings = corpus(noise=0.1)
    result = measure_directions(clips, voices_of(tmp_path, clips, embeddings), "precomputed")
    assert result.accuracy == 1
    assert (result.num_clips, result.num_speakers, result.chance) == (60, 4, pytest.approx(1 / 3))


def test_clips_whose_emotion_cannot_be_the_answer_do_not_count(tmp_path: Path) -> None:
    """As in RAVDESS: six actors, eight clips of each emotion, calm among them, four neutral ones."""
    random = np.random.default_rng(0)
    emotions = ["neutral", "calm", "happy", "sad", "angry", "fear", "disgusted", "surprised"]
    directions = dict(zip(emotions, np.eye(8), strict=True))
    named = [
        (f"{actor:02}", emotion)
        for actor in range(6)
        for emotion in emotions
        for _ in range(4 if emotion == "neutral" else 8)
    ]
    clips = pd.DataFrame([(str(n), *names) for n, names in enumerate(named)], columns=["clip_id", "speaker", "emotion"])
    vectors = np.stack([5 * directions[emotion] + 0.1 * random.normal(size=8) for emotion in clips.emotion])
    result = measure_directions(clips, voices_of(tmp_path, clips, vectors), "opensmile")
    assert (result.accuracy, result.num_clips, result.chance) == (1, 6 * 6 * 8, pytest.approx(1 / 6))
    assert "calm" not in result.per_emotion


def test_noise_alone_is_near_chance(tmp_path: Path) -> None:
    clips, embeddings = corpus(noise=0.1)
    shuffled = voices_of(tmp_path, clips, np.random.default_rng(1).normal(size=embeddings.shape))
    assert measure_directions(clips, shuffled, "precomputed").accuracy < 0.6


@pytest.mark.parametrize("rule", RULES)
def test_the_speaker_itself_has_no_part_in_what_it_is_told_by(rule: TellingRule) -> None:
    clips, matrix = corpus(noise=0.1)
    speakers, emotions = clips.speaker.to_numpy(), clips.emotion.to_numpy()
    mine = speakers == "M0"
    before = told_emotions(rule, matrix, speakers, emotions)
    # a speaker whose sad and happy are swapped must be wrong by the directions of the others
    swapped = emotions.copy()
    swapped[mine & (emotions == "sad")], swapped[mine & (emotions == "happy")] = "happy", "sad"
    after = told_emotions(rule, matrix, speakers, swapped)
    np.testing.assert_array_equal(before[mine], after[mine])


def test_one_speaker_is_not_enough(tmp_path: Path) -> None:
    clips, embeddings = corpus(noise=0.1, num_speakers=1)
    with pytest.raises(UserError, match="1 speaker"):
        measure_directions(clips, voices_of(tmp_path, clips, embeddings), "precomputed")


def test_real_emotion2vec_deltas_point_to_their_emotion(real: Path, tmp_path: Path) -> None:
    root = real / "MEAD/FPS25"
    clips = scan(mead, root)
    embeddings = np.stack([read_precomputed(root / audio) for audio in clips.audio])
    result = measure_directions(clips, voices_of(tmp_path, clips, embeddings), "precomputed")
    assert result.num_clips == 148
    assert result.accuracy == pytest.approx(0.851, abs=0.005)
    assert result.lda_accuracy == pytest.approx(0.926, abs=0.005)
    assert "| precomputed | 0.851 |" in directions_table([result])


@pytest.mark.parametrize("name", [RESULT, TEXT])
def test_a_file_is_called_by_one_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clips, embeddings = corpus(noise=0.1)
    renamed, result = rename(monkeypatch, "speech", name), DirectionsResult(tmp_path / "out")
    write_directions(clips, {"precomputed": voices_of(tmp_path, clips, embeddings)}, result.folder)
    assert result.facts.encoders["precomputed"].accuracy == 1
    assert "| precomputed | 1.000 |" in result.text
    assert (result.folder / renamed).is_file()
    assert not (result.folder / name).exists()
