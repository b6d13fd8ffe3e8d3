"""Clips that somebody else made, listed as the authors' extended test manifests list them.

Columns   source_video_path, gt_video_path, gt_emotion, generated_path (needed); intensity, source_audio_path; index and
          sentence, or speaker and sentence; id, method, protocol
Emotions  our seven target words, or CREMA-D's codes (ANG, DIS, FEA, HAP, SAD)
Levels    level_1 to level_3, LO, MD, HI, XX (not said) or nothing; where nothing, what the path of the true clip says
Paths     absolute, or relative to the folder of the file; `NamedFiles` says which ones find a file
Clusters  speaker and sentence are read from the path of the true clip where it is one of MEAD or CREMA-D, else from the
          columns; where neither says them, every source video is a cluster of its own (`labels_from`)
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from cmet.archives import refuse_stand_in
from cmet.corpora import cremad, mead
from cmet.corpora.clip import NotWanted
from cmet.corpora.csv_files import GAPS, read_csv
from cmet.corpora.named_files import NamedFiles, is_file
from cmet.errors import ClipError, UserError
from cmet.inputs.files import MISSING, oddity
from cmet.media.container import MAX_LOST_FRAMES, MAX_LOST_SHARE
from cmet.media.files import open_media
from cmet.media.video import VideoFile
from cmet.params import ClipForm
from cmet.vocabulary import TARGET_EMOTIONS

NEEDED = ("source_video_path", "gt_video_path", "gt_emotion", "generated_path")
PATHS = ("source_video_path", "gt_video_path", "generated_path", "source_audio_path")
COLUMNS = [
    "row_id", "speaker", "sentence", "emotion", "intensity", "source", "truth", "video", "sound", "method", "protocol",
    "reason", "labels_from", "corpus",
]  # fmt: skip

NEUTRAL_WORDS = frozenset({"neutral", "NEU"})
EMOTION_WORDS = {word: word for word in TARGET_EMOTIONS} | {
    code: word for code, word in cremad.EMOTIONS.items() if word in TARGET_EMOTIONS
}
"""Words of a manifest and ours."""
LEVELS: dict[str, int | None] = {f"level_{level}": level for level in mead.LEVELS} | cremad.LEVELS | {"": None}

FROM_PATH, FROM_COLUMNS, FROM_SOURCE = "path", "columns", "source video"
"""Where the speaker and the sentence of a row are known from; the last means that they are not."""

MAX_NAMED = 5
MAX_ID_BYTES = 180
"""File names end at 255, and clips get files with suffixes."""
MAX_RATE_DIFFERENCE = 0.01
"""Share by which the frame rate of a made clip may differ and still count as that of its source."""

MEAD_PATH = re.compile(rf"(?:.*/)?{mead.PATTERN.pattern}", re.ASCII)


def read_manifest(path: Path, root: Path | None = None) -> pd.DataFrame:
    """The rows of a manifest, in its order.

    A row whose made clip is not there is kept, since it counts as wrong: `video` is null and `reason` begins with
    `missing`.

    Args:
        path: The CSV file.
        root: Where relative paths count from; the folder of the file when None.

    Returns:
        `COLUMNS`: `row_id` (unique within a method, can be a file name), `emotion` (one of ours), `intensity` (Int64,
        null when not said), `source` and `truth` (Path), `video` and `sound` (Path or None), `method` and `protocol`
        (None where the file has no such column), `reason` (None but for missing clips), `labels_from` and `corpus`
        (`mead` or `cremad` where the path of the true clip says so, else None). The index is the row in the file, of
        which the header is row 1.

    Raises:
        UserError: It is no CSV file, is empty or lacks a column; an emotion or level is unknown, an emotion is neutral
            or contradicts the path, an id comes twice or can be no file name, rows of several protocols are mixed,
            methods list other rows than one another, or a source, true clip or sound is not there. Problems of one
            kind are one message with the rows and a count.
    """
    cells = read_csv(path, NEEDED).replace(GAPS, "")
    if cells.empty:
        raise UserError(f"{path}: no rows below the header, so there is nothing to score")
    base = path.parent if root is None else root
    names = NamedFiles(base)
    for column in set(PATHS) & set(cells.columns):
        cells[column] = [names.path(cell) for cell in cells[column]]
    _check_words(path, cells)
    _check_protocol(path, cells)
    _check_files(path, cells, base)
    rows = pd.DataFrame([_row(row, base) for row in cells.to_dict("records")], index=cells.index, columns=COLUMNS)
    _check_labels(path, cells, rows)
    _check_ids(path, rows, is_given="id" in cells)
    _check_methods(path, rows)
    return rows.astype({"intensity": "Int64"})


def manifest_remarks(rows: pd.DataFrame) -> list[str]:
    """What a report must say of the rows as they are listed."""
    found = []
    num_missing = int(rows["reason"].notna().sum())
    if num_missing:
        found.append(f"{num_missing} of {len(rows)} made clips are missing and count as wrong")
    num_unknown = int((rows["labels_from"] == FROM_SOURCE).sum())
    if num_unknown:
        found.append(
            f"speaker and sentence of {num_unknown} row(s) are unknown, so each of their source videos is a cluster of "
            "its own, and intervals may be too narrow; add the columns speaker and sentence"
        )
    return found


@dataclass(frozen=True)
class Checked:
    """Whether a made clip can be judged, and what a reader must know of it."""

    failure: ClipError | None
    """Why the clip counts as wrong."""
    remarks: list[str] = field(default_factory=list)
    """Code, colon and sentence; the clip is judged nevertheless."""


def check_generated(row: Any, judge_clips: ClipForm | None = None) -> Checked:
    """Look at the made clip of a row (of `read_manifest`, as Series or tuple).

    A clip fails with `missing`, an error of `VideoFile`, or `too_few_frames`: shorter than its source by more than two
    frames or 2 %, whichever is more. Remarks: `too_few_frames` (by less), `more_frames`, `other_rate` (frames are then
    counted at its own rate), `other_size`, `no_sound` and `source_unreadable` (nothing to compare with), and those of
    `unlike_judged`.

    Args:
        row: The row.
        judge_clips: How the clips look that the judge was trained on; None where nobody says.
    """
    if row.video is None or pd.isna(row.video):
        return Checked(ClipError("missing", str(row.reason).removeprefix("missing: ")))
    try:
        made = _facts(row.video)
    except ClipError as error:
        return Checked(error)
    remarks = [] if judge_clips is None else _unlike(made, judge_clips)
    remarks += [] if made.has_sound else ["no_sound: lips are compared with the sound of the source"]
    try:
        source = _source_facts(row.source)
    except ClipError as error:
        return Checked(None, [*remarks, f"source_unreadable: {error.message}"])
    if (made.width, made.height) != (source.width, source.height):
        remarks.append(f"other_size: {made.width}x{made.height}, the source {source.width}x{source.height}")
    expected = source.num_frames
    if abs(made.fps - source.fps) > MAX_RATE_DIFFERENCE * source.fps:
        remarks.append(f"other_rate: {made.fps:.5g} frames/s, the source {source.fps:.5g}")
        expected = int(source.num_frames * made.fps / source.fps)
    lost = expected - made.num_frames
    if lost > max(MAX_LOST_FRAMES, MAX_LOST_SHARE * expected):
        return Checked(ClipError("too_few_frames", f"{made.num_frames} of {expected}"), remarks)
    if lost > 0:
        remarks.append(f"too_few_frames: {made.num_frames} of {expected}")
    elif lost < 0:
        remarks.append(f"more_frames: {made.num_frames} of {expected}")
    return Checked(None, remarks)


def unlike_judged(video: Path, judge_clips: ClipForm) -> list[str]:
    """How a clip differs from those that a judge was trained on: `other_size_than_judge` and `other_rate_than_judge`.

    Raises:
        ClipError: As `VideoFile` has it.
    """
    return _unlike(_facts(video), judge_clips)


def _unlike(made: "_Facts", judge_clips: ClipForm) -> list[str]:
    side, fps, found = judge_clips.size_px, judge_clips.fps, []
    if (made.width, made.height) != (side, side):
        found.append(f"other_size_than_judge: {made.width}x{made.height}, the judge was trained on {side}x{side}")
    if abs(made.fps - fps) > MAX_RATE_DIFFERENCE * fps:
        found.append(f"other_rate_than_judge: {made.fps:.5g} frames/s, the judge was trained on {fps}")
    return found


@dataclass(frozen=True)
class _Facts:
    num_frames: int
    fps: float
    width: int
    height: int
    has_sound: bool


def _facts(video: Path) -> _Facts:
    refuse_stand_in(video)
    file = VideoFile(video)
    with open_media(video) as container:
        return _Facts(len(file), file.fps, file.width, file.height, bool(container.streams.audio))


# a source has up to 21 rows
_source_facts: Callable[[Path], _Facts] = lru_cache(maxsize=1024)(_facts)


@dataclass(frozen=True)
class _Labels:
    """What the path of a true clip says of it."""

    corpus: str
    row_id: str
    speaker: str
    sentence: str
    emotion: str
    intensity: int | None


def _path_labels(truth: str) -> _Labels | None:
    """Labels of a path of MEAD or CREMA-D, with the id that the clip has in our tables; None for another path."""
    match = MEAD_PATH.fullmatch(truth)
    if match is not None:
        speaker = mead.ALIASES.get(match["speaker"], match["speaker"])
        level, sentence = match["level"], match["sentence"]
        row_id = f"{mead.NAME}-{speaker}-{match['emotion']}-{level}-{sentence}"
        return _Labels(mead.NAME, row_id, speaker, sentence, match["emotion"], int(level))
    try:
        clip = cremad.parse(Path(truth))
    except (ClipError, NotWanted):
        return None
    return _Labels(cremad.NAME, clip.clip_id, clip.speaker, clip.sentence, clip.emotion, clip.intensity)


def _row(cells: Mapping[Any, str], base: Path) -> dict[str, Any]:
    truth = cells["gt_video_path"]
    said = _path_labels(truth)
    emotion, level = EMOTION_WORDS[cells["gt_emotion"]], LEVELS[cells.get("intensity", "")]
    speaker, sentence = cells.get("speaker") or cells.get("index") or "", cells.get("sentence") or ""
    if said is not None:
        speaker, sentence, row_id, labels_from = said.speaker, said.sentence, said.row_id, FROM_PATH
        level = said.intensity if level is None else level
    elif speaker and sentence:
        row_id, labels_from = f"{speaker}-{emotion}-{level or 'x'}-{sentence}", FROM_COLUMNS
    else:
        source = PurePosixPath(cells["source_video_path"])
        speaker, sentence, labels_from = source.parent.as_posix(), source.name, FROM_SOURCE
        row_id = PurePosixPath(truth).with_suffix("").as_posix()
    made = cells["generated_path"]
    is_there = bool(made) and is_file(base / made)
    return {
        "row_id": cells.get("id") or _as_file_name(row_id),
        "speaker": speaker,
        "sentence": sentence,
        "emotion": emotion,
        "intensity": level,
        "source": base / cells["source_video_path"],
        "truth": base / truth,
        "video": base / made if is_there else None,
        "sound": base / cells["source_audio_path"] if cells.get("source_audio_path") else None,
        "method": cells.get("method"),
        "protocol": cells.get("protocol"),
        "reason": None if is_there else _missing(made, base),
        "labels_from": labels_from,
        "corpus": None if said is None else said.corpus,
    }


def _missing(made: str, base: Path) -> str:
    if not made:
        return "missing: generated_path is empty"
    # of an absolute path the name alone: results are the same wherever the clips lie
    named = Path(made).name if Path(made).is_absolute() else made
    odd = oddity(base / made)
    return f"missing: {named} {'is not there' if odd == MISSING else odd}"


def _as_file_name(text: str) -> str:
    """Letters, digits, `.`, `_` and `-` of a text, its folders joined by `-`."""
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    return re.sub(r"[^\w.-]+", "_", "-".join(parts)).lstrip(".")


def _check_words(path: Path, cells: pd.DataFrame) -> None:
    wanted = cells["gt_emotion"]
    _refuse(
        path,
        wanted.isin(NEUTRAL_WORDS),
        wanted,
        "want a neutral face; a row edits a neutral clip to an emotion, and the judge of the paper knows no neutral",
    )
    _refuse(path, ~wanted.isin(EMOTION_WORDS), wanted, f"have an unknown emotion; known are {', '.join(EMOTION_WORDS)}")
    if "intensity" in cells:
        levels = cells["intensity"]
        known = ", ".join(level for level in LEVELS if level)
        _refuse(path, ~levels.isin(LEVELS), levels, f"have an unknown intensity; known are {known}, or an empty cell")
    for name in ("id", "method"):
        if name in cells:
            _refuse(path, cells[name] == "", cells[name], f"have no {name}; fill the column or leave it out")


def _check_protocol(path: Path, cells: pd.DataFrame) -> None:
    if "protocol" not in cells:
        return
    first = {str(name): rows.index[0] for name, rows in cells.groupby("protocol")}
    if len(first) > 1:
        named = ", ".join(f"{name or '(none)'} from row {number}" for name, number in first.items())
        raise UserError(f"{path}: rows of {len(first)} protocols are mixed ({named}); score each in a file of its own")


def _check_files(path: Path, cells: pd.DataFrame, base: Path) -> None:
    for column in ("source_video_path", "gt_video_path", "source_audio_path"):
        if column not in cells:
            continue
        names = cells[column]
        if column != "source_audio_path":
            _refuse(path, names == "", names, f"have no {column}")
        is_there = {name: is_file(base / name) for name in names.unique()}
        is_bad = (names != "") & ~names.map(is_there).astype(bool)
        others = sorted({str(oddity(base / name)) for name in names[is_bad]} - {MISSING})
        what = f"is no file ({', '.join(others)})" if others else "does not exist"
        _refuse(path, is_bad, names, f"name a {column} that {what}; relative paths start from {base}")


def _check_labels(path: Path, cells: pd.DataFrame, rows: pd.DataFrame) -> None:
    said = [_path_labels(truth) for truth in cells["gt_video_path"]]
    pairs = zip(said, rows["emotion"], strict=True)
    is_other = pd.Series([labels is not None and labels.emotion != word for labels, word in pairs], index=cells.index)
    shown = cells["gt_emotion"] + " for " + cells["gt_video_path"]
    _refuse(path, is_other, shown, "have a gt_emotion that contradicts the path of the true clip")


def _check_ids(path: Path, rows: pd.DataFrame, is_given: bool) -> None:
    ids = rows["row_id"]
    is_bad = ids.map(lambda name: name != _as_file_name(name) or len(os.fsencode(name)) > MAX_ID_BYTES)
    advice = "" if is_given else "; name the rows in a column id"
    _refuse(
        path,
        is_bad,
        ids,
        f"have an id that cannot be a file name (letters, digits, . _ -; up to {MAX_ID_BYTES} bytes){advice}",
    )
    _refuse(path, rows.duplicated(["row_id", "method"]), ids, f"have the id of an earlier row{advice}")


def _check_methods(path: Path, rows: pd.DataFrame) -> None:
    of_method = {str(method): set(part["row_id"]) for method, part in rows.groupby("method")}
    lacking = {method: sorted(set(rows["row_id"]) - ids) for method, ids in of_method.items()}
    first = next((method for method, ids in lacking.items() if ids), None)
    if first is not None:
        counts = ", ".join(f"{method} {len(ids)}" for method, ids in of_method.items())
        raise UserError(
            f"{path}: every method must list the same rows, found {counts}; {first} lacks {lacking[first][0]}; list it "
            "with an empty generated_path (it counts as wrong), or score each method in a file of its own"
        )


def _refuse(path: Path, is_bad: pd.Series, shown: pd.Series, problem: str) -> None:
    """Raise one message for all bad rows.

    Raises:
        UserError: There is one.
    """
    bad = shown[is_bad]
    if len(bad):
        raise UserError(f"{path}: {len(bad)} row(s) {problem}: {_named(bad.index, bad)}")


def _named(numbers: Iterable[int], texts: Iterable[str]) -> str:
    named = [f"row {number}" + (f" ({text})" if text else "") for number, text in zip(numbers, texts, strict=True)]
    more = f" and {len(named) - MAX_NAMED} more" if len(named) > MAX_NAMED else ""
    return ", ".join(named[:MAX_NAMED]) + more
