"""MEAD: 48 public actors, seven emotions at three levels and neutral, 30 to 40 sentences each.

Layout    <ID>/front/<emotion>/level_<N>/<NNN>.mp4, <NNN>.wav beside it (the prepared `FPS25` tree of C-MET)
Labels    the path; the split is the paper's (C-MET, dataset/MEAD/train.txt and test.txt)
Licence   MEAD's terms of use: research, non-commercial
"""

import re
from pathlib import Path

from cmet.corpora.scan import Clip
from cmet.errors import ClipError
from cmet.params import EMOTIONS

NAME = "mead"
PATTERN = re.compile(
    rf"(?P<speaker>[MW]\d{{3}}(?:-\d)?)/front/(?P<emotion>{'|'.join(EMOTIONS)})/level_(?P<level>[123])"
    r"/(?P<sentence>\d{3})\.\w+"
)
TEST = ["M003", "M030", "W009", "W015"]
TRAIN = [
    "M005", "M007", "M009", "M011", "M012", "M013", "M019", "M022", "M023", "M024", "M025",
    "M026-2", "M027", "M028", "M029", "M031", "M032-2", "M033", "M034", "M035", "M037", "M039",
    "M040", "M041", "M042-1", "W011", "W014", "W016", "W018", "W019", "W021-1", "W023", "W024",
    "W025", "W026", "W028", "W029", "W033", "W035", "W036", "W037", "W038", "W040",
]  # fmt: skip
ALIASES = {"M026": "M026-2", "M032": "M032-2", "M042": "M042-1", "W021": "W021-1"}
"""Folders of the public drive that lack the suffix of the paper's lists."""


def parse(path: Path) -> Clip:
    """Read the labels of one clip from its path relative to the corpus root."""
    return parse_tree(NAME, path)


def parse_tree(corpus: str, path: Path) -> Clip:
    """As `parse`, for any corpus in MEAD's layout.

    Raises:
        ClipError: `bad_name`.
    """
    match = PATTERN.fullmatch(path.as_posix())
    if match is None:
        raise ClipError("bad_name", f"{path}: expected <ID>/front/<emotion>/level_<1-3>/<NNN>.mp4 or .wav")
    speaker = ALIASES.get(match["speaker"], match["speaker"])
    level = int(match["level"])
    if match["emotion"] == "neutral" and level != 1:
        raise ClipError("bad_name", f"{path}: neutral has level_1 only")
    clip_id = f"{corpus}-{speaker}-{match['emotion']}-{level}-{match['sentence']}"
    return Clip(clip_id, speaker, match["emotion"], level, match["sentence"])


def splits(root: Path) -> dict[str, str]:
    """The paper's split; it has no validation speakers."""
    return dict.fromkeys(TRAIN, "train") | dict.fromkeys(TEST, "test")
