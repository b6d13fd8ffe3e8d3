"""From a raw corpus tree to a manifest, the same way for every corpus."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cmet.corpora.listing import Corpus, FoundClip, Listing, Rejected
from cmet.corpora.numbering import FILE, Settled
from cmet.corpora.product import TABLE
from cmet.corpora.watched import files_folder, list_watched, watched_numbering
from cmet.errors import ClipError, UserError
from cmet.media.kinds import said_passed_over
from cmet.outputs import fresh_folder
from cmet.quarantine import count_reasons

MAX_NAMED = 8
COLUMNS = [
    "clip_id", "corpus", "speaker", "emotion", "intensity", "sentence", "view", "numbering", "video", "audio", "split",
    "status", "reason",
]  # fmt: skip


@dataclass(frozen=True)
class ManifestReport:
    """Counts of a scan."""

    num_clips: int
    num_quarantined: int
    num_speakers: int
    num_emotions: int
    clips_per_split: dict[str, int]
    quarantined_by_reason: dict[str, int]
    not_wanted_by_reason: dict[str, int]
    """Files that belong to the corpus and are no clips for us."""
    num_numbering_rows_without_clip: int
    """Rows of a numbering.csv that match no clip."""


def scan(corpus: Corpus, root: Path, files: Path | None = None) -> pd.DataFrame:
    """One row per clip, ordered by clip id.

    A file whose labels cannot be read, or an archive that cannot, becomes a quarantined row; none vanishes. So does a
    clip with a file outside of both folders, which DVC would not see change.

    Args:
        corpus: Whose rules apply.
        root: Folder of the raw corpus, or the table.
        files: The folder `manifest.files`; when None, the one that `cmet use --root` sets.

    Raises:
        UserError: The folder does not exist, is empty, or holds no clip of this corpus.
    """
    return _scan(corpus, root, files_folder(corpus.NAME, root) if files is None else files)[0]


def write_manifest(corpus: Corpus, root: Path, files: Path, out: Path) -> ManifestReport:
    """Scan a corpus, as `scan` does, and write `manifest.parquet` into the folder `out`."""
    manifest, listing, lines = _scan(corpus, root, files)
    if listing.passed_over:
        print(f"{root}: {said_passed_over(listing.passed_over)}", file=sys.stderr)
    if lines:
        print(f"{FILE}: {lines_text(lines)} match no clip", file=sys.stderr)
    with fresh_folder(out) as folder:
        manifest.to_parquet(folder / TABLE, index=False)
    ok = manifest[manifest.status == "ok"]
    bad = manifest[manifest.status != "ok"]
    return ManifestReport(
        num_clips=len(manifest),
        num_quarantined=len(bad),
        num_speakers=ok.speaker.nunique(),
        num_emotions=ok.emotion.nunique(),
        clips_per_split={str(split): int(number) for split, number in ok.split.value_counts().sort_index().items()},
        quarantined_by_reason=count_reasons(bad.reason),
        not_wanted_by_reason=listing.not_wanted,
        num_numbering_rows_without_clip=len(lines),
    )


def lines_text(lines: Sequence[int]) -> str:
    """Row numbers as a person reads them."""
    shown = ", ".join(map(str, lines[:MAX_NAMED]))
    return f"{len(lines)} row(s) ({shown}{', ...' * (len(lines) > MAX_NAMED)})"


def _scan(corpus: Corpus, root: Path, files: Path) -> tuple[pd.DataFrame, Listing, list[int]]:
    """The manifest, what it was made from, and the rows of a numbering.csv that fit no clip."""
    listing = list_watched(corpus, root, files)
    if not listing.found and not listing.rejected and not listing.not_wanted:
        raise UserError(f"{root}: no video or sound file below this folder; is it the root of the corpus?")
    numbering = watched_numbering(root, files)
    clips = [found.clip for found in listing.found]
    rows = [
        _clip_row(corpus.NAME, found, settled)
        for found, settled in zip(listing.found, numbering.settle(clips), strict=True)
    ]
    rows += [_rejected_row(corpus.NAME, rejected) for rejected in listing.rejected]
    manifest = pd.DataFrame(rows, columns=COLUMNS).astype({"intensity": "Int64", "view": "string"})
    if not (manifest.status == "ok").any():
        first = f", first {manifest.reason.iloc[0]}" if len(manifest) else f"; {listing.not_wanted}"
        raise UserError(
            f"{root}: not a {corpus.NAME} corpus: none of its {len(rows)} clip(s) can be read{first}{listing.hint}"
        )
    return manifest.sort_values("clip_id", ignore_index=True), listing, numbering.lines_without_clip(clips)


def _clip_row(corpus: str, found: FoundClip, settled: Settled | ClipError) -> dict[str, object]:
    clip = found.clip
    row = vars(clip) | {"corpus": corpus, "numbering": "release", "video": found.video, "audio": found.audio}
    if isinstance(settled, ClipError):
        return row | {"status": "quarantined", "reason": str(settled)}
    row |= {"sentence": settled.clip.sentence, "numbering": settled.kind}
    if clip.known_defect is not None:
        return row | {"status": "quarantined", "reason": f"known_defect: {clip.clip_id}: {clip.known_defect}"}
    return row | {"status": "ok", "reason": None}


def _rejected_row(corpus: str, rejected: Rejected) -> dict[str, object]:
    # every column is there: one of nothing but gaps would come back from Parquet as numbers
    return dict.fromkeys(COLUMNS) | {
        # the suffix stays: a picture and a sound may both be unreadable
        "clip_id": f"{corpus}-{rejected.path.replace('/', '-')}",
        "corpus": corpus,
        "video": rejected.path,
        "status": "quarantined",
        "reason": f"{rejected.code}: {rejected.message}",
    }
