"""The previous outputs of a stage stay until the new ones are whole, under DVC too.

DVC deletes what a stage has written before it runs the stage again; `persist` would spare it, but takes the stage out
of DVC's cache of runs. So what DVC has just deleted is put back from its cache, by what `dvc.lock` says: when the stage
fails or is killed, the old outputs are there, and DVC still calls them those of the old parameters.
"""

import configparser
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cmet.outputs import fresh_file, fresh_folder
from cmet.places import Places
from cmet.recorded import FOLDER_SUFFIX, kept_as, listed_files, recorded_outputs

STAGE_VARIABLE, ROOT_VARIABLE = "DVC_STAGE", "DVC_ROOT"
"""DVC sets them for the command of a stage."""


class _Kept(NamedTuple):
    """A file of an output, and where the cache has it."""

    name: str
    source: Path


def put_back_previous(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """Put back what DVC has deleted of the stage for which it runs this command; nothing where it is not DVC.

    Files of a folder become hard links into the cache, or symbolic ones where it is on another disk, so they take no
    room; stages replace their output as a whole and never write into an old one.

    Returns:
        The outputs that are there again: those that are gone, belong to the stage and are complete in the cache.
    """
    step, named = environment.get(STAGE_VARIABLE), environment.get(ROOT_VARIABLE)
    if not step or not named:
        return []
    root = Path(named)
    cache, back = _cache_folder(root), []
    for place, digest in _recorded(root, step):
        if place.exists() or (kept := _kept(cache, digest)) is None:
            continue
        if digest.endswith(FOLDER_SUFFIX):
            with fresh_folder(place) as folder:
                for name, source in kept:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    _link(source, folder / name)
        else:
            # a copy: git may know the file, and would see that a link is none
            with fresh_file(place) as unfinished:
                shutil.copyfile(kept[0].source, unfinished)
        back.append(place)
    return back


def _recorded(root: Path, step: str) -> Iterator[tuple[Path, str]]:
    """Outputs of a stage that lie where its stage writes today, with the hash that DVC has of them."""
    kind, _, variant = step.partition("@")
    places, named = Places(root, root, root), None if variant in ("", kind) else variant
    own = (places.folder(kind, named), places.metrics_file(kind, named), places.metrics, places.plots)
    for path, digest in recorded_outputs(root).get(step, ()):
        place = root / path
        if any(place.is_relative_to(one) for one in own):
            yield place, digest


def _kept(cache: Path, digest: str) -> list[_Kept] | None:
    """The files of an output in the cache; None where one is missing."""
    content = cache / kept_as(digest)
    if not content.is_file():
        return None
    if not digest.endswith(FOLDER_SUFFIX):
        return [_Kept("", content)]
    listed = listed_files(content.read_bytes(), content)
    kept = [_Kept(name, cache / kept_as(one)) for name, one in listed.items()]
    return kept if all(file.source.is_file() for file in kept) else None


def _cache_folder(root: Path) -> Path:
    """Where the cache is: the settings of the checkout come before those of the repository, and of the user."""
    own = root / ".dvc"
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for file in (own / "config.local", own / "config", settings / "dvc" / "config"):
        read = configparser.ConfigParser(interpolation=None, strict=False)
        read.read(file, encoding="utf-8")
        if named := read.get("cache", "dir", fallback=None):
            return file.parent / Path(named).expanduser()
    return own / "cache"


def _link(source: Path, place: Path) -> None:
    try:
        place.hardlink_to(source)
    except OSError:  # another disk, or one that allows no more links or none to files of others
        place.symlink_to(source)
