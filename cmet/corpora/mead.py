"""MEAD: 48 public actors, seven emotions at three levels and neutral, 30 to 40 sentences each.

Layout    <ID>/front/<emotion>/level_<N>/<NNN>.mp4, <NNN>.wav beside it (the prepared `FPS25` tree of C-MET), or
          as released: <ID>/video.tar or video_*.tar with [video/]<view>/<emotion>/level_<N>/<NNN>.mp4, and
          <ID>/audio.tar with [audio/]<emotion>/level_<N>/<NNN>.m4a; the archives may be unpacked to folders
Views     front, unless the parameter `manifest.views` names others; the release keeps one sound for all of them
Labels    the path; the split is the paper's (C-MET, dataset/MEAD/train.txt and test.txt)
Licence   MEAD's terms of use: research, non-commercial
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cmet.corpora.clip import NO_VIDEO, Clip, NotWanted, Parse, split_by_speaker
from cmet.errors import ClipError
from cmet.media.kinds import SOUND_SUFFIXES
from cmet.vocabulary import EMOTIONS, TARGET_EMOTIONS

NAME = "mead"
VIEWS = ("front", "left_30", "left_60", "right_30", "right_60", "top", "down")
FRONT = "front"
NUM_SENTENCES, NUM_NEUTRAL_SENTENCES = 30, 40
LEVELS = (1, 2, 3)

PATTERN = re.compile(
    rf"(?P<speaker>[MW]\d{{3}}(?:-\d)?)"
    rf"(?:/[^/]+\.(?i:tar|zip))?(?:/(?:video|audio))?"
    rf"(?:/(?P<view>{'|'.join(VIEWS)}))?"
    rf"/(?P<emotion>{'|'.join(EMOTIONS)})/level_(?P<level>[123])/(?P<sentence>\d{{3}})\.(?P<suffix>\w+)",
    re.ASCII,
)
OTHER_VIEW = "other_view"
HINTS = {
    OTHER_VIEW: "these are other views; the clips are those of front, in video.tar of each speaker, unless "
    "manifest.views names these",
    NO_VIDEO: "these are sounds alone, as audio.tar has them, which do for speech; for faces get video.tar of each "
    "speaker",
}

TEST = ["M003", "M030", "W009", "W015"]
TRAIN = [
    "M005", "M007", "M009", "M011", "M012", "M013", "M019", "M022", "M023", "M024", "M025",
    "M026-2", "M027", "M028", "M029", "M031", "M032-2", "M033", "M034", "M035", "M037", "M039",
    "M040", "M041", "M042-1", "W011", "W014", "W016", "W018", "W019", "W021-1", "W023", "W024",
    "W025", "W026", "W028", "W029", "W033", "W035", "W036", "W037", "W038", "W040",
]  # fmt: skip
ALIASES = {"M026": "M026-2", "M032": "M032-2", "M042": "M042-1", "W021": "W021-1"}
"""Folders of the public drive that lack the suffix of the paper's lists."""

SPLITS = dict.fromkeys(TRAIN, "train") | dict.fromkeys(TEST, "test")
"""The paper's; it has no validation speakers."""


def parse(path: Path) -> Clip:
    """Read the labels of one clip from its path relative to the corpus root.

    Raises:
        ClipError: `bad_name` or `unknown_speaker`.
        NotWanted: `other_view`.
    """
    return parse_tree(NAME, path, SPLITS)


def parse_tree(corpus: str, path: Path, splits: dict[str, str], views: Collection[str] = (FRONT,)) -> Clip:
    """As `parse`, for any corpus in MEAD's layout, and other views."""
    match = PATTERN.fullmatch(path.as_posix())
    # the release keeps one sound for all views
    if match is None or (match["view"] is None and f".{match['suffix'].lower()}" not in SOUND_SUFFIXES):
        raise ClipError("bad_name", f"{path}: expected <ID>/front/<emotion>/level_<1-3>/<NNN>.mp4 or .wav")
    if match["view"] is not None and match["view"] not in views:
        raise NotWanted(OTHER_VIEW)
    speaker = ALIASES.get(match["speaker"], match["speaker"])
    level = int(match["level"])
    if match["emotion"] == "neutral" and level != 1:
        raise ClipError("bad_name", f"{path}: neutral has level_1 only")
    split = split_by_speaker(splits, speaker, path, corpus)
    return _clip(corpus, speaker, match["emotion"], level, match["sentence"], split, match["view"])


def parser(root: Path) -> Parse:
    """`parse`, which is the same for a tree that was released and one that was prepared."""
    return parse


def expected(root: Path) -> list[Clip]:
    """The clips of the paper's 47 speakers: 40 neutral ones and 30 of every emotion and level."""
    return _expected((FRONT,))


@dataclass(frozen=True)
class SomeViews:
    """MEAD in some of its views."""

    views: tuple[str, ...]
    NAME = NAME
    HINTS = HINTS

    def parser(self, root: Path) -> Parse:
        """As of the frontal view."""
        return lambda path: parse_tree(self.NAME, path, SPLITS, self.views)

    def expected(self, root: Path) -> list[Clip]:
        """The same clips, once for each view."""
        return _expected(self.views)


def _expected(views: Collection[str]) -> list[Clip]:
    return [
        _clip(NAME, speaker, emotion, level, f"{number:03d}", split, view)
        for view in views
        for speaker, split in sorted(SPLITS.items())
        for emotion in EMOTIONS
        for level in (LEVELS if emotion in TARGET_EMOTIONS else LEVELS[:1])
        for number in range(1, 1 + (NUM_SENTENCES if emotion in TARGET_EMOTIONS else NUM_NEUTRAL_SENTENCES))
    ]


def _clip(corpus: str, speaker: str, emotion: str, level: int, sentence: str, split: str, view: str | None) -> Clip:
    # the frontal view has the names that it has had since it was the only one
    whose = speaker if view in (None, FRONT) else f"{speaker}-{view}"
    return Clip(f"{corpus}-{whose}-{emotion}-{level}-{sentence}", speaker, emotion, level, sentence, split, view)
