"""CREMA-D: 7,442 clips of 91 actors, 12 sentences, five emotions and neutral.

Layout    VideoFlash/<actor>_<sentence>_<emotion>_<level>.flv, AudioWAV/<same>.wav (the git repository), or the
          prepared FPS25/<same>.mp4; AudioMP3 holds the sound once more and is not read
Labels    "Filename labeling conventions" in the README of CheyneyComputerScience/CREMA-D; the acted emotion,
          as in C-MET
Split     ours, by actor: 1001-1073 train, 1074-1082 validation, 1083-1091 test. C-MET's lists (dataset/CREMA_D) split
          the sentences, so every actor is in both, and its benchmark manifest does not follow them
Licence   ODbL 1.0 (database), DbCL 1.0 (contents)
"""

import re
from itertools import product
from pathlib import Path

from cmet.corpora.clip import NO_VIDEO, Clip, NotWanted, Parse
from cmet.errors import ClipError

NAME = "cremad"
ACTORS = tuple(str(number) for number in range(1001, 1092))
EMOTIONS = {"ANG": "angry", "DIS": "disgusted", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
LEVELS = {"LO": 1, "MD": 2, "HI": 3, "XX": None}
"""XX: unspecified."""

OTHER_FORMAT = "other_format"
HINTS = {
    OTHER_FORMAT: "AudioMP3 is not read; get VideoFlash and AudioWAV",
    NO_VIDEO: "these are sounds alone, as AudioWAV has them, which do for speech; for faces get VideoFlash from the "
    "git repository",
}

LAST_TRAIN_ACTOR, LAST_VAL_ACTOR = "1073", "1082"
SENTENCES = ("DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
SENTENCE_WITH_LEVELS = "IEO"
"""The one sentence that was acted at three levels."""

PATTERN = re.compile(
    rf"(?P<actor>10\d\d)_(?P<sentence>{'|'.join(SENTENCES)})_(?P<emotion>{'|'.join(EMOTIONS)})_(?P<level>LO|MD|HI|XX)",
    re.ASCII,
)

NEVER_RECORDED = {
    "1002_TIE_NEU_XX", "1076_ITS_NEU_XX",
    *(f"{pair}_{emotion}_XX" for pair in ("1008_WSI", "1009_MTI", "1019_ITH") for emotion in EMOTIONS),
}  # fmt: skip

KNOWN_DEFECTS = {
    "1076_MTI_NEU_XX": "the video is far too short and silent",
    "1076_MTI_SAD_XX": "an error picture, silent and far too short, the wav too",
    "1064_TIE_SAD_XX": "the video has no duration",
    "1064_IEO_DIS_MD": "about a minute long, with several emotions",
}
"""Source: CREMA-D issue 8 and README."""

SILENT_IN_OLD_COPIES = frozenset({
    "1005_IWW_DIS_XX", "1007_IWL_HAP_XX", "1037_DFA_ANG_XX", "1037_WSI_DIS_XX", "1037_WSI_FEA_XX", "1037_WSI_SAD_XX",
    "1039_IWL_SAD_XX", "1039_WSI_SAD_XX", "1045_ITS_HAP_XX", "1045_WSI_DIS_XX", "1046_TIE_HAP_XX", "1058_IEO_SAD_HI",
    "1061_TIE_ANG_XX", "1063_IEO_DIS_HI", "1067_IEO_FEA_LO", "1068_IEO_SAD_MD", "1070_IWL_SAD_XX", "1071_WSI_ANG_XX",
    "1072_WSI_ANG_XX", "1073_MTI_SAD_XX", "1075_IWW_DIS_XX", "1075_WSI_DIS_XX", "1076_ITH_HAP_XX", "1076_ITH_NEU_XX",
    "1076_TAI_NEU_XX", "1079_IWL_ANG_XX", "1079_TAI_DIS_XX", "1091_IWW_FEA_XX",
})  # fmt: skip
"""Videos that had no sound track until 2020-12-16; copies of that time need AudioWAV."""


def parse(path: Path) -> Clip:
    """Read the labels of one clip from its path relative to the corpus root.

    Raises:
        ClipError: `bad_name`.
        NotWanted: `other_format`, the copy of the sound as MP3.
    """
    match = PATTERN.fullmatch(path.stem)
    if match is None or match["actor"] not in ACTORS or not _is_level_of(*match.group("sentence", "emotion", "level")):
        raise ClipError(
            "bad_name",
            f"{path}: expected <actor>_<sentence>_<emotion>_<level> with an actor of 1001-1091, a sentence of "
            f"{sorted(SENTENCES)}, an emotion of {sorted(EMOTIONS)} and a level of {sorted(LEVELS)} "
            f"(LO, MD and HI only for {SENTENCE_WITH_LEVELS})",
        )
    if path.suffix.lower() == ".mp3":
        raise NotWanted(OTHER_FORMAT)
    return _clip(path.stem)


def parser(root: Path) -> Parse:
    """`parse`, which is the same for every tree."""
    return parse


def expected(root: Path) -> list[Clip]:
    """The 7,442 clips of the release."""
    stems = (
        f"{actor}_{sentence}_{emotion}_{level}"
        for actor, sentence, emotion, level in product(ACTORS, SENTENCES, EMOTIONS, LEVELS)
        if _is_level_of(sentence, emotion, level)
    )
    return [_clip(stem) for stem in stems if stem not in NEVER_RECORDED]


def _is_level_of(sentence: str, emotion: str, level: str) -> bool:
    has_levels = sentence == SENTENCE_WITH_LEVELS and emotion != "NEU"
    return level != "XX" if has_levels else level == "XX"


def _clip(stem: str) -> Clip:
    actor, sentence, emotion, level = stem.split("_")
    return Clip(
        clip_id=f"{NAME}-{actor}-{sentence}-{emotion}-{level}",
        speaker=actor,
        emotion=EMOTIONS[emotion],
        intensity=LEVELS[level],
        sentence=sentence,
        split="train" if actor <= LAST_TRAIN_ACTOR else "val" if actor <= LAST_VAL_ACTOR else "test",
        known_defect=KNOWN_DEFECTS.get(stem),
    )
