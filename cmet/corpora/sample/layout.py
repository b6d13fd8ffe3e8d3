"""Reading the sample corpus: MEAD's layout, with the split in three lists at the root of the tree."""

from pathlib import Path

from cmet.corpora.clip import Clip, Parse
from cmet.corpora.mead import parse_tree
from cmet.errors import UserError
from cmet.objects.files import kept_on_disk

NAME = "sample"
HINTS: dict[str, str] = {}


def parser(root: Path) -> Parse:
    """What reads labels off MEAD's layout with the splits of a tree.

    Raises:
        UserError: A list of speakers is missing.
    """
    splits = read_splits(root)
    return lambda path: parse_tree(NAME, path, splits)


def expected(root: Path) -> list[Clip]:
    """Nothing: how many clips a sample has is a matter of params.yaml."""
    return []


def read_splits(root: Path) -> dict[str, str]:
    """Split of the speakers of train.txt, val.txt and test.txt.

    Raises:
        UserError: A list is missing.
    """
    found: dict[str, str] = {}
    for split in ("train", "val", "test"):
        path = kept_on_disk(root / f"{split}.txt")
        if not path.is_file():
            raise UserError(f"{path}: missing, so this is not a sample corpus; `cmet sample` makes one")
        found |= dict.fromkeys(path.read_text(encoding="utf-8").split(), split)
    return found
