"""Reading the sample corpus: MEAD's layout, with the split in three lists at the root of the tree."""

from pathlib import Path

from cmet.corpora.mead import parse_tree
from cmet.corpora.scan import Clip
from cmet.errors import UserError

NAME = "sample"


def parse(path: Path) -> Clip:
    """Read the labels of one clip from its path relative to the corpus root."""
    return parse_tree(NAME, path)


def splits(root: Path) -> dict[str, str]:
    """Speakers of train.txt, val.txt and test.txt.

    Raises:
        UserError: A list is missing.
    """
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        path = root / f"{split}.txt"
        if not path.is_file():
            raise UserError(f"{path}: missing; this is no sample corpus, `cmet sample` makes one")
        found |= dict.fromkeys(path.read_text(encoding="utf-8").split(), split)
    return found
