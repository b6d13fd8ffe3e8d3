from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmet.errors import UserError
from cmet.extended.hearing import HeardRecordings
from cmet.extended.recordings import Recording
from cmet.extended.speech import Rest, measure_basics, speech_rows
from cmet.extended.table import as_table, found, of_emotions
from cmet.vocabulary import TARGET_EMOTIONS


def voices(emotion: str, speakers: list[str | None], vectors: np.ndarray) -> HeardRecordings:
    recordings = [Recording(Path(f"{number}.npy"), emotion, name) for number, name in enumerate(speakers)]
    return HeardRecordings(recordings, np.asarray(vectors, float))


def joined(*parts: HeardRecordings) -> HeardRecordings:
    return HeardRecordings(
        [recording for part in parts for recording in part.recordings],
        np.concatenate([part.vectors_NS for part in parts]),
    )


def basics_of(offsets: dict[str | None, float], width: int = 8) -> HeardRecordings:
    """Each emotion on an axis of its own, 4 long; every speaker moved by an offset on the last axis."""
    parts = []
    for name, offset in offsets.items():
        start = np.zeros(width)
        start[-1] = offset
        parts.append(voices("neutral", [name], start[None]))
        for place, emotion in enumerate(TARGET_EMOTIONS):
            parts.append(voices(emotion, [name], (start + 4 * np.eye(width)[place])[None]))
    return joined(*parts)


def rows_of(emotional: HeardRecordings, neutral: HeardRecordings, basic: HeardRecordings | None = None) -> pd.DataFrame:
    basics = None if basic is None else measure_basics(basic)
    rows = speech_rows({"envious": emotional}, Rest.of(neutral), basics, 0)
    return of_emotions(as_table(rows, "emotion2vec"), "speech", "extended")


def value(rows: pd.DataFrame, measure: str) -> float:
    one = found(rows, "envious", measure)
    assert one is not None
    return float(one.value)


def test_basic_directions_start_at_each_speakers_own_neutral_voice() -> None:
    basics = measure_basics(basics_of({"anna": 50, "ben": -9}))
    np.testing.assert_allclose(basics.directions_ES, 4 * np.eye(8)[:7])
    assert basics.speakers == ["anna", "ben"] and basics.mean_length == 4
    assert basics.num_clips["happy"] == basics.num_clips["neutral"] == 2
    assert (basics.own[""].value, basics.own[""].n) == (1, 14)


def test_clips_of_unknown_speakers_tell_nothing_of_speakers_left_out() -> None:
    own = measure_basics(basics_of({None: 0})).own
    assert own[""].value is None and own[""].reason == "speakers are not known"


def test_speakers_without_neutral_speech_have_no_part() -> None:
    basic = joined(voices("neutral", ["anna"], [[0, 0]]), voices("happy", ["ben"], [[1, 0]]))
    with pytest.raises(UserError, match="--basic: no speaker has neutral and emotional speech"):
        measure_basics(basic)


def test_where_an_emotion_points_and_how_many_clips_agree() -> None:
    axes = np.eye(8)
    happy, sad = TARGET_EMOTIONS.index("happy"), TARGET_EMOTIONS.index("sad")
    vectors = np.stack([6 * axes[happy], 6 * axes[happy] + axes[sad], 2 * axes[sad]])
    rows = rows_of(
        voices("envious", [None] * 3, vectors), voices("neutral", [None], np.zeros((1, 8))), basics_of({"a": 0, "b": 1})
    )
    mean = vectors.mean(axis=0)
    assert value(rows, "cosine/happy") == pytest.approx(4 / np.linalg.norm(mean))
    assert value(rows, "strength") == pytest.approx(np.linalg.norm(mean) / 4)
    nearest, agreement = found(rows, "envious", "nearest"), found(rows, "envious", "agreement")
    assert nearest is not None and nearest.answer == "happy" and nearest.low <= nearest.value <= nearest.high
    assert agreement is not None and agreement.value == pytest.approx(2 / 3) and agreement.n == 3


def test_a_clip_starts_at_its_own_speakers_neutral_voice_where_there_is_one() -> None:
    neutral = voices("neutral", ["anna", "ben"], np.array([[10.0, 0], [-10, 0]]))
    known = rows_of(voices("envious", ["anna", "ben"], np.array([[10.0, 1], [-10, 1]])), neutral)
    unknown = rows_of(voices("envious", [None, None], np.array([[10.0, 1], [-10, 1]])), neutral)
    assert value(known, "consistency") == value(known, "consistency_over_speakers") == pytest.approx(1)
    assert value(unknown, "consistency") == pytest.approx(-99 / 101)
    missing = found(unknown, "envious", "consistency_over_speakers")
    assert missing is not None and np.isnan(missing.value) and missing.reason == "speakers are not known"


def test_one_clip_has_no_consistency_and_no_basic_speech_no_strength() -> None:
    rows = rows_of(voices("envious", ["anna"], np.ones((1, 4))), voices("neutral", ["anna"], np.zeros((1, 4))))
    consistency = found(rows, "envious", "consistency")
    assert consistency is not None and np.isnan(consistency.value) and consistency.reason == "only one clip"
    assert found(rows, "envious", "strength") is None and found(rows, "envious", "nearest") is None
    assert value(rows, "length") == 2
