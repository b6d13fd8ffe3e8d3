"""Links in `weights/` to the weights that lie elsewhere, so that DVC sees them.

`dvc.yaml` can name fixed folders only, the homes of the checkpoints in `weights/`. A file that is read from anywhere
else gets a link in its home, through which DVC reads the content: under the same name, so that to DVC it makes no
difference where a file lies.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cmet.errors import UserError
from cmet.outputs import write_json
from cmet.weights.hubs import emotion2vec_folders, torch_checkpoints
from cmet.weights.registry import CHECKPOINTS, Checkpoint, places_of, weights_folder

RECORD = ".linked.json"
"""In `weights/`: what each of our links leads to. Any other link is the user's."""

ASIDE = "elsewhere"
"""Folder of a home for a link whose name is taken there by a file that is not read."""

NAMED = "named"
"""Folder of a home for links to what params.yaml names by a path."""

BY_NAME = ("judge",)
"""Homes whose files are also read without being registered, by the name that params.yaml has for them."""


def link_elsewhere(project: Path, named: Mapping[str, Sequence[Path]] | None = None) -> None:
    """Make the links of a project agree with where its weights lie now; to be called before weights are read.

    DVC watches `weights/<home>` and nothing else, but weights are read from wherever `CMET_WEIGHTS` says, from directly
    in `weights/`, and those of speech encoders also from the caches of ModelScope, Hugging Face and torch.hub. Each
    registered file that is read from outside of its home is linked there, and so is every file of `judge` in the folder
    that `CMET_WEIGHTS` names. Links that were made before and lead nowhere or to another place are removed or
    changed. Files and links of the user are never touched: where one has the name of a file that is read from
    elsewhere, the link lies in `weights/<home>/elsewhere/`.

    Several processes may do this at once. It takes some milliseconds and imports nothing heavy. Nothing is made in a
    folder without a dvc.yaml, where nobody watches, nor where there is nothing to link.

    Args:
        project: The folder of params.yaml and dvc.yaml.
        named: By home, files and folders of weights that params.yaml names by their paths; None leaves their links.

    Raises:
        UserError: A link cannot be made or removed.
    """
    if not (project / "dvc.yaml").is_file():
        return
    links = _Links.of((project / "weights").absolute())
    try:
        links.replace_by(links.wanted(weights_folder(project).absolute()) | links.named(named))
    except OSError as error:
        raise UserError(
            f"{links.folder}: no link can be made or removed in it ({error.strerror}), so DVC would not see a change "
            "of weights that lie elsewhere; make the folder writable"
        ) from error


@dataclass(frozen=True)
class _Links:
    """The links that were made in a folder of weights."""

    folder: Path
    made: dict[str, str]
    """What each leads to, by its path in the folder."""

    @classmethod
    def of(cls, folder: Path) -> "_Links":
        record = folder / RECORD
        return cls(folder, json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {})

    def wanted(self, source: Path) -> dict[str, str]:
        """What should lead where, for the weights that are read from the folder `source`."""
        wanted = {}
        for home, name, path in self._read_files(source):
            place = self.folder / home
            if _real(path).is_relative_to(os.path.realpath(place)):
                continue
            link = place / name
            if os.path.lexists(link) and not self._is_ours(link):
                if link.exists() and link.samefile(path):
                    continue
                link = place / ASIDE / name
            wanted[link.relative_to(self.folder).as_posix()] = str(path)
        return wanted

    def named(self, named: Mapping[str, Sequence[Path]] | None) -> dict[str, str]:
        """What should lead to files that were named by their paths, and to those in folders that were."""
        if named is None:
            return {link: target for link, target in self.made.items() if Path(link).parts[1] == NAMED}
        return {
            f"{home}/{NAMED}/{name}": str(file)
            for home, paths in named.items()
            for path in paths
            for name, file in _files_at(path.absolute()).items()
            if not _real(file).is_relative_to(os.path.realpath(self.folder / home))
        }

    def replace_by(self, wanted: dict[str, str]) -> None:
        """Remove what is not wanted and make what is."""
        for name, target in self.made.items():
            link = self.folder / name
            if target != wanted.get(name) and self._is_ours(link):
                link.unlink(missing_ok=True)
                # a home stays, DVC asks for it
                if link.parent.parent != self.folder:
                    with suppress(OSError):
                        link.parent.rmdir()
        # before the links: one that is in no record would be the user's
        if wanted and wanted != self.made:
            write_json(self.folder / RECORD, wanted)
        for name, target in wanted.items():
            link = self.folder / name
            if not os.path.lexists(link):
                link.parent.mkdir(parents=True, exist_ok=True)
                # another process may do the same
                with suppress(FileExistsError):
                    link.symlink_to(target)
        if self.made and not wanted:
            (self.folder / RECORD).unlink(missing_ok=True)

    def _read_files(self, source: Path) -> Iterator[tuple[str, str, Path]]:
        """Home, name in it and place of each file that would be read now, if there were no links of ours."""
        for checkpoint in CHECKPOINTS.values():
            found = self._cached(checkpoint) | self._found(checkpoint, source)
            for name, path in found.items():
                yield checkpoint.home, name, path
        known = {"README.md", *(checkpoint.file for checkpoint in CHECKPOINTS.values())}
        for home in BY_NAME:
            for path in sorted((source / home).glob("[!.]*")):
                if path.is_file() and path.name not in known and not self._is_ours(path):
                    yield home, path.name, path

    def _found(self, checkpoint: Checkpoint, source: Path) -> dict[str, Path]:
        """Its files by their names in its home, as far as they are in a folder of weights."""
        if checkpoint.is_folder and checkpoint.file is not None:
            return self._parts(checkpoint, places_of(checkpoint.file, source))
        names = [checkpoint.file] if checkpoint.file else checkpoint.parts
        found = {name: [path for path in places_of(name, source) if not self._is_ours(path)] for name in names}
        return {name: paths[0] for name, paths in found.items() if paths}

    def _cached(self, checkpoint: Checkpoint) -> dict[str, Path]:
        """Its files in the caches of hubs."""
        if checkpoint.name == "emotion2vec":
            return self._parts(checkpoint, emotion2vec_folders())
        if checkpoint.name == "torchaudio-bundles":
            return {part: path for part in checkpoint.parts if (path := torch_checkpoints() / part).is_file()}
        return {}

    def _parts(self, checkpoint: Checkpoint, folders: Iterable[Path]) -> dict[str, Path]:
        """The parts of a folder in the first of these places that has any."""
        for folder in folders:
            there = [part for part in checkpoint.parts if (folder / part).is_file()]
            parts = {f"{checkpoint.file}/{part}": folder / part for part in there if not self._is_ours(folder / part)}
            if parts:
                return parts
        return {}

    def _is_ours(self, path: Path) -> bool:
        """Whether a path is a link that was made here, and not what the user has put in its place."""
        target = self._targets.get(_real(path))
        return target is not None and path.is_symlink() and str(path.readlink()) == target

    @cached_property
    def _targets(self) -> dict[Path, str]:
        return {_real(self.folder / name): target for name, target in self.made.items()}


def _files_at(path: Path) -> dict[str, Path]:
    """A file by its name, or those directly in a folder by the names of both."""
    if path.is_dir():
        return {f"{path.name}/{file.name}": file for file in sorted(path.iterdir()) if file.is_file()}
    return {path.name: path} if path.is_file() else {}


def _real(path: Path) -> Path:
    """Where a file or a link lies, whatever its folder is called."""
    return Path(os.path.realpath(path.parent)) / path.name
