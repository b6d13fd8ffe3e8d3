"""What the speech of an emotion says without a true clip to compare with: its direction, and how sure that is.

A delta of a clip is its vector minus the mean neutral one, of its own speaker where that is known and there is such
speech. The direction of an emotion is the mean of its deltas.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from cmet.errors import UserError
from cmet.extended.hearing import BASIC, EXTENDED, HeardRecordings
from cmet.extended.intervals import ClipBootstrap, Measure, cosines, share
from cmet.extended.recordings import NEUTRAL
from cmet.extended.table import (
    AGREEMENT,
    ALIKE,
    CONSISTENCY,
    COSINE,
    LENGTH,
    NEAREST,
    OVER_SPEAKERS,
    POINTS_TO_OWN,
    SPEECH,
    STRENGTH,
    NumberRow,
    row,
)
from cmet.speech.telling import told_emotions
from cmet.vocabulary import TARGET_EMOTIONS

# N clips, S speech features, E basic emotions, B resamples

UNKNOWN_SPEAKERS = "speakers are not known"


@dataclass(frozen=True, eq=False)
class Basics:
    """Directions of the basic emotions."""

    emotions: list[str]
    directions_ES: np.ndarray
    num_clips: dict[str, int]
    speakers: list[str]
    """Whose neutral and emotional speech was used; empty where nobody says."""
    own: dict[str, Measure]
    """Share of clips that point to their own emotion, by emotion, with the speaker left out of the directions; all
    under `""`."""

    @property
    def mean_length(self) -> float:
        """Of the directions."""
        return float(np.linalg.norm(self.directions_ES, axis=1).mean())


def measure_basics(heard: HeardRecordings) -> Basics:
    """Direction of each basic emotion: the mean over speakers of their mean emotional minus mean neutral vector.

    Speakers without neutral speech have no part; clips of unknown speakers are taken for those of one.

    Raises:
        UserError: No speaker has both.
    """
    names_N = np.array([name or "" for name in heard.speakers_N], dtype=object)
    emotions_N = heard.emotions_N
    with_neutral = set(names_N[emotions_N == NEUTRAL])
    is_used_N = np.isin(names_N, sorted(with_neutral))
    vectors_NS, names_N, emotions_N = heard.vectors_NS[is_used_N], names_N[is_used_N], emotions_N[is_used_N]
    emotions = [emotion for emotion in TARGET_EMOTIONS if emotion in set(emotions_N)]
    if not emotions:
        raise UserError("--basic: no speaker has neutral and emotional speech; a direction leads from one to the other")
    directions = [
        np.mean(
            [
                vectors_NS[(names_N == name) & (emotions_N == emotion)].mean(axis=0)
                - vectors_NS[(names_N == name) & (emotions_N == NEUTRAL)].mean(axis=0)
                for name in sorted(set(names_N[emotions_N == emotion]))
            ],
            axis=0,
        )
        for emotion in emotions
    ]
    counts = Counter(emotions_N.tolist())
    return Basics(
        emotions, np.stack(directions), {emotion: counts[emotion] for emotion in (NEUTRAL, *emotions)},
        sorted(set(names_N) - {""}), _own_directions(vectors_NS, names_N, emotions_N),
    )  # fmt: skip


def _own_directions(vectors_NS: np.ndarray, names_N: np.ndarray, emotions_N: np.ndarray) -> dict[str, Measure]:
    """How often clips of speakers left out are nearest to their own emotion: what agreement can be at best."""
    is_emotional_N = emotions_N != NEUTRAL
    if "" in names_N:
        return {"": Measure(None, int(is_emotional_N.sum()), reason=UNKNOWN_SPEAKERS)}
    try:
        nearest_N = told_emotions("none", vectors_NS, names_N, emotions_N)
    except UserError as error:
        return {"": Measure(None, int(is_emotional_N.sum()), reason=str(error))}
    hits_N = nearest_N == emotions_N
    result = {"": share(int(hits_N.sum()), int(is_emotional_N.sum()))}
    for emotion in dict.fromkeys(emotions_N[is_emotional_N]):
        result[emotion] = share(int(hits_N[emotions_N == emotion].sum()), int((emotions_N == emotion).sum()))
    return result


@dataclass(frozen=True, eq=False)
class Rest:
    """Mean neutral vectors, what deltas start from."""

    all_S: np.ndarray
    by_speaker: dict[str, np.ndarray]

    @classmethod
    def of(cls, neutral: HeardRecordings) -> "Rest":
        """Of all neutral clips, and of each speaker's."""
        speakers_N = neutral.speakers_N
        names = sorted({name for name in speakers_N if name is not None})
        return cls(
            neutral.vectors_NS.mean(axis=0),
            {name: neutral.vectors_NS[speakers_N == name].mean(axis=0) for name in names},
        )

    def deltas(self, heard: HeardRecordings) -> np.ndarray:
        """Each clip minus its own speaker's mean neutral one, or minus that of all, shape (N, S)."""
        starts = [self.by_speaker.get(name, self.all_S) if name else self.all_S for name in heard.speakers_N]
        return heard.vectors_NS - np.stack(starts)

    def num_own(self, heard: HeardRecordings) -> int:
        """Clips whose own speaker's neutral speech is there."""
        return sum(name in self.by_speaker for name in heard.speakers_N if name is not None)


def speech_rows(emotions: dict[str, HeardRecordings], rest: Rest, basics: Basics | None, seed: int) -> list[NumberRow]:
    """All that is measured of speech, in the order of the emotions."""
    deltas = {emotion: rest.deltas(heard) for emotion, heard in emotions.items()}
    directions = {emotion: deltas_NS.mean(axis=0) for emotion, deltas_NS in deltas.items()}
    rows = [] if basics is None else _basic_rows(basics)
    for emotion, heard in emotions.items():
        bootstrap = ClipBootstrap(len(heard.recordings), seed)
        rows += _own_rows(emotion, heard, deltas[emotion], bootstrap, seed)
        if basics is not None:
            rows += _rows_beside_basics(emotion, heard, deltas[emotion], basics, bootstrap)
        for other, direction_S in directions.items():
            alike = cosines(directions[emotion][None], direction_S[None])[0, 0]
            value = float(alike) if np.isfinite(alike) else None
            rows.append(NumberRow(SPEECH, EXTENDED, emotion, ALIKE + other, value, bootstrap.n))
    return rows


def _own_rows(
    emotion: str, heard: HeardRecordings, deltas_NS: np.ndarray, bootstrap: ClipBootstrap, seed: int
) -> list[NumberRow]:
    """What needs no other emotion."""
    [length] = bootstrap.of_mean(deltas_NS, lambda means_BS: np.linalg.norm(means_BS, axis=1)[:, None])
    consistency = bootstrap.consistency(deltas_NS, "clip")
    over_speakers = _over_speakers(heard, deltas_NS, seed)
    return [
        row(SPEECH, EXTENDED, emotion, LENGTH, length),
        row(SPEECH, EXTENDED, emotion, CONSISTENCY, consistency),
        row(SPEECH, EXTENDED, emotion, OVER_SPEAKERS, over_speakers),
        *(
            NumberRow(
                SPEECH, EXTENDED, emotion, LENGTH, float(np.linalg.norm(delta_S)), 1,
                clip=recording.path.name, speaker=recording.speaker,
            )
            for recording, delta_S in zip(heard.recordings, deltas_NS, strict=True)
        ),
    ]  # fmt: skip


def _over_speakers(heard: HeardRecordings, deltas_NS: np.ndarray, seed: int) -> Measure:
    speakers_N = heard.speakers_N
    names = sorted({name for name in speakers_N if name is not None})
    if not names:
        return Measure(None, 0, reason=UNKNOWN_SPEAKERS)
    directions_NS = np.stack([deltas_NS[speakers_N == name].mean(axis=0) for name in names])
    return ClipBootstrap(len(names), seed).consistency(directions_NS, "speaker")


def _rows_beside_basics(
    emotion: str, heard: HeardRecordings, deltas_NS: np.ndarray, basics: Basics, bootstrap: ClipBootstrap
) -> list[NumberRow]:
    """Where an emotion points among the basic ones."""

    def row_of(measure: str, found: Measure, **more: str | None) -> NumberRow:
        return row(SPEECH, EXTENDED, emotion, measure, found, **more)

    beside = bootstrap.of_mean(deltas_NS, lambda means_BS: cosines(means_BS, basics.directions_ES))
    rows = [row_of(COSINE + name, found) for name, found in zip(basics.emotions, beside, strict=True)]
    [strength] = bootstrap.of_mean(
        deltas_NS, lambda means_BS: np.linalg.norm(means_BS, axis=1)[:, None] / basics.mean_length
    )
    rows.append(row_of(STRENGTH, strength))
    place = _nearest(np.array([found.value if found.value is not None else np.nan for found in beside]))
    cosines_NE = cosines(deltas_NS, basics.directions_ES)
    places = [_nearest(cosines_E) for cosines_E in cosines_NE]
    if place is not None:
        rows.append(row_of(NEAREST, beside[place], answer=basics.emotions[place]))
        rows.append(row_of(AGREEMENT, share(places.count(place), len(places))))
    for recording, cosines_E, own in zip(heard.recordings, cosines_NE, places, strict=True):
        who = {"clip": recording.path.name, "speaker": recording.speaker}
        rows += [
            row_of(COSINE + name, Measure(float(value), 1), **who)
            for name, value in zip(basics.emotions, cosines_E, strict=True)
            if np.isfinite(value)
        ]
        if own is not None:
            rows.append(row_of(NEAREST, Measure(float(cosines_E[own]), 1), answer=basics.emotions[own], **who))
    return rows


def _nearest(cosines_E: np.ndarray) -> int | None:
    return None if np.isnan(cosines_E).all() else int(np.nanargmax(cosines_E))


def _basic_rows(basics: Basics) -> list[NumberRow]:
    """How alike and how long the basic directions are, and how often basic clips point to their own."""
    among_EE = cosines(basics.directions_ES, basics.directions_ES)
    rows = []
    for emotion, direction_S, cosines_E in zip(basics.emotions, basics.directions_ES, among_EE, strict=True):
        n = basics.num_clips[emotion]
        rows.append(NumberRow(SPEECH, BASIC, emotion, LENGTH, float(np.linalg.norm(direction_S)), n))
        rows += [
            NumberRow(SPEECH, BASIC, emotion, COSINE + name, float(value) if np.isfinite(value) else None, n)
            for name, value in zip(basics.emotions, cosines_E, strict=True)
        ]
    return rows + [row(SPEECH, BASIC, emotion or None, POINTS_TO_OWN, found) for emotion, found in basics.own.items()]
