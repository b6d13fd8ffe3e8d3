"""The edits of a batch: rows of a table, or the videos of a folder.

Columns          video (needed), out, emotion, speech, neutral_speech, timeline, strength; their order is free
video            from the folder of the table, as the three below
emotion          a word the model knows, or a blend: 0.5 happy + 0.4 surprised
speech           in place of an emotion: a recording or a folder; or a blend of such
neutral_speech   a calm recording or a folder
timeline         in place of both: a table of its own, see `cmet.editing.wishes.timetable`
strength         a number, or auto
out              where the edit goes in the folder of the results; default the name of the video, as mp4
Empty cells      what the command names for all
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath

from cmet.editing.request import EditRequest
from cmet.editing.wishes.options import WantedEmotion
from cmet.editing.wishes.timeline import MAX_STRENGTH, Timeline
from cmet.editing.wishes.timetable import parsed_paths, parsed_words, read_timetable
from cmet.errors import UserError
from cmet.inputs.texts import shown
from cmet.media.kinds import SOUND_SUFFIXES, sorted_out
from cmet.outputs import as_utf8

EDIT_SUFFIX = ".mp4"
BATCH_COLUMNS = ("video", "out", "emotion", "speech", "neutral_speech", "timeline", "strength")
WISHES = ("emotion", "speech", "timeline")
MAX_TABLE_BYTES = 8 << 20
MAX_ROWS = 10_000


@dataclass(frozen=True)
class BatchRow:
    """One edit of a batch, or why there is none."""

    name: str
    """Where it stands."""
    video: Path
    request: EditRequest | None
    fault: str | None = None
    """A sentence, where there is no request."""


@dataclass(frozen=True)
class BatchDefaults:
    """What a command names for all rows."""

    request: EditRequest
    """Its video and its `out` are those of no row; `out` is the folder of the results."""
    has_wish: bool
    """Whether it names an emotion."""

    def with_out(self, video: Path, out: str) -> EditRequest:
        """The request of a video.

        Raises:
            UserError: The path leads out of the folder of the results.
        """
        return replace(self.request, video=video, out=path_within(self.request.out, out or f"{video.stem}.mp4"))


def rows_of_batch(source: Path, defaults: BatchDefaults) -> tuple[list[BatchRow], list[Path]]:
    """The edits that a table or a folder asks for, and files of the folder that are no videos.

    Args:
        source: The table or the folder.
        defaults: What is wished for where a row says nothing.

    Raises:
        UserError: There is none, or the table cannot be read.
    """
    if not source.is_dir():
        return _rows_of_table(source, defaults), []
    if not defaults.has_wish:
        raise UserError(f"--batch {source}: a folder names no emotions; add --emotion, or --speech, or --timeline")
    media, others = sorted_out(source.iterdir())
    videos = [file for file in media if file.suffix.lower() not in SOUND_SUFFIXES]
    if not videos:
        raise UserError(f"--batch {source}: no video in this folder")
    rows = (_row(video.name, video, partial(defaults.with_out, video, "")) for video in videos)
    return _without_clashes(rows), sorted({*media, *others} - {*videos})


def _rows_of_table(table: Path, defaults: BatchDefaults) -> list[BatchRow]:
    # pandas takes long to import
    from cmet.corpora.csv_files import read_csv, refuse_no_table

    refuse_no_table(table)
    if table.stat().st_size > MAX_TABLE_BYTES:
        raise UserError(f"{table}: larger than {MAX_TABLE_BYTES >> 20} MiB, so it is no table of edits")
    read = read_csv(table, BATCH_COLUMNS[:1], lower_header=True)
    unknown = [name for name in read.columns if name not in BATCH_COLUMNS]
    if unknown:
        raise UserError(f"{table}: no column is called {shown(unknown[0])!r}; known are {', '.join(BATCH_COLUMNS)}")
    if not 0 < len(read) <= MAX_ROWS:
        raise UserError(f"{table}: {len(read):,} rows below the header; expected 1 to {MAX_ROWS:,}")
    rows = []
    for number, record in zip(read.index, read.to_dict("records"), strict=True):
        cells = {str(column): str(cell) for column, cell in record.items()}
        video = table.parent / cells["video"]
        rows.append(_row(f"row {number}", video, partial(_request, cells, table.parent, defaults)))
    return _without_clashes(rows)


def _row(name: str, video: Path, asked: Callable[[], EditRequest]) -> BatchRow:
    try:
        return BatchRow(name, video, asked())
    except UserError as error:
        return BatchRow(name, video, None, str(error))


def _request(cells: Mapping[str, str], folder: Path, defaults: BatchDefaults) -> EditRequest:
    """What one row asks for."""
    if not cells["video"]:
        raise UserError("no video; name one")
    request = defaults.with_out(folder / cells["video"], cells.get("out", ""))
    wishes = [name for name in WISHES if cells.get(name)]
    if len(wishes) > 1:
        raise UserError(f"both {wishes[0]} and {wishes[1]}; leave one empty")
    if not wishes and not defaults.has_wish:
        raise UserError("no emotion; fill in emotion, speech or timeline")
    if wishes:
        wanted = _wanted(wishes[0], cells[wishes[0]], folder)
        request = replace(request, wanted=wanted, options=replace(request.options, then=()))
    calm = cells.get("neutral_speech", "")
    if calm:
        request = replace(request, neutral_speech=(folder / calm,))
    elif not request.is_heard:
        request = replace(request, neutral_speech=())
    strength = cells.get("strength", "")
    if strength:
        request = replace(request, options=replace(request.options, strength=_parsed_factor(strength)))
    return request


def _wanted(kind: str, text: str, folder: Path) -> WantedEmotion | Timeline:
    if kind == "timeline":
        return read_timetable(folder / text)
    shares = parsed_words(text) if kind == "emotion" else parsed_paths(text, folder)
    return shares[0].emotion if len(shares) == 1 and shares[0].weight == 1 else shares


def _parsed_factor(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_STRENGTH:
        raise UserError(f"strength {shown(text)}: expected auto or a number from 0 to {MAX_STRENGTH:g}")
    return value


def path_within(folder: Path, text: str) -> Path:
    """The path of a result below the folder of the results.

    Raises:
        UserError: It leads elsewhere, is hidden, or is no mp4.
    """
    inner = PurePath(text)
    odd = [part for part in inner.parts if part.startswith(".")]
    path = folder / inner
    if inner.is_absolute() or odd or not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"out {shown(as_utf8(text))}: leads out of {folder}, or is hidden; name a file in it")
    if inner.suffix.lower() != EDIT_SUFFIX:
        raise UserError(f"out {shown(as_utf8(text))}: expected a name that ends in {EDIT_SUFFIX}")
    return path


def _without_clashes(rows: Iterable[BatchRow]) -> list[BatchRow]:
    """The same, with a fault for each row that would write over another one's result, or over what a row reads."""
    rows = list(rows)
    read = {path.resolve() for row in rows if row.request is not None for path in _files_of(row.request)}
    taken: dict[Path, str] = {}
    found = []
    for row in rows:
        if row.request is not None:
            out = row.request.out.resolve()
            before = taken.setdefault(out, row.name)
            fault = None
            if before != row.name:
                fault = f"{row.request.out.name} is already the result of {before}; give out another name"
            elif out in read:
                fault = f"{row.request.out.name} is a file that the batch reads; name another folder or give out a name"
            if fault is not None:
                row = replace(row, request=None, fault=fault)
        found.append(row)
    return found


def _files_of(request: EditRequest) -> list[Path]:
    """All that a request reads, files in its folders included."""
    paths = [path for some in request.files.values() for path in some]
    return [file for path in paths for file in (path.iterdir() if path.is_dir() else (path,))]
