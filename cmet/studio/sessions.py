"""What the page knows of each person who has it open; none of it is anybody else's."""

import os
import secrets
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from typing import Generic, TypeVar

from cmet.editing.emotions.known import KnownEmotion
from cmet.editing.preview import Preview, PreviewedChange
from cmet.editing.queue import CancelledEdit, QueuedEdit
from cmet.editing.reports import EditReport
from cmet.errors import UserError
from cmet.progress import watching
from cmet.studio.folders import PRIVATE, bytes_kept_in

Result = TypeVar("Result")

EVERY_S = 0.25
"""Between two looks at how far work is."""

MAX_MADE = 20
"""Videos of a session that are kept; the oldest give way."""

MAX_KEPT_BYTES = 2 << 30
"""Of all files of a session, given and made, beyond which it gets no more."""

MAX_STILLS_KEPT = 6
"""Pictures of previews: what a browser has not fetched by then it no longer wants."""

END_WITHIN_S = 30.0
"""Within that an edit that nobody wants has come to its next frame."""


class Reading(Generic[Result]):
    """Work in a thread whose progress is looked at, and which may be ended."""

    def __init__(self, work: Callable[[], Result], threads: ThreadPoolExecutor) -> None:
        """Begin it, or have it wait for a thread."""
        self.label, self.done = "getting ready", 0
        self.total: int | None = None
        self._is_unwanted = Event()
        self._future: Future[Result] = threads.submit(self._run, work)

    def steps(self) -> Iterator[None]:
        """A moment after the other until it has ended."""
        while True:
            with suppress(TimeoutError):
                self._future.exception(EVERY_S)
                return
            yield

    def result(self) -> Result:
        """What came of it.

        Raises:
            CancelledEdit: It was ended.
        """
        return self._future.result()

    def cancel(self) -> None:
        """End it at its next step."""
        self._is_unwanted.set()

    def _run(self, work: Callable[[], Result]) -> Result:
        with watching(self._watch):
            self._refuse_unwanted()
            return work()

    def _watch(self, label: str, done: int, total: int | None) -> None:
        self.label, self.done, self.total = label, done, total
        self._refuse_unwanted()

    def _refuse_unwanted(self) -> None:
        if self._is_unwanted.is_set():
            raise CancelledEdit


class Latest(Generic[Result]):
    """What was last worked out, as long as it is asked for the same again."""

    def __init__(self) -> None:
        """Nothing was."""
        self._kept: tuple[object, Result] | None = None
        self._lock = Lock()

    def of(self, key: object, work: Callable[[], Result]) -> Result:
        """What the work gives; done anew where the key is another one."""
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                self._kept = None
                self._kept = (key, work())
            return self._kept[1]

    def forget(self) -> None:
        """Let go of it."""
        self._kept = None


@dataclass(frozen=True)
class MadeVideo:
    """A result of the session."""

    label: str
    path: Path
    before: Path
    side_by_side: Path | None
    report: EditReport


@dataclass
class StudioSession:
    """One browser tab."""

    folder: Path
    """Its files; nobody can guess the name."""
    video: Path | None = None
    preview: Preview | None = None
    reading: "Reading[Preview] | None" = None
    edit: QueuedEdit | None = None
    unchanged: tuple[int, Path] | None = None
    """The still that was shown last, without a change: which it is, and where."""
    stills: deque[Path] = field(default_factory=deque)
    """Those with a change, the last one last."""
    made: list[MadeVideo] = field(default_factory=list)
    num_made: int = 0
    """Those that gave way included."""
    uploads: dict[Path, Path] = field(default_factory=dict)
    """Where a file that was given lies here, by where the page has put it."""
    known: Latest[tuple[KnownEmotion, ...]] = field(default_factory=Latest)
    """The emotions of the last wishes."""
    changes: Latest[PreviewedChange] = field(default_factory=Latest)
    """What they change of the video."""
    looked_at: set[Path] = field(default_factory=set)
    """Recordings that are what they should be."""
    lock: Lock = field(default_factory=Lock)

    def forget(self) -> None:
        """Let go of what was worked out for previews."""
        self.unchanged = None
        self.known.forget()
        self.changes.forget()

    def take(self, upload: Path) -> Path:
        """A file that was given, under its own name in a folder of this session."""
        with self.lock:
            if upload not in self.uploads:
                path = self.new_folder("given") / upload.name
                os.link(upload, path)
                self.uploads[upload] = path
            return self.uploads[upload]

    @property
    def kept_bytes(self) -> int:
        """Size of all its files."""
        return bytes_kept_in(self.folder)

    @property
    def is_full(self) -> bool:
        """Whether it may get no more files."""
        return self.kept_bytes > MAX_KEPT_BYTES

    @property
    def is_making(self) -> bool:
        """Whether a video is being made or waits for its turn."""
        return self.edit is not None and self.edit.wait(0) in ("waiting", "running")

    def check_room(self) -> None:
        """Make sure that the session may get more files.

        Raises:
            UserError: Those that it has take more than is kept.
        """
        if self.is_full:
            raise UserError(
                f"what you have given and made on this page takes more than {MAX_KEPT_BYTES >> 30} GiB; save what you "
                "need, and open the page anew"
            )

    def new_folder(self, kind: str) -> Path:
        """An empty folder with a name that nobody can guess."""
        folder = self.folder / kind / secrets.token_hex(8)
        folder.mkdir(parents=True, mode=PRIVATE)
        return folder

    def before(self, number: int, jpeg: bytes) -> Path:
        """A still as it is; as long as no other one is wanted, the browser has it."""
        if self.unchanged is None or self.unchanged[0] != number:
            folder = self.new_folder("unchanged")
            (folder / "still.jpg").write_bytes(jpeg)
            older, self.unchanged = self.unchanged, (number, folder / "still.jpg")
            if older is not None:
                shutil.rmtree(older[1].parent, ignore_errors=True)
        return self.unchanged[1]

    def still(self, jpeg: bytes) -> Path:
        """A picture for the browser to fetch soon."""
        folder = self.folder / "stills"
        folder.mkdir(exist_ok=True, mode=PRIVATE)
        path = folder / f"{secrets.token_hex(8)}.jpg"
        path.write_bytes(jpeg)
        with self.lock:
            self.stills.append(path)
            while len(self.stills) > MAX_STILLS_KEPT:
                self.stills.popleft().unlink(missing_ok=True)
        return path

    def keep(self, made: MadeVideo) -> None:
        """Add a result to the history."""
        self.made.append(made)
        while len(self.made) > MAX_MADE:
            shutil.rmtree(self.made.pop(0).path.parent, ignore_errors=True)

    def end(self) -> None:
        """End all work and remove the files."""
        if self.reading is not None:
            self.reading.cancel()
        if self.edit is not None:
            self.edit.cancel()
            self.edit.wait(END_WITHIN_S)
        shutil.rmtree(self.folder, ignore_errors=True)


class StudioSessions:
    """Everybody who has the page open."""

    def __init__(self, folder: Path) -> None:
        """Nobody has.

        Args:
            folder: Where the page puts what is given, and each session has its own folder.
        """
        self.folder = folder
        self._open: dict[str, StudioSession] = {}
        self._lock = Lock()

    def of(self, name: str) -> StudioSession:
        """The session of a tab, by what the page calls it."""
        with self._lock:
            if name not in self._open:
                folder = self.folder / secrets.token_hex(16)
                folder.mkdir(mode=PRIVATE)
                self._open[name] = StudioSession(folder)
            return self._open[name]

    def end(self, name: str) -> None:
        """Forget a session, and remove what it alone was given."""
        with self._lock:
            session = self._open.pop(name, None)
            others = {upload for one in self._open.values() for upload in one.uploads}
        if session is None:
            return
        session.end()
        for upload in session.uploads.keys() - others:
            shutil.rmtree(upload.parent, ignore_errors=True)

    def end_all(self) -> None:
        """Forget all."""
        for name in list(self._open):
            self.end(name)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._open)
