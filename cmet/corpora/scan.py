"""From a raw corpus tree to a manifest, the same way for every corpus."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from cmet.errors import ClipError, UserError
from cmet.outputs import fresh_folder

MEDIA_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".avi", ".flv", ".wav"})
SOUND_SUFFIXES = frozenset({".wav"})


@dataclass(frozen=True)
class Clip:
    """Labels of one clip, read from its path."""

    clip_id: str
    """Unique and filesystem-safe: `mead-M003-angry-3-021`."""
    speaker: str
    emotion: str
    """One of `params.EMOTIONS`."""
    intensity: int | None
    sentence: str


class Corpus(Protocol):
    """What a corpus module provides."""

    NAME: str

    def parse(self, path: Path) -> Clip:
        """Labels from a path relative to the root; opens no file. ClipError `bad_name` when they cannot be read."""
        ...

    def splits(self, root: Path) -> dict[str, str]:
        """Split (train, val or test) of every speaker the corpus knows."""
        ...


@dataclass(frozen=True)
class ManifestReport:
    """Counts of a scan."""

    num_clips: int
    num_quarantined: int
    num_speakers: int
    num_emotions: int
    clips_per_split: dict[str, int]
    quarantined_by_reason: dict[str, int]


def scan(corpus: Corpus, root: Path) -> pd.DataFrame:
    """One row per clip, ordered by clip id.

    A picture and a sound of the same path and stem are one clip. A file whose labels cannot be read becomes a
    quarantined row; none vanishes.

    Raises:
        UserError: The folder does not exist, is empty, or holds no clip of this corpus.
    """
    files = _media_files(root)
    splits = corpus.splits(root)
    rows = [_row(corpus, splits, stem, names) for stem, names in sorted(_by_stem(files).items())]
    manifest = pd.DataFrame(rows).astype({"intensity": "Int64"})
    if not (manifest.status == "ok").any():
        raise UserError(
            f"{root}: this is no {corpus.NAME} corpus; none of its {len(rows)} clip(s) can be read, "
            f"first {manifest.reason.iloc[0]}"
        )
    doubled = manifest.clip_id[manifest.clip_id.duplicated()].unique()
    if len(doubled):
        raise UserError(f"{root}: {len(doubled)} clip id(s) stand for several files, first {doubled[0]}")
    return manifest.sort_values("clip_id", ignore_index=True)


def write_manifest(corpus: Corpus, root: Path, out: Path) -> ManifestReport:
    """Scan a corpus and write `manifest.parquet` into the folder `out`."""
    manifest = scan(corpus, root)
    with fresh_folder(out) as folder:
        manifest.to_parquet(folder / "manifest.parquet", index=False)
    ok = manifest[manifest.status == "ok"]
    bad = manifest[manifest.status != "ok"]
    return ManifestReport(
        num_clips=len(manifest),
        num_quarantined=len(bad),
        num_speakers=ok.speaker.nunique(),
        num_emotions=ok.emotion.nunique(),
        clips_per_split={str(split): int(number) for split, number in ok.split.value_counts().sort_index().items()},
        quarantined_by_reason=count_reasons(bad.reason),
    )


def count_reasons(reasons: Iterable[str]) -> dict[str, int]:
    """Number of quarantined clips by reason code."""
    return dict(sorted(Counter(reason.split(":")[0] for reason in reasons).items()))


def _media_files(root: Path) -> list[Path]:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; set manifest.root in params.yaml to the folder of the raw corpus")
    files = sorted(_walk(root))
    if not files:
        raise UserError(f"{root}: no video or sound file below this folder; is it the root of the corpus?")
    return files


def _walk(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.suffix.lower() in MEDIA_SUFFIXES:
                yield path.relative_to(root)


def _by_stem(files: Sequence[Path]) -> dict[Path, list[Path]]:
    clips: dict[Path, list[Path]] = {}
    for file in files:
        clips.setdefault(file.with_suffix(""), []).append(file)
    return clips


def _row(corpus: Corpus, splits: dict[str, str], stem: Path, files: list[Path]) -> dict[str, object]:
    sounds = [file for file in files if file.suffix.lower() in SOUND_SUFFIXES]
    videos = [file for file in files if file not in sounds]
    row: dict[str, object] = {
        "clip_id": f"{corpus.NAME}-{'-'.join(stem.parts)}",
        "corpus": corpus.NAME,
        "speaker": None,
        "emotion": None,
        "intensity": None,
        "sentence": None,
        "video": videos[0].as_posix() if videos else None,
        "audio": sounds[0].as_posix() if sounds else None,
        "split": None,
        "status": "ok",
        "reason": None,
    }
    try:
        clip = corpus.parse(files[0])
        if len(videos) > 1:
            raise ClipError("ambiguous", f"{stem} has {len(videos)} videos: {', '.join(v.name for v in videos)}")
        if clip.speaker not in splits:
            raise ClipError("unknown_speaker", f"{files[0]}: {clip.speaker} is in no split of {corpus.NAME}")
        return row | vars(clip) | {"split": splits[clip.speaker]}
    except ClipError as error:
        return row | {"status": "quarantined", "reason": str(error)}
