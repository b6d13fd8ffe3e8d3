"""What a corpus tree holds: every media file under its labels, whether it lies in a folder or in an archive."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from cmet.archives import ARCHIVE_SUFFIXES, read_archive
from cmet.errors import ClipError, UserError

SOUND_SUFFIXES = frozenset({".wav", ".m4a", ".mp3", ".flac"})
MEDIA_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".avi", ".flv"}) | SOUND_SUFFIXES


@dataclass(frozen=True)
class Clip:
    """Labels of one clip."""

    clip_id: str
    """Unique and filesystem-safe: `mead-M003-angry-3-021`."""
    speaker: str
    emotion: str
    """One of `params.EMOTIONS` or `params.EXTENDED_EMOTIONS`."""
    intensity: int | None
    """1 to 3, None where the corpus does not say."""
    sentence: str
    split: str
    """train, val or test."""
    known_defect: str | None = None
    """Why the published clip is known to be unusable."""


class NotWanted(Exception):
    """A file of the corpus that is no clip for us (another view, a copy without sound); counted by reason."""


class Corpus(Protocol):
    """What a corpus module provides."""

    NAME: str

    def list_files(self, root: Path) -> "Listing":
        """All files of a corpus under their labels."""
        ...

    def expected(self, root: Path) -> list[Clip]:
        """Labels of the complete corpus; empty when nobody can know them."""
        ...


Parse = Callable[[Path], Clip]
"""Labels from a path relative to the root; opens no file.

Raises ClipError `bad_name` when they cannot be read, and `NotWanted`."""


@dataclass(frozen=True)
class Found:
    """A clip and its files, relative to the root."""

    clip: Clip
    video: str | None
    audio: str | None
    """Sound in a file of its own, which goes before the sound track of the video."""


@dataclass(frozen=True)
class Rejected:
    """A file that cannot be used."""

    path: str
    code: str
    message: str


@dataclass(frozen=True)
class Listing:
    """Everything below a root; no media file is missing from the three."""

    found: list[Found]
    rejected: list[Rejected]
    not_wanted: dict[str, int]
    """Number of files by reason."""


def list_tree(root: Path, parse: Parse) -> Listing:
    """Walk a folder and its archives and read the labels of every media file.

    A picture and a sound with the same labels are one clip; several pictures with the same labels are rejected, since
    nobody can say which one is meant.

    Raises:
        UserError: The folder does not exist.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; set manifest.root in params.yaml to the folder of the raw corpus")
    clips: dict[str, Clip] = {}
    files: dict[str, list[Path]] = {}
    rejected: list[Rejected] = []
    not_wanted: Counter[str] = Counter()
    files_below = tqdm(media_files(root, rejected), "reading names", unit=" files", delay=2, leave=False)
    for path in sorted(files_below):
        try:
            clip = parse(path)
        except NotWanted as reason:
            not_wanted[str(reason)] += 1
        except ClipError as error:
            rejected.append(Rejected(path.as_posix(), error.code, error.message))
        else:
            clips[clip.clip_id] = clip
            files.setdefault(clip.clip_id, []).append(path)
    found = []
    for clip_id in sorted(clips):
        try:
            found.append(_one_clip(clips[clip_id], files[clip_id]))
        except ClipError as error:
            rejected.append(Rejected(files[clip_id][0].as_posix(), error.code, error.message))
    return Listing(found, rejected, dict(sorted(not_wanted.items())))


def media_files(root: Path, rejected: list[Rejected]) -> Iterator[Path]:
    """Paths of all media files relative to the root, those in archives as if the archive were a folder.

    An archive that cannot be read, or not to its end, is put down in `rejected`.
    """
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        place = Path(folder).relative_to(root)
        for name in names:
            suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path for each of 30,000 names takes seconds
            if name.startswith("."):
                continue
            if suffix in MEDIA_SUFFIXES:
                yield place / name
            elif suffix in ARCHIVE_SUFFIXES:
                yield from _members(root, place / name, rejected)


def split_by_speaker(splits: dict[str, str], speaker: str, path: Path, corpus: str) -> str:
    """Split of a speaker.

    Raises:
        ClipError: `unknown_speaker`.
    """
    if speaker not in splits:
        raise ClipError("unknown_speaker", f"{path}: {speaker} is in no split of {corpus}")
    return splits[speaker]


def _members(root: Path, archive: Path, rejected: list[Rejected]) -> Iterator[Path]:
    try:
        index = read_archive(root / archive)
    except ClipError as error:
        folder = "" if archive.parent == Path() else f"{archive.parent.as_posix()}/"
        rejected.append(Rejected(archive.as_posix(), error.code, folder + error.message))
        return
    if index.damage is not None:
        rejected.append(Rejected(archive.as_posix(), "truncated_archive", f"{archive}: {index.damage}"))
    for name, reason in index.refused.items():
        rejected.append(
            Rejected((archive / name.lstrip("/")).as_posix(), "refused_member", f"{archive}: {name} {reason}")
        )
    for name in index.sizes:
        base = name.rpartition("/")[2]
        if not base.startswith(".") and os.path.splitext(base)[1].lower() in MEDIA_SUFFIXES:  # noqa: PTH122
            yield archive / name


def _one_clip(clip: Clip, files: list[Path]) -> Found:
    sounds = [file for file in files if file.suffix.lower() in SOUND_SUFFIXES]
    videos = [file for file in files if file.suffix.lower() not in SOUND_SUFFIXES]
    for kind, several in (("videos", videos), ("sounds", sounds)):
        if len(several) > 1:
            raise ClipError("ambiguous", f"{clip.clip_id} has {len(several)} {kind}: {', '.join(map(str, several))}")
    video, audio = (some[0].as_posix() if some else None for some in (videos, sounds))
    return Found(clip, video, audio)
