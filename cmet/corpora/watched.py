"""Which files of a corpus DVC watches: those below a folder that `dvc.yaml` names.

Those folders are the corpus itself and `manifest.files`; of an object store it is the inventory. DVC reads through a
link to a file and follows no link to a folder, so what decides is the folder in which a file, or the archive around it,
really lies.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from cmet.archives import archive_above
from cmet.corpora import table
from cmet.corpora.listing import Corpus, FoundClip, Listing, Rejected, list_corpus
from cmet.corpora.numbering import FILE, Numbering
from cmet.errors import UserError
from cmet.objects.files import kept_on_disk
from cmet.objects.inventory import inventory_above, is_inventory, is_tree

OUTSIDE = "outside_root"
"""Reason of a clip with a file that DVC does not watch."""


def files_folder(corpus: str, root: Path) -> Path:
    """What `manifest.files` should be: the folder of the corpus; for a table, the deepest one with all files it names.

    Where some files of a table lie below its folder, those elsewhere do not count: one path that leads astray must not
    have DVC watch a whole disk.

    Raises:
        UserError: The table cannot be read.
    """
    if corpus == table.NAME and root.is_file():
        files, beside = table.named_files(root), [_real(root.parent)]
        return _common_folder([file for file in files if _is_below(_real(file.parent), beside)] or files)
    return root


def list_watched(corpus: Corpus, root: Path, files: Path) -> Listing:
    """All files of a corpus; a clip with a file that DVC does not watch is rejected as `outside_root`.

    Args:
        corpus: Whose rules apply.
        root: Folder of the raw corpus, or the table.
        files: The folder `manifest.files`.

    Raises:
        UserError: As `list_corpus`, `files` is no folder, or no clip is left.
    """
    listing = list_corpus(corpus, root)
    if not is_tree(files):
        raise UserError(
            f"{files}: no such folder; set manifest.files in params.yaml to the folder below which all files of the "
            "corpus lie"
        )
    folder = _folder(root)
    watched = [place for place in (root, files) if is_tree(place)]
    real_watched = [_real(place) for place in watched]

    @cache
    def is_watched(place: str) -> bool:
        return _is_below(_real(folder / place), real_watched)

    inside: list[FoundClip] = []
    outside: list[Rejected] = []
    for found in listing.found:
        # a Path for each of many files takes as long as the rest
        unseen = [name for name in _names(found) if not is_watched(os.path.dirname(name))]  # noqa: PTH120
        if unseen:
            seems_inside = _is_below(_written(folder / unseen[0]), [_written(place) for place in watched])
            outside.append(Rejected(unseen[0], OUTSIDE, _sentence(unseen[0], seems_inside)))
        else:
            inside.append(found)
    if outside and not inside:
        common = _common_folder(folder / name for found in listing.found for name in _names(found))
        raise UserError(
            f"{root}: all {len(outside)} usable clips lie outside of {files}, first {outside[0].path}, so DVC would "
            f"not see them change; set manifest.files in params.yaml to {common}, or to a folder that you put them "
            "into, since the folder of params.yaml itself cannot be watched"
        )
    return replace(listing, found=inside, rejected=[*listing.rejected, *outside])


def watched_numbering(root: Path, files: Path) -> Numbering:
    """The map of a corpus, read where DVC watches it.

    Raises:
        UserError: As `Numbering.of`, or it lies beside a table, outside of `files`.
    """
    path = _folder(root) / FILE
    if not is_tree(root) and path.is_file() and not _is_below(_real(path.parent), [_real(files)]):
        raise UserError(
            f"{path}: lies outside of {files}, so DVC would not see it change; the sentences of a table belong in its "
            "column `sentence`: put them there and remove the file"
        )
    return Numbering.of(kept_on_disk(path).parent)


def _folder(root: Path) -> Path:
    """Where the paths of a listing begin."""
    return root if is_tree(root) else root.parent


def _names(found: FoundClip) -> list[str]:
    return [name for name in (found.video, found.audio) if name is not None]


def _common_folder(files: Iterable[Path]) -> Path:
    """The deepest folder below which all of these files really lie."""
    return Path(os.path.commonpath({_real(folder) for folder in {file.parent for file in files}}))


def _real(folder: Path) -> str:
    """Where a folder really lies; of one inside an archive, where the archive is listed; inside an inventory, that."""
    inventory = folder if is_inventory(folder) else inventory_above(folder)
    if inventory is not None:
        return os.path.realpath(inventory)
    archive = archive_above(folder / "member")
    return os.path.realpath(folder if archive is None else archive.parent)


def _written(path: Path) -> str:
    """The whole path by its own text, whatever links in it lead to."""
    return os.path.normpath(path.absolute())


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(os.path.commonpath((path, folder)) == folder for folder in folders)


def _sentence(name: str, seems_inside: bool) -> str:
    place = (
        "is reached through a link to a folder outside of manifest.files, and DVC does not follow it"
        if seems_inside
        else "lies outside of manifest.files, the folder that DVC watches"
    )
    return f"{name} {place}; move it there, or set manifest.files to a folder that holds all files of the corpus"
