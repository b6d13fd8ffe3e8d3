"""What is there of a corpus and what is not, all at once, before anything is prepared."""

import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmet.archives import (
    NUM_HEAD_BYTES,
    archive_above,
    open_member,
    read_archive,
    read_head,
    read_pointer,
    stand_in,
    unreadable,
)
from cmet.corpora import cremad, table
from cmet.corpora.clip import Clip
from cmet.corpora.listing import Corpus, FoundClip, Listing
from cmet.corpora.numbering import Settled
from cmet.corpora.scan import lines_text
from cmet.corpora.watched import files_folder, list_watched, watched_numbering
from cmet.errors import ClipError, UserError
from cmet.text_tables import padded
from cmet.vocabulary import EMOTIONS

MAX_STAND_IN_BYTES = 1 << 20
"""Larger files are not opened: pointers have a few hundred bytes, refused downloads a few thousand."""

PREPARED_BYTES_PER_CLIP = 800_000
"""Disk that a prepared clip takes with its sound at 256 px and CRF 16; MEAD: 0.5 MB for one of 3.7 s, 0.9 for 7 s."""

NUM_COPIES = 2
"""One in `data/clips` and one in DVC's cache, where the file system cannot share them."""

MAX_LISTED = 8


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a corpus."""

    code: str
    path: str
    message: str


@dataclass(frozen=True)
class PointerFile:
    """A git-lfs pointer in the place of a medium."""

    path: str
    sha256: str
    num_bytes: int


@dataclass(frozen=True)
class Missing:
    """Clips of one speaker, emotion and level that a complete corpus has."""

    speaker: str
    emotion: str
    intensity: int | None
    sentences: list[str]


@dataclass(frozen=True)
class Cell:
    """How many clips of one speaker, emotion and level are there."""

    speaker: str
    emotion: str
    intensity: int | None
    num_found: int
    num_expected: int
    """0 where nobody can know."""


@dataclass(frozen=True)
class CheckReport:
    """Everything a check found."""

    corpus: str
    root: str
    num_found: int
    num_usable: int
    num_expected: int
    cells: list[Cell]
    missing: list[Missing]
    problems: list[Problem]
    pointers: list[PointerFile]
    known_defects: dict[str, str]
    """Published clips that are unusable, by clip id."""
    sound_from_elsewhere: list[str]
    """Clips whose video had no sound in old copies and whose sound comes from a file of its own."""
    not_wanted: dict[str, int]
    num_renumbered: int
    """Clips whose sentence comes from a numbering.csv."""
    numbering_lines_without_clip: list[int]
    """Rows of it that match no clip."""
    needed_bytes: int
    """Disk that preparing all usable clips will take, estimated."""
    free_bytes: int

    @property
    def is_complete(self) -> bool:
        """Every clip that can be expected is there and nothing is damaged."""
        return not (self.missing or self.problems or self.pointers)


def check_corpus(corpus: Corpus, root: Path, disk: Path, files: Path | None = None) -> CheckReport:
    """Look at names, archive headers and the beginnings of small files; no medium is decoded.

    Args:
        corpus: Whose rules apply.
        root: Folder of the raw corpus.
        disk: A folder of the disk that preparing will write to.
        files: The folder `manifest.files`; when None, the one that `cmet use --root` sets.

    Raises:
        UserError: The folder does not exist, or holds nothing of this corpus.
    """
    files = files_folder(corpus.NAME, root) if files is None else files
    listing = list_watched(corpus, root, files)
    folder = root if root.is_dir() else root.parent
    _refuse_other_corpus(corpus, root, listing)
    expected = corpus.expected(root)
    numbering = watched_numbering(root, files)
    problems = [Problem(rejected.code, rejected.path, rejected.message) for rejected in listing.rejected]
    pointers: list[PointerFile] = []
    unusable = {found.clip.clip_id for found in listing.found if not _looks_usable(folder, found, problems, pointers)}
    found_ids = {found.clip.clip_id for found in listing.found}
    silent = [f for f in listing.found if corpus.NAME == cremad.NAME and _stem(f) in cremad.SILENT_IN_OLD_COPIES]
    problems += [
        Problem("maybe_no_sound", f.video or "", f"{f.video}: had no sound before 2020-12-16, and its wav is missing")
        for f in silent
        if f.audio is None
    ]
    problems += [
        Problem("no_video", f.audio or "", f"{f.clip.clip_id}: {f.audio} is there, but its video is missing")
        for f in listing.found
        # the rows of a table say themselves which files there are
        if f.video is None and corpus.NAME != table.NAME
    ]
    settled = numbering.settle([found.clip for found in listing.found])
    problems += [
        Problem(one.code, found.video or found.audio or "", one.message)
        for found, one in zip(listing.found, settled, strict=True)
        if isinstance(one, ClipError)
    ]
    usable = [f for f in listing.found if f.clip.clip_id not in unusable and f.clip.known_defect is None]
    return CheckReport(
        corpus=corpus.NAME,
        root=str(root),
        num_found=len(listing.found),
        num_usable=len(usable),
        num_expected=len(expected),
        cells=_cells([found.clip for found in listing.found], expected),
        missing=_missing([clip for clip in expected if clip.clip_id not in found_ids]),
        problems=sorted(problems, key=lambda problem: (problem.code, problem.path)),
        pointers=sorted(pointers, key=lambda pointer: pointer.path),
        known_defects={f.clip.clip_id: f.clip.known_defect for f in listing.found if f.clip.known_defect is not None},
        sound_from_elsewhere=[f.clip.clip_id for f in silent if f.audio is not None],
        not_wanted=listing.not_wanted,
        num_renumbered=sum(isinstance(one, Settled) and one.kind != "release" for one in settled),
        numbering_lines_without_clip=numbering.lines_without_clip(found.clip for found in listing.found),
        needed_bytes=len(usable) * PREPARED_BYTES_PER_CLIP * NUM_COPIES,
        free_bytes=shutil.disk_usage(disk).free,
    )


def _refuse_other_corpus(corpus: Corpus, root: Path, listing: Listing) -> None:
    readable = len(listing.found) + sum(listing.not_wanted.values())
    # a folder of nothing but broken archives may well be a corpus
    strange = [rejected for rejected in listing.rejected if rejected.code == "bad_name"]
    if not readable and (strange or not listing.rejected):
        first = f"; first {strange[0].message}" if strange else ""
        raise UserError(f"{root}: not a {corpus.NAME} corpus: no file name fits{first}{listing.hint}")


def _looks_usable(root: Path, found: FoundClip, problems: list[Problem], pointers: list[PointerFile]) -> bool:
    """Whether the files of a clip are media by their first bytes; what they are instead is put down."""
    is_usable = True
    for name in (found.video, found.audio):
        if name is None:
            continue
        try:
            head = _small_head(root, name)
        except ClipError as error:
            problems.append(Problem(error.code, name, f"{name}: {error.message}"))
            is_usable = False
            continue
        if head is None:
            continue
        kind = stand_in(head)
        pointer = read_pointer(head)
        if pointer is not None:
            pointers.append(PointerFile(name, pointer.sha256, pointer.num_bytes))
        elif kind is not None:
            problems.append(Problem(kind, name, f"{name}: {STAND_INS[kind]}"))
        is_usable = is_usable and kind is None
    return is_usable


STAND_INS = {
    "zero_bytes": "the file is empty",
    "html_page": "a web page or an error message, not a video or sound; fetch it again",
}


def _small_head(root: Path, name: str) -> bytes | None:
    """First bytes of a small file or member of an archive, None for large ones.

    Raises:
        ClipError: The file cannot be read.
    """
    path = root / name
    archive = archive_above(path)
    if archive is None:
        try:
            num_bytes = path.stat().st_size
        except OSError as error:
            raise unreadable(path, error) from error
        return read_head(path) if num_bytes <= MAX_STAND_IN_BYTES else None
    member = path.relative_to(archive).as_posix()
    if read_archive(archive).sizes[member] > MAX_STAND_IN_BYTES:
        return None
    with open_member(archive, member) as stream:
        return stream.read(NUM_HEAD_BYTES)


def _stem(found: FoundClip) -> str:
    return Path(found.video or found.audio or "").stem


def _cells(found: Iterable[Clip], expected: Iterable[Clip]) -> list[Cell]:
    def count(clips: Iterable[Clip]) -> Counter[tuple[str, str, int | None]]:
        return Counter((clip.speaker, clip.emotion, clip.intensity) for clip in clips)

    there, wanted = count(found), count(expected)
    keys = sorted(there.keys() | wanted.keys(), key=lambda key: (key[0], key[1], key[2] or 0))
    return [Cell(*key, there[key], wanted[key]) for key in keys]


def _missing(clips: Sequence[Clip]) -> list[Missing]:
    sentences: dict[tuple[str, str, int | None], list[str]] = {}
    for clip in clips:
        sentences.setdefault((clip.speaker, clip.emotion, clip.intensity), []).append(clip.sentence)
    return [Missing(*key, names) for key, names in sentences.items()]


# --- as text ---------------------------------------------------------------------------------------------------------


def check_table(report: CheckReport, max_listed: int = MAX_LISTED) -> str:
    """The report for people; long lists are cut, `--json` has all of them."""
    present = {cell.speaker for cell in report.cells if cell.num_found}
    lines = [f"{report.corpus} corpus in {report.root}", ""]
    lines += _grid(report, present)
    expected = f" of {report.num_expected} expected" if report.num_expected else ""
    lines += ["", f"clips: {report.num_found}{expected}, {report.num_usable} of them look usable"]
    if report.not_wanted:
        lines.append("not wanted: " + ", ".join(f"{number} {name}" for name, number in report.not_wanted.items()))
    lines += _missing_lines([part for part in report.missing if part.speaker in present], max_listed)
    lines += _problem_lines(report.problems, max_listed)
    if report.pointers:
        total = sum(pointer.num_bytes for pointer in report.pointers)
        lines.append(
            f"git-lfs pointers: {len(report.pointers)} files that stand for {_size(total)}; run `git lfs pull`"
        )
        lines += _some([f"{p.path}: {p.num_bytes} bytes, sha256 {p.sha256}" for p in report.pointers], max_listed)
    if report.known_defects:
        lines.append(f"known defects: {len(report.known_defects)} published clips that will be quarantined")
        lines += _some([f"{clip_id}: {why}" for clip_id, why in report.known_defects.items()], max_listed)
    if report.sound_from_elsewhere:
        lines.append(
            f"sound from elsewhere: {len(report.sound_from_elsewhere)} clips take it from the wav, as their videos had "
            "none in old copies"
        )
    if report.num_renumbered:
        lines.append(f"numbering.csv: gives the sentence of {report.num_renumbered} clips")
    if report.numbering_lines_without_clip:
        lines.append(f"numbering.csv: {lines_text(report.numbering_lines_without_clip)} match no clip")
    verdict = "enough" if report.needed_bytes < report.free_bytes else "NOT ENOUGH"
    lines.append(
        f"disk: preparing takes about {_size(report.needed_bytes)}, DVC's copy included; "
        f"{_size(report.free_bytes)} is free ({verdict})"
    )
    lines.append("complete" if report.is_complete else "INCOMPLETE")
    return "\n".join(lines)


def _grid(report: CheckReport, present: set[str]) -> list[str]:
    """Speakers x emotions; in a place the clips of each level, with the expected number where some are missing."""
    emotions = sorted({cell.emotion for cell in report.cells}, key=_emotion_order)
    cells: dict[tuple[str, str], list[Cell]] = {}
    for cell in report.cells:
        cells.setdefault((cell.speaker, cell.emotion), []).append(cell)
    speakers = sorted({cell.speaker for cell in report.cells})
    shown = [name for name in speakers if name in present]
    absent = [name for name in speakers if name not in present]
    texts = {key: " ".join(_count(cell) for cell in several) for key, several in cells.items()}
    rows = [[name, *(texts.get((name, emotion), "-") for emotion in emotions)] for name in shown]
    columns = padded([["speaker", *emotions], *rows], [False] * (len(emotions) + 1))
    lines = ["  ".join(line).rstrip() for line in columns]
    if any(cell.intensity is not None for cell in report.cells):
        lines.append("(clips of each level in turn, those without a level first; n/m: n of m expected clips)")
    if absent:
        lines.append(f"speakers without clips: {len(absent)} ({_ranges(absent)})")
    return lines


def _count(cell: Cell) -> str:
    return f"{cell.num_found}/{cell.num_expected}" if cell.num_found < cell.num_expected else str(cell.num_found)


def _missing_lines(missing: Sequence[Missing], max_listed: int) -> list[str]:
    if not missing:
        return []
    number = sum(len(part.sentences) for part in missing)
    lines = [f"missing clips of these speakers: {number} in {len(missing)} groups of speaker, emotion and level"]
    texts = []
    for part in missing:
        level = "" if part.intensity is None else f" level {part.intensity}"
        texts.append(f"{part.speaker} {part.emotion}{level}: {_ranges(part.sentences)}")
    return lines + _some(texts, max_listed)


def _problem_lines(problems: Sequence[Problem], max_listed: int) -> list[str]:
    lines = []
    for code in dict.fromkeys(problem.code for problem in problems):
        same = [problem for problem in problems if problem.code == code]
        lines.append(f"{code}: {len(same)}")
        # what a name should be is said once
        texts = [same[0].message, *(p.path if code == "bad_name" else p.message for p in same[1:])]
        lines += _some(texts, max_listed)
    return lines


def _some(texts: Sequence[str], max_listed: int) -> list[str]:
    lines = [f"  {text}" for text in texts[:max_listed]]
    return lines + [f"  ... and {len(texts) - max_listed} more"] * (len(texts) > max_listed)


def _ranges(sentences: Sequence[str]) -> str:
    """`001-003, 020` of numbers in a row; other names one by one."""
    if not all(re.fullmatch(r"\d+", sentence) for sentence in sentences):
        return ", ".join(sentences)
    runs: list[list[str]] = []
    for sentence in sorted(sentences, key=int):
        if runs and int(sentence) == int(runs[-1][-1]) + 1:
            runs[-1].append(sentence)
        else:
            runs.append([sentence])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _emotion_order(emotion: str) -> tuple[int, str]:
    if emotion == "neutral":
        return (-1, emotion)
    return (EMOTIONS.index(emotion) if emotion in EMOTIONS else len(EMOTIONS), emotion)


def _size(num_bytes: int) -> str:
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.1f} {unit}"
    return f"{num_bytes / 1e3:.0f} kB"
