"""What a corpus tree holds: every media file under its labels, in a folder, an archive or an object store."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from cmet.archives import ARCHIVE_SUFFIXES, NUM_HEAD_BYTES, has_same_bytes, open_bytes, read_archive, stand_in
from cmet.corpora.clip import NO_VIDEO, Clip, NotWanted, Parse, Utterance
from cmet.errors import ClipError, UserError
from cmet.inputs.files import not_a_folder
from cmet.media.kinds import MEDIA_SUFFIXES, SOUND_SUFFIXES, SYSTEM_FILES, is_medium
from cmet.objects.inventory import is_inventory, is_plain_name, is_tree, open_inventory, refuse_address
from cmet.progress import counted

UNSUPPORTED_ARCHIVES = (".tar.gz", ".tgz", ".7z", ".rar", ".part", ".crdownload", ".001")
ALSO_IN_ARCHIVE, COPY = "also_in_archive", "copy"
NOTES_SUFFIXES = frozenset({".csv", ".md", ".txt"})
"""Lists and notes that come with a corpus."""


class Tree(Protocol):
    """A corpus whose paths say what the clips are."""

    NAME: str

    HINTS: dict[str, str]
    """What to get where there is no clip and most files are not wanted for this reason, or where it is `NO_VIDEO`."""

    def parser(self, root: Path) -> Parse:
        """What reads labels off the paths of a tree; lists that lie in it are read now."""
        ...

    def expected(self, root: Path) -> list[Clip]:
        """Labels of the complete corpus; empty when nobody can know them."""
        ...


@runtime_checkable
class Table(Protocol):
    """A corpus that lists its clips itself."""

    NAME: str

    def list_files(self, root: Path) -> "Listing":
        """All files of a corpus under their labels."""
        ...

    def expected(self, root: Path) -> list[Clip]:
        """As `Tree.expected`."""
        ...


Corpus = Tree | Table
"""What a corpus module provides."""


@dataclass(frozen=True)
class FoundClip:
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

    found: list[FoundClip]
    rejected: list[Rejected]
    not_wanted: dict[str, int]
    """Number of files by reason."""
    hint: str = ""
    """What the root or the files should have been, where there is no clip or picture and it can be told; ends a
    sentence."""
    passed_over: Sequence[str] = ()
    """Files that are no media, nor lists and notes."""


def list_corpus(corpus: Corpus, root: Path) -> Listing:
    """All files of a corpus under their labels.

    Raises:
        UserError: As `list_tree`, or what the corpus says of its own lists and tables.
    """
    if isinstance(corpus, Table):
        return corpus.list_files(root)
    listing = list_tree(root, corpus.parser(root))
    reason = max(listing.not_wanted, key=listing.not_wanted.__getitem__, default="")
    if listing.found:
        reason = NO_VIDEO if all(found.video is None for found in listing.found) else ""
    return replace(listing, hint=f"; {corpus.HINTS[reason]}") if reason in corpus.HINTS else listing


def list_tree(root: Path, parse: Parse) -> Listing:
    """Walk a folder and its archives and read the labels of every media file.

    A picture and a sound with the same labels are one clip. A clip that lies in an archive and beside it is taken from
    beside it. Of files with the same labels and the same bytes the first is taken, and empty files and pointers beside
    a whole one are passed over; other pictures with the same labels are rejected, since nobody can say which is meant.

    Raises:
        UserError: The folder does not exist.
    """
    if not is_tree(root):
        refuse_address(root)
        raise UserError(
            f"{root}: {not_a_folder(root)}; set manifest.root in params.yaml to the folder of the raw corpus"
        )
    clips: dict[str, Clip] = {}
    files: dict[str, list[Path]] = {}
    shared: defaultdict[Utterance, list[Path]] = defaultdict(list)
    rejected: list[Rejected] = []
    not_wanted: Counter[str] = Counter()
    passed_over: list[str] = []
    files_below = counted(media_files(root, rejected, passed_over), "reading names", None, "file", is_passing=True)
    for path in sorted(files_below):
        try:
            clip = parse(path)
        except NotWanted as reason:
            not_wanted[str(reason)] += 1
        except ClipError as error:
            rejected.append(Rejected(path.as_posix(), error.code, error.message))
        else:
            kept = clips.get(clip.clip_id)
            # the path of a sound may name no view
            if kept is None or kept.view is None or clip.view is not None:
                clips[clip.clip_id] = clip
            files.setdefault(clip.clip_id, []).append(path)
            if clip.view is None and _is_sound(path):
                shared[clip.utterance].append(path)
    _share_sounds(clips, files, shared)
    found = []
    for clip_id in sorted(clips):
        chosen = _beside_archives(files[clip_id])
        not_wanted[ALSO_IN_ARCHIVE] += len(files[clip_id]) - len(chosen)
        try:
            different = _without_copies(root, chosen)
            not_wanted[COPY] += len(chosen) - len(different)
            found.append(_one_clip(clips[clip_id], different))
        except ClipError as error:
            rejected.append(Rejected(files[clip_id][0].as_posix(), error.code, error.message))
    counts = {reason: number for reason, number in sorted(not_wanted.items()) if number}
    hint = "" if found else _other_root(root, rejected, parse)
    return Listing(found, rejected, counts, hint, sorted(passed_over))


def _share_sounds(clips: dict[str, Clip], files: dict[str, list[Path]], shared: Mapping[Utterance, list[Path]]) -> None:
    """Give a sound that is no view's own to every view of its utterance; where there is one, it is no clip by itself.

    Args:
        clips: By id.
        files: Of each clip; what is shared lies with the clip of its own labels.
        shared: Sounds whose paths name no view, by what was recorded.
    """
    in_view = {clip_id: clip.utterance for clip_id, clip in clips.items() if clip.view is not None}
    for clip_id, utterance in in_view.items():
        files[clip_id] += [path for path in shared.get(utterance, []) if path not in files[clip_id]]
    seen = set(in_view.values())
    alone = [clip_id for clip_id, clip in clips.items() if clip.view is None and clip.utterance in seen]
    for clip_id in alone:
        if all(map(_is_sound, files[clip_id])):
            del clips[clip_id], files[clip_id]


def media_files(root: Path, rejected: list[Rejected], passed_over: list[str]) -> Iterator[Path]:
    """Paths of all media files relative to the root, those in archives as if the archive were a folder.

    Links are followed. What cannot be read, or an archive that does not go to its end, is put down in `rejected`; what
    is no medium, in `passed_over`.
    """
    below = _objects_below if is_inventory(root) else _files_below
    for path in below(root, rejected, passed_over):
        suffix = os.path.splitext(path.name)[1].lower()  # noqa: PTH122 - Path.suffix takes twice as long
        if suffix in MEDIA_SUFFIXES:
            yield path
        elif suffix in ARCHIVE_SUFFIXES:
            yield from _members(root, path, rejected, passed_over)
        elif path.name.lower().endswith(UNSUPPORTED_ARCHIVES):
            message = f"{path}: {_advice(path.name)}"
            rejected.append(Rejected(path.as_posix(), "unsupported_archive", message))
        elif is_medium(root / path):
            yield path
        elif suffix not in NOTES_SUFFIXES and path.name.lower() not in SYSTEM_FILES:
            passed_over.append(path.as_posix())


def _files_below(root: Path, rejected: list[Rejected], passed_over: list[str]) -> Iterator[Path]:
    """All visible files, in any order; hidden ones named like media, as macOS leaves them, are passed over."""
    places = [Path()]
    visited = set()
    while places:
        place = places.pop()
        try:
            stat = (root / place).stat()
            # a link may lead to a folder above itself
            if (stat.st_dev, stat.st_ino) in visited:
                continue
            visited.add((stat.st_dev, stat.st_ino))
            entries = list(os.scandir(root / place))
        except OSError as error:
            message = f"{place}: cannot be read ({error.strerror})"
            rejected.append(Rejected(place.as_posix(), "unreadable_file", message))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                if Path(entry.name).suffix.lower() in MEDIA_SUFFIXES:
                    passed_over.append((place / entry.name).as_posix())
                continue
            if not _is_text(entry.name):
                name = repr(entry.name)
                rejected.append(Rejected(ascii(entry.name), "bad_name", f"{place}/{name}: the name is not valid UTF-8"))
            elif entry.is_dir():
                places.append(place / entry.name)
            elif entry.is_file():
                yield place / entry.name
            elif Path(entry.name).suffix.lower() in MEDIA_SUFFIXES | ARCHIVE_SUFFIXES:
                path = (place / entry.name).as_posix()
                rejected.append(Rejected(path, "unreadable_file", f"{path}: a broken link, or not a regular file"))


def _objects_below(root: Path, rejected: list[Rejected], passed_over: list[str]) -> Iterator[Path]:
    """As `_files_below`, of an inventory."""
    for stored in open_inventory(root).objects():
        name = stored.name
        if not (_is_text(name) and is_plain_name(name)):
            rejected.append(Rejected(ascii(name), "bad_name", f"{name!r}: no file could have this name"))
        elif not name.startswith(".") and "/." not in name:
            yield Path(name)
        elif Path(name).suffix.lower() in MEDIA_SUFFIXES and "/." not in f"/{name}".rpartition("/")[0]:
            passed_over.append(name)


def _members(root: Path, archive: Path, rejected: list[Rejected], passed_over: list[str]) -> Iterator[Path]:
    try:
        index = read_archive(root / archive)
    except ClipError as error:
        # it names the archive alone; an object by its whole address
        is_bare = archive.parent != Path() and error.message.startswith(archive.name)
        folder = f"{archive.parent.as_posix()}/" if is_bare else ""
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
        suffix = os.path.splitext(base)[1].lower()  # noqa: PTH122
        if base.startswith("."):
            if suffix in MEDIA_SUFFIXES:
                passed_over.append((archive / name).as_posix())
        elif suffix in MEDIA_SUFFIXES:
            yield archive / name
        elif suffix in ARCHIVE_SUFFIXES or base.lower().endswith(UNSUPPORTED_ARCHIVES):
            path = (archive / name).as_posix()
            message = f"{path}: an archive inside another, which is not looked into; unpack {archive}"
            rejected.append(Rejected(path, "unsupported_archive", message))


def _advice(name: str) -> str:
    if name.lower().endswith((".part", ".crdownload")):
        return "an unfinished download"
    if name.endswith(".001"):
        return "one part of an archive; join the parts first"
    return "its clips cannot be read one by one; unpack it, or make it a plain .tar"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _other_root(root: Path, rejected: Sequence[Rejected], parse: Parse) -> str:
    """Whether the files would have a name of this corpus one folder further up or down."""
    path = next((Path(one.path) for one in rejected if one.code == "bad_name"), Path())
    below, above = path.parts[:1], path.parts[1:]
    if is_inventory(root):
        address = open_inventory(root).address
        parent, _, name = address.rstrip("/").rpartition("/")
        places = (parent, "/".join((address.rstrip("/"), *below)))
    else:
        name, places = root.resolve().name, (str(root.resolve().parent), str(root / Path(*below)))
    for other, place in zip((Path(name) / path, Path(*above)), places, strict=True):
        try:
            parse(other)
        except NotWanted:
            return f"; did you mean {place}?"
        except ClipError:
            continue
        return f"; did you mean {place}?"
    return ""


def _beside_archives(files: list[Path]) -> list[Path]:
    """The files that lie in no archive, and those in archives for which there is none of their kind."""

    def is_member(file: Path) -> bool:
        return any(folder.suffix.lower() in ARCHIVE_SUFFIXES for folder in file.parents)

    plain = [file for file in files if not is_member(file)]
    kinds = {_is_sound(file) for file in plain}
    return [file for file in files if not is_member(file) or _is_sound(file) not in kinds]


def _without_copies(root: Path, files: list[Path]) -> list[Path]:
    """The files without those that have the bytes of an earlier one, or none of a medium though another one has."""
    different: list[Path] = []
    for is_sound in (False, True):
        same_kind = [file for file in files if _is_sound(file) == is_sound]
        if len(same_kind) > 1:
            same_kind = [file for file in same_kind if not _stands_in(root / file)] or same_kind
        first = len(different)
        for file in same_kind:
            if not any(has_same_bytes(root / other, root / file) for other in different[first:]):
                different.append(file)
    return different


def _stands_in(path: Path) -> bool:
    with open_bytes(path) as stream:
        return stand_in(stream.read(NUM_HEAD_BYTES)) is not None


def _is_sound(file: Path) -> bool:
    return file.suffix.lower() in SOUND_SUFFIXES


def _one_clip(clip: Clip, files: list[Path]) -> FoundClip:
    sounds = [file for file in files if _is_sound(file)]
    videos = [file for file in files if not _is_sound(file)]
    for kind, several in (("videos", videos), ("sounds", sounds)):
        if len(several) > 1:
            raise ClipError("ambiguous", f"{clip.clip_id} has {len(several)} {kind}: {', '.join(map(str, several))}")
    video, audio = (some[0].as_posix() if some else None for some in (videos, sounds))
    return FoundClip(clip, video, audio)
