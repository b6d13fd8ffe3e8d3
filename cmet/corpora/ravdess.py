"""RAVDESS: 24 actors say two sentences twice in eight emotions, most at two intensities; 1,440 spoken clips.

Layout    Video_Speech_Actor_<NN>.zip, unpacked or not; any folders around the files
Labels    seven two-digit fields of the name: modality, channel, emotion, intensity, statement, repetition, actor
Wanted    modality 01 (picture and sound) of channel 01 (speech); 02 is the same picture without sound, 03 sound alone
Split     ours, by actor, as nobody published one: 01-20 train, 21-22 validation, 23-24 test, a man and a woman each
Licence   CC BY-NC-SA 4.0 (Zenodo record 1188976)
"""

import re
from itertools import product
from pathlib import Path

from cmet.corpora.clip import Clip, NotWanted, Parse
from cmet.errors import ClipError

NAME = "ravdess"
EMOTIONS = {
    "01": "neutral",
    "02": "calm",  # not neutral: acted like the others, at two intensities
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgusted",
    "08": "surprised",
}
ACTORS = tuple(f"{number:02d}" for number in range(1, 25))
INTENSITIES, STATEMENTS, REPETITIONS = ("01", "02"), ("01", "02"), ("01", "02")
SONG, PICTURE_ONLY, SOUND_ONLY = "song", "picture_only", "sound_only"
NOT_WANTED_MODALITIES = {"02": PICTURE_ONLY, "03": SOUND_ONLY}

_WANTED = (
    "spoken clips with picture and sound are the files 01-01-*.mp4 in Video_Speech_Actor_01.zip to _24.zip of Zenodo "
    "record 1188976"
)
HINTS = {
    SONG: f"these are songs; {_WANTED}",
    PICTURE_ONLY: f"these are pictures without sound; {_WANTED}",
    SOUND_ONLY: f"these are sounds alone, as Audio_Speech_Actors_01-24.zip has them; {_WANTED}; to use sounds alone, "
    "list them in a table with the column audio (corpus `table`)",
}

PATTERN = re.compile(
    r"(?P<modality>0[123])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])-(?P<statement>0[12])"
    r"-(?P<repetition>0[12])-(?P<actor>0[1-9]|1\d|2[0-4])\.(?i:mp4|wav)",
    re.ASCII,
)


def parse(path: Path) -> Clip:
    """Read the labels of one clip from its path relative to the corpus root.

    Raises:
        ClipError: `bad_name`.
        NotWanted: `song`, `picture_only` or `sound_only`.
    """
    match = PATTERN.fullmatch(path.name)
    if match is None:
        raise ClipError("bad_name", f"{path}: expected seven two-digit fields, as in 01-01-05-02-01-02-11.mp4")
    if match["emotion"] == "01" and match["intensity"] == "02":
        raise ClipError("bad_name", f"{path}: neutral has no strong intensity")
    if match["channel"] == "02":
        raise NotWanted(SONG)
    if match["modality"] != "01":
        raise NotWanted(NOT_WANTED_MODALITIES[match["modality"]])
    return _clip(*match.group("actor", "emotion", "intensity", "statement", "repetition"))


def parser(root: Path) -> Parse:
    """`parse`, which is the same for every tree."""
    return parse


def expected(root: Path) -> list[Clip]:
    """The 1,440 spoken clips, 60 of every actor."""
    return [
        _clip(*fields)
        for fields in product(ACTORS, EMOTIONS, INTENSITIES, STATEMENTS, REPETITIONS)
        if not (fields[1] == "01" and fields[2] == "02")
    ]


def _clip(actor: str, emotion: str, intensity: str, statement: str, repetition: str) -> Clip:
    word = EMOTIONS[emotion]
    number = int(actor)
    return Clip(
        clip_id=f"{NAME}-{actor}-{word}-{int(intensity)}-{statement}-{repetition}",
        speaker=actor,
        emotion=word,
        intensity=int(intensity),
        sentence=f"{statement}-{repetition}",
        split="train" if number <= 20 else "val" if number <= 22 else "test",
    )
