"""Prepared clips: the face at one size and frame rate, its sound at one sample rate, both over the same span."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cmet.archives import state_of
from cmet.clips.contact_sheet import contact_sheet, to_jpeg
from cmet.clips.one_clip import prepare_clip
from cmet.clips.product import SOUND, TABLE, VIDEO, Clips, below, sound_name, video_name
from cmet.engine.attempts import Job
from cmet.engine.clip_map import ClipMap
from cmet.engine.earlier import Earlier
from cmet.objects.store import CHANGED_OBJECT, MISSING_OBJECT
from cmet.packs import pack_files
from cmet.params import ClipsParams
from cmet.quarantine import check_rejected, count_reasons

CONTACT_SHEET = "contact_sheet.jpg"
MAX_SHEET_SPEAKERS = 100
SHEET_TILE_PX = 96
MAX_SHEET_BYTES = 16 << 20

BY_LABEL = frozenset({"bad_name", "unknown_speaker", "known_defect", "off_script"})
"""Reasons for which a manifest leaves out files that are whole."""

BY_FILE = frozenset(
    {
        "zero_bytes", "html_page", "bad_archive", "truncated_archive", "refused_member", "missing_file", "no_medium",
        "unreadable_file", "unsupported_archive", "outside_root", MISSING_OBJECT, CHANGED_OBJECT,
    }
)  # fmt: skip
"""Reasons in a manifest by which a file is lost, just like one that cannot be prepared."""

NOT_FETCHED = "lfs_pointer"
"""The reason by which a file is no loss, as long as there are others: a corpus may be fetched in part."""


@dataclass(frozen=True)
class ClipsReport:
    """Counts of a preparation."""

    num_clips: int
    num_quarantined: int
    num_frames: int
    duration_s: float
    quarantined_by_reason: dict[str, int]


def prepare_clips(
    manifest: pd.DataFrame, root: Path, out: Path, work: Path, params: ClipsParams, made_of: Path | None = None
) -> ClipsReport:
    """Prepare all usable clips of a manifest.

    Args:
        manifest: Rows of a `Manifest`.
        root: Folder of the raw corpus.
        out: Gets what `Clips` reads (the manifest with the facts of each prepared clip and the reason of each
            quarantined one) and, where there are pictures, `contact_sheet.jpg`: a row for each of the first
            `MAX_SHEET_SPEAKERS` speakers, a column per emotion.
        work: Keeps finished clips over an interruption.
        params: The `clips` section.
        made_of: File with what each clip at `out` was made of: those of which nothing has changed are taken over.

    Raises:
        UserError: More clips were quarantined than `max_rejected` allows, or all. Files that the manifest could not
            read count as clips, but for git-lfs pointers.
    """
    usable = manifest[manifest.status == "ok"]
    lost = _lost_files(manifest)
    # their share can only grow
    _check_share(usable.assign(reason=None), lost, params.max_rejected)
    settings = params.model_dump()
    jobs: list[Job] = [
        {
            "clip_id": row["clip_id"],
            "video": below(root, row["video"]),
            "audio": below(root, row["audio"]),
            "picture": f"{VIDEO}/{video_name(row['clip_id'])}",
            "sound": f"{SOUND}/{sound_name(row['clip_id'])}",
            "stamp": [_stamp(root, row[column]) for column in ("video", "audio")],
            **settings,
        }
        for row in usable.to_dict("records")
    ]
    earlier = None if made_of is None else Earlier(out, made_of)
    clip_map = ClipMap(prepare_clip, work, "clips", params.time_limit_s, earlier)
    records = pd.DataFrame(clip_map.run(jobs)).set_index("clip_id")
    clips = manifest.set_index("clip_id")
    clips = clips.join(records.drop(columns=["status", "reason"]))
    clips.update(records[["status", "reason"]])
    _check_share(records.reset_index(), lost, params.max_rejected)
    files = clip_map.files
    ok = clips[clips.status == "ok"]
    seen = ok[ok.num_frames.notna()]
    pack_files(files / VIDEO, map(video_name, seen.index), "clips: packing the pictures")
    pack_files(files / SOUND, map(sound_name, ok.index), "clips: packing the sounds")
    clips.reset_index().to_parquet(files / TABLE, index=False)
    # one that was made before a kill may be of other clips
    (files / CONTACT_SHEET).unlink(missing_ok=True)
    cells = sheet_cells(seen.reset_index(), Clips(files), MAX_SHEET_SPEAKERS)
    if len(cells):
        (files / CONTACT_SHEET).write_bytes(to_jpeg(contact_sheet(cells, SHEET_TILE_PX), MAX_SHEET_BYTES))
    clip_map.publish(out)
    return ClipsReport(
        num_clips=len(ok),
        num_quarantined=len(clips) - len(ok),
        num_frames=int(ok.num_frames.sum()),
        duration_s=float(ok.duration_s.sum()),
        quarantined_by_reason=count_reasons(clips.reason.dropna()),
    )


def sheet_cells(shown: pd.DataFrame, clips: Clips, max_speakers: int) -> pd.DataFrame:
    """Each speaker's most intense clip of every emotion, as `contact_sheet` takes it.

    Args:
        shown: Usable rows of the table that have a picture.
        clips: Where the pictures are.
        max_speakers: Rows of the sheet; the first speakers by name.
    """
    rows = shown.sort_values(["speaker", "emotion", "intensity", "clip_id"], ascending=[True, True, False, True])
    rows = rows[rows.speaker.isin(rows.speaker.unique()[:max_speakers])]
    emotions = pd.Categorical(rows.emotion, sorted(rows.emotion.unique()))
    return pd.DataFrame(
        {"row": rows.speaker, "column": emotions, "video": [clips.video(clip_id) for clip_id in rows.clip_id]}
    )


def _lost_files(manifest: pd.DataFrame) -> pd.DataFrame:
    """Rows of the files that the scan could not read; those it left out are told on stderr, unless for their labels."""
    out = manifest[manifest.status != "ok"]
    codes = out.reason.map(lambda reason: str(reason).split(":")[0])
    told = out[~codes.isin(BY_LABEL)]
    if len(told):
        counts = ", ".join(f"{number} {code}" for code, number in count_reasons(told.reason).items())
        print(
            f"clips: WARNING: {len(told)} of {len(manifest)} rows of the manifest are already quarantined: {counts}; "
            f"first {told.clip_id.iloc[0]}: {told.reason.iloc[0]}",
            file=sys.stderr,
        )
    is_any_usable = len(out) < len(manifest)
    return out[codes.isin(BY_FILE if is_any_usable else BY_FILE | {NOT_FETCHED})]


def _check_share(clips: pd.DataFrame, lost: pd.DataFrame, max_rejected: float) -> None:
    """Stop when clips and lost files together are too many; both have `clip_id`, `status` and `reason`."""
    rows = pd.concat([table[["clip_id", "status", "reason"]].astype(object) for table in (clips, lost)])
    rows = rows.set_index("clip_id")
    check_rejected("clips", rows.status.eq("quarantined"), rows.reason, max_rejected)


def _stamp(root: Path, path: str | float | None) -> list[int | str] | None:
    """What tells one raw file and its state from others; None where a table names none."""
    place = below(root, path)
    return None if place is None else [str(path), *(state_of(Path(place)) or ())]
