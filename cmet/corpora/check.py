"""What is there of a corpus and what is not, all at once, before anything is prepared."""

import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath

from cmet.archives import NUM_HEAD_BYTES, about_stand_in, lfs_pull, open_bytes, read_pointer, size_of, stand_in
from cmet.corpora import cremad, table
from cmet.corpora.clip import NO_VIDEO, Clip
from cmet.corpora.listing import Corpus, FoundClip, Listing
from cmet.corpora.numbering import Settled
from cmet.corpora.scan import lines_text
from cmet.corpora.watched import files_folder, list_watched, watched_numbering
from cmet.errors import ClipError, UserError
from cmet.media.kinds import said_passed_over
from cmet.objects.inventory import is_tree, stored_object
from cmet.text_tables import padded
from cmet.vocabulary import EMOTIONS

MAX_STAND_IN_BYTES = 1 << 20
"""Larger files are not opened: pointers have a few hundred bytes, refused downloads a few thousand."""

MAX_STAND_IN_OBJECT_BYTES = 16 << 10
"""The same of objects, where each look is a request."""

PREPARED_BYTES_PER_CLIP = 800_000
"""Disk that a prepared clip takes with its sound at 256 px and CRF 16; MEAD: 0.5 MB for one of 3.7 s, 0.9 for 7 s."""

PREPARED_BYTES_PER_SOUND = 150_000
"""The same for a clip without a picture: 16 kHz of 16 bit are 32 kB a second."""

NUM_COPIES = 2
"""One in `data/clips` and one in DVC's cache, where the file system cannot share them."""

MAX_LISTED = 8
MAX_PATTERNS = 4


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
    num_usable: int
    """Of those found: without pointers, empty files and the like in their place."""
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
    passed_over: Sequence[str]
    """Files that are no media, nor lists and notes."""
    num_renumbered: int
    """Clips whose sentence comes from a numbering.csv."""
    numbering_lines_without_clip: list[int]
    """Rows of it that match no clip."""
    needed_bytes: int
    """Disk that preparing all usable clips will take, estimated; those of pointers count as usable."""
    free_bytes: int
    hint: str
    """What to get instead, where there is no clip or picture and it can be told."""

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
    folder = root if is_tree(root) else root.parent
    _refuse_other_corpus(corpus, root, listing)
    expected = corpus.expected(root)
    numbering = watched_numbering(root, files)
    problems = [Problem(rejected.code, rejected.path, rejected.message) for rejected in listing.rejected]
    pointers: list[PointerFile] = []
    presence = {found.clip.clip_id: _look(folder, found, problems, pointers) for found in listing.found}
    found_ids = {found.clip.clip_id for found in listing.found}
    silent = [f for f in listing.found if corpus.NAME == cremad.NAME and _stem(f) in cremad.SILENT_IN_OLD_COPIES]
    problems += [
        Problem("maybe_no_sound", f.video or "", f"{f.video}: had no sound before 2020-12-16, and its wav is missing")
        for f in silent
        if f.audio is None
    ]
    problems += [
        Problem(NO_VIDEO, f.audio or "", f"{f.clip.clip_id}: {f.audio} is there, but its video is missing")
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
    there = [found for found in listing.found if presence[found.clip.clip_id] == Presence.USABLE]
    to_come = [found for found in listing.found if presence[found.clip.clip_id] != Presence.UNUSABLE]
    return CheckReport(
        corpus=corpus.NAME,
        root=str(root),
        num_found=len(listing.found),
        num_usable=sum(found.clip.known_defect is None for found in there),
        num_expected=len(expected),
        cells=_cells([found.clip for found in listing.found], [found.clip for found in there], expected),
        missing=_missing([clip for clip in expected if clip.clip_id not in found_ids]),
        problems=sorted(problems, key=lambda problem: (problem.code, problem.path)),
        pointers=sorted(pointers, key=lambda pointer: pointer.path),
        known_defects={f.clip.clip_id: f.clip.known_defect for f in listing.found if f.clip.known_defect is not None},
        sound_from_elsewhere=[f.clip.clip_id for f in silent if f.audio is not None],
        not_wanted=listing.not_wanted,
        passed_over=listing.passed_over,
        num_renumbered=sum(isinstance(one, Settled) and one.kind != "release" for one in settled),
        numbering_lines_without_clip=numbering.lines_without_clip(found.clip for found in listing.found),
        needed_bytes=sum(_prepared_bytes(found) for found in to_come) * NUM_COPIES,
        free_bytes=shutil.disk_usage(disk).free,
        hint=listing.hint.removeprefix("; "),
    )


def _refuse_other_corpus(corpus: Corpus, root: Path, listing: Listing) -> None:
    readable = len(listing.found) + sum(listing.not_wanted.values())
    # a folder of nothing but broken archives may well be a corpus
    strange = [rejected for rejected in listing.rejected if rejected.code == "bad_name"]
    if not readable and (strange or not listing.rejected):
        first = f"; first {strange[0].message}" if strange else ""
        raise UserError(f"{root}: not a {corpus.NAME} corpus: no file name fits{first}{listing.hint}")


class Presence(Enum):
    """What a clip is by the first bytes of its files."""

    USABLE = "usable"
    POINTER = "pointer"
    """Usable once git-lfs has fetched it."""
    UNUSABLE = "unusable"


def _look(root: Path, found: FoundClip, problems: list[Problem], pointers: list[PointerFile]) -> Presence:
    """Look at the files of a clip; what they are instead of media is put down."""
    presence = Presence.USABLE
    for name in (found.video, found.audio):
        if name is None:
            continue
        try:
            head = _small_head(root, name)
        except ClipError as error:
            problems.append(Problem(error.code, name, f"{name}: {error.message}"))
            presence = Presence.UNUSABLE
            continue
        if head is None or (kind := stand_in(head)) is None:
            continue
        pointer = read_pointer(head)
        if pointer is None:
            problems.append(Problem(kind, name, f"{name} {about_stand_in(kind, head, name)}"))
            presence = Presence.UNUSABLE
        else:
            pointers.append(PointerFile(name, pointer.sha256, pointer.num_bytes))
            presence = Presence.UNUSABLE if presence == Presence.UNUSABLE else Presence.POINTER
    return presence


def _prepared_bytes(found: FoundClip) -> int:
    if found.clip.known_defect is not None:
        return 0
    return PREPARED_BYTES_PER_SOUND if found.video is None else PREPARED_BYTES_PER_CLIP


def _small_head(root: Path, name: str) -> bytes | None:
    """First bytes of a small file or member of an archive, None for large ones.

    Raises:
        ClipError: The file cannot be read.
    """
    path = root / name
    stored, num_bytes = stored_object(path), size_of(path)
    if num_bytes > (MAX_STAND_IN_BYTES if stored is None else MAX_STAND_IN_OBJECT_BYTES):
        return None
    if not num_bytes:
        return b""
    with open_bytes(path) as stream:
        return stream.read(NUM_HEAD_BYTES)


def _stem(found: FoundClip) -> str:
    return Path(found.video or found.audio or "").stem


def _cells(found: Iterable[Clip], usable: Iterable[Clip], expected: Iterable[Clip]) -> list[Cell]:
    def count(clips: Iterable[Clip]) -> Counter[tuple[str, str, int | None]]:
        return Counter((clip.speaker, clip.emotion, clip.intensity) for clip in clips)

    there, good, wanted = count(found), count(usable), count(expected)
    keys = sorted(there.keys() | wanted.keys(), key=lambda key: (key[0], key[1], key[2] or 0))
    return [Cell(*key, there[key], good[key], wanted[key]) for key in keys]


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
    if report.passed_over:
        lines.append(said_passed_over(report.passed_over))
    lines += _missing_lines([part for part in report.missing if part.speaker in present], max_listed)
    lines += _problem_lines(report.problems, max_listed)
    if report.pointers:
        total = sum(pointer.num_bytes for pointer in report.pointers)
        lines.append(
            f"git-lfs pointers: {len(report.pointers)} files that stand for {_size(total)}; run in a clone of their "
            f"repository `{lfs_pull(_patterns(Path(report.root), report.pointers))}`"
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
    if report.hint:
        lines.append(f"note: {report.hint}")
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
        lines.append("(clips of each level in turn, those without a level first; n/m: n of m clips look usable)")
    if absent:
        lines.append(f"speakers without clips: {len(absent)} ({_ranges(absent)})")
    return lines


def _count(cell: Cell) -> str:
    """The usable clips, with how many there are or should be where that is more."""
    wanted = max(cell.num_found, cell.num_expected)
    return f"{cell.num_usable}/{wanted}" if cell.num_usable < wanted else str(cell.num_usable)


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


def _patterns(root: Path, pointers: Iterable[PointerFile]) -> list[str]:
    """What `git lfs pull --include` takes for these files: their folders from the repository on, few enough to type."""
    place = root.resolve()
    repository = next((folder for folder in (place, *place.parents) if (folder / ".git").exists()), place)
    above = place.relative_to(repository)
    folders = {PurePosixPath(pointer.path).parent for pointer in pointers}
    if len(folders) <= MAX_PATTERNS:
        return sorted((above / folder / "*").as_posix() for folder in folders)
    return sorted({(above / Path(*folder.parts[:1]) / "**").as_posix() for folder in folders})


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
    """`001-003, 020` of numbers in a row; other names one by one, clips without a sentence counted."""
    if "" in sentences:
        named = [sentence for sentence in sentences if sentence]
        count = f"{len(sentences) - len(named)} without a sentence"
        return f"{_ranges(named)}, {count}" if named else count
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
