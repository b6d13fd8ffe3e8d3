"""Which recordings there are, of which emotion, and by whom where that is said.

Layouts   <emotion>/<name>.wav, or <emotion>/<speaker>/<name>.wav; vectors as <name>.npy in the same folder or in
          `emotion2vec+large_features/` below it, as the release of C-MET has them
Basic     the same below one folder, or MEAD's <speaker>/front/<emotion>/level_<N>/<NNN>.wav
Speakers  a sub-folder, a path of MEAD, or, where a person says so, the name of a file; never guessed otherwise:
          `dia185_utt5.wav` begins with a dialogue, not with a speaker
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cmet.corpora import mead
from cmet.editing.emotions.speech import VECTOR_SUFFIX, without_companions
from cmet.errors import UserError
from cmet.inputs.files import not_a_folder, oddity
from cmet.media.kinds import SOUND_SUFFIXES, is_medium, sorted_out
from cmet.media.sound import SOUNDFILE_SUFFIXES
from cmet.speech.encoders.precomputed import FEATURES_FOLDER
from cmet.vocabulary import EMOTIONS

NEUTRAL = "neutral"
MEAD_DEPTHS = (5, 6, 7)
"""Parts of a path from the speaker on: prepared, released with `video/`, and that inside an archive's folder."""


@dataclass(frozen=True)
class Recording:
    """One utterance: a sound, or a vector of it."""

    path: Path
    emotion: str
    speaker: str | None
    """None where nobody says who it is."""


def emotion_folders(folders: Sequence[Path]) -> list[Path]:
    """One folder per emotion: those given, or the sub-folders of a single one that holds no recording itself.

    Raises:
        UserError: One is missing or empty, is called neutral, or two have the same name.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UserError(
                f"{folder}: {not_a_folder(folder)}; name the folder that holds the recordings of one emotion"
            )
        if not any(folder.iterdir()):
            raise UserError(f"{folder}: an empty folder; put recordings of one emotion into it")
    found = list(folders)
    if len(found) == 1 and not _files_in(found[0], has_vectors=True):
        # an empty folder of no recordings gets its message where it is read
        found = _sub_folders(found[0]) or found
    names = [folder.resolve().name for folder in found]
    for folder, name in zip(found, names, strict=True):
        if name == NEUTRAL:
            raise UserError(f"{folder}: neutral is what the others are compared with; give it to --neutral-speech")
        if names.count(name) > 1:
            raise UserError(f"{folder}: two folders are called {name!r}, and the name is the emotion; rename one")
    return found


def in_folder(folder: Path, emotion: str, has_vectors: bool, is_speaker_in_name: bool = False) -> list[Recording]:
    """Recordings of a folder and of its sub-folders, which are named by speakers, sorted; one per name of a file.

    Args:
        folder: Of one emotion.
        emotion: Its label.
        has_vectors: Whether vectors are understood; then one goes before a sound of the same name.
        is_speaker_in_name: Whether names of files begin with the speaker and an underscore.

    Raises:
        UserError: There is none, or the name of a file does not begin with a speaker though it should.
    """
    found = [Recording(file, emotion, None) for file in _files_in(folder, has_vectors)]
    for below in _sub_folders(folder):
        found += [Recording(file, emotion, below.name) for file in _files_in(below, has_vectors)]
    if not found:
        kind = "no sound file or .npy vector" if has_vectors else "no sound file"
        hint = (
            "" if has_vectors or not _files_in(folder, True) else ", only .npy vectors, which are those of emotion2vec"
        )
        raise UserError(f"{folder}: {kind} in this folder or in those right below it{hint}")
    return [_with_speaker(recording, is_speaker_in_name) for recording in found]


def neutral_recordings(paths: Sequence[Path], has_vectors: bool, is_speaker_in_name: bool = False) -> list[Recording]:
    """Calm recordings: files, folders as `in_folder` has them, or those of a tree of MEAD.

    Raises:
        UserError: A path is missing, or a folder holds none.
    """
    found = []
    for path in paths:
        if path.is_file():
            found.append(_with_speaker(Recording(path, NEUTRAL, None), is_speaker_in_name))
        elif not path.is_dir():
            raise UserError(f"--neutral-speech {path}: {oddity(path)}; name a file or a folder")
        elif _is_flat(path):
            found += in_folder(path, NEUTRAL, has_vectors, is_speaker_in_name)
        else:
            calm = [recording for recording in mead_tree(path, has_vectors) if recording.emotion == NEUTRAL]
            # says what is missing
            found += calm or in_folder(path, NEUTRAL, has_vectors)
    return found


def basic_recordings(root: Path, has_vectors: bool, is_speaker_in_name: bool = False) -> list[Recording]:
    """Recordings of the basic emotions and neutral ones.

    Raises:
        UserError: There is none, no neutral one, or no emotional one.
    """
    if not root.is_dir():
        raise UserError(f"--basic {root}: {not_a_folder(root)}")
    named = [folder for folder in _sub_folders(root) if folder.name in EMOTIONS]
    if named:
        found = [one for folder in named for one in in_folder(folder, folder.name, has_vectors, is_speaker_in_name)]
    else:
        found = mead_tree(root, has_vectors)
    emotions = {recording.emotion for recording in found}
    if not found:
        raise UserError(
            f"--basic {root}: no recording of a basic emotion; expected sub-folders {', '.join(EMOTIONS)}, or MEAD's "
            "<speaker>/front/<emotion>/level_<N>/<NNN>.wav" + (" or .npy" if has_vectors else "")
        )
    if NEUTRAL not in emotions or len(emotions) == 1:
        missing = "neutral" if NEUTRAL not in emotions else "emotional"
        raise UserError(f"--basic {root}: no {missing} recording; a direction leads from neutral to an emotion")
    return found


def mead_tree(root: Path, has_vectors: bool) -> list[Recording]:
    """Recordings of a tree in MEAD's layout, prepared or released and unpacked; views other than front do not count."""
    by_clip: dict[tuple[str, ...], list[Path]] = {}
    for file in _usable(_files_below(root), has_vectors):
        labels = _mead_labels(file)
        if labels is not None:
            by_clip.setdefault(labels, []).append(file)
    return [Recording(min(files, key=_rank), labels[1], labels[0]) for labels, files in sorted(by_clip.items())]


def has_kind(path: Path, is_vector: bool) -> bool:
    """Whether a file is a vector, or a sound; of a folder, whether any file below it is."""
    files = _files_below(path) if path.is_dir() else [path]
    return any(file.suffix.lower() == VECTOR_SUFFIX if is_vector else is_medium(file) for file in files)


def passed_over(folders: Sequence[Path], has_vectors: bool) -> list[Path]:
    """Visible files below folders that are no recordings and do not go with one of the same name."""
    found = []
    for folder in folders:
        media, others = sorted_out(_files_below(folder))
        found += without_companions(others, [*media, *(_vectors(others) if has_vectors else [])])
    return found


def _files_below(root: Path) -> Iterator[Path]:
    """All visible files; links are followed, into each folder once, since one may lead to a folder above itself."""
    visited = set()
    for place, folders, files in os.walk(root, followlinks=True):
        stat = Path(place).stat()
        if (stat.st_dev, stat.st_ino) in visited:
            folders.clear()
            continue
        visited.add((stat.st_dev, stat.st_ino))
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        yield from (Path(place, file) for file in files if not file.startswith("."))


def _with_speaker(recording: Recording, is_in_name: bool) -> Recording:
    labels = _mead_labels(recording.path)
    if labels is not None:
        return replace(recording, speaker=labels[0])
    if not is_in_name:
        return recording
    speaker, underscore, _ = recording.path.stem.partition("_")
    if not underscore or not speaker:
        raise UserError(f"--speaker-in-name: {recording.path} does not begin with a speaker and an underscore")
    return replace(recording, speaker=speaker)


def _mead_labels(file: Path) -> tuple[str, ...] | None:
    """Speaker, emotion, level and sentence, as MEAD's paths tell them; None for another path or view."""
    absolute = file.absolute()
    if absolute.parent.name == FEATURES_FOLDER:
        absolute = absolute.parents[1] / absolute.name
    for depth in MEAD_DEPTHS:
        match = mead.PATTERN.fullmatch("/".join(absolute.parts[-depth:]))
        if match is not None and match["view"] in (None, "front"):
            speaker = mead.ALIASES.get(match["speaker"], match["speaker"])
            return speaker, match["emotion"], match["level"], match["sentence"]
    return None


def _is_flat(folder: Path) -> bool:
    """Whether recordings lie in a folder or right below it."""
    return any(_files_in(place, has_vectors=True) for place in (folder, *_sub_folders(folder)))


def _files_in(folder: Path, has_vectors: bool) -> list[Path]:
    """One file per name, a vector before a sound and a sound before a video."""
    places = [folder, folder / FEATURES_FOLDER]
    files = (file for place in places if place.is_dir() for file in place.iterdir() if file.is_file())
    by_stem: dict[str, list[Path]] = {}
    for file in _usable(files, has_vectors):
        by_stem.setdefault(file.stem, []).append(file)
    return [min(by_stem[stem], key=_rank) for stem in sorted(by_stem)]


def _usable(files: Iterable[Path], has_vectors: bool) -> list[Path]:
    media, others = sorted_out(files)
    return sorted([*media, *_vectors(others)]) if has_vectors else media


def _vectors(files: Iterable[Path]) -> list[Path]:
    return [file for file in files if file.suffix.lower() == VECTOR_SUFFIX and not file.name.startswith(".")]


def _rank(file: Path) -> tuple[int, Path]:
    suffix = file.suffix.lower()
    kinds = ({VECTOR_SUFFIX}, SOUNDFILE_SUFFIXES, SOUND_SUFFIXES)
    return next((rank for rank, suffixes in enumerate(kinds) if suffix in suffixes), len(kinds)), file


def _sub_folders(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and path.name != FEATURES_FOLDER and not path.name.startswith(".")
    )
