"""Edits that wait for their turn: the studio's and those of a batch."""

import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event, Lock
from typing import Literal

from cmet.editing.choice import ModelChoice
from cmet.editing.editor import Editor
from cmet.editing.reports import EditReport
from cmet.editing.request import EditRequest, perform
from cmet.errors import ClipError, UserError
from cmet.outputs import full_disk, no_room_said

State = Literal["waiting", "running", "done", "failed", "cancelled"]
ENDED = frozenset({"done", "failed", "cancelled"})


class CancelledEdit(Exception):
    """Somebody has ended an edit; raised where its progress is told."""


class Editors:
    """Models that are open, so that each is loaded once."""

    def __init__(self) -> None:
        """None is open yet."""
        self._open: dict[tuple[ModelChoice, bool], Editor] = {}
        self._is_opening = Lock()

    def of(self, request: EditRequest) -> Editor:
        """The model of a request; what lies in its folder later is not looked at.

        Raises:
            UserError: It cannot be opened.
        """
        return self.opened(request.choice, is_told=request.is_told)

    def opened(self, choice: ModelChoice, *, is_told: bool) -> Editor:
        """A model; only which one is taken where none is named depends on whether emotions are told.

        Raises:
            UserError: It cannot be opened.
        """
        key = (choice, is_told and choice.model is None and choice.connector is None)
        with self._is_opening:
            if key not in self._open:
                self._open[key] = choice.open(is_told=is_told)
            return self._open[key]


class QueuedEdit:
    """A request, and what has become of it. Others read it while it runs."""

    def __init__(self, number: int, request: EditRequest) -> None:
        """It waits."""
        self.number, self.request = number, request
        self.state: State = "waiting"
        self.label, self.done = "", 0
        """What is being done, and how much of it is."""
        self.total: int | None = None
        self.report: EditReport | None = None
        """Where it is done."""
        self.fault: str | None = None
        """A sentence, where it failed."""
        self._is_unwanted, self._has_ended = Event(), Event()
        self._is_changing = Lock()

    def cancel(self) -> None:
        """End it at once where it waits, and else at its next frame; what it has written is removed.

        What has ended stays as it is.
        """
        self._is_unwanted.set()
        with self._is_changing:
            if self.state == "waiting":
                self.state = "cancelled"
                self._has_ended.set()

    def wait(self, timeout_s: float | None = None) -> State:
        """Its state, once it has ended or the time is over."""
        self._has_ended.wait(timeout_s)
        return self.state

    def run(self, work: Callable[["QueuedEdit"], EditReport]) -> None:
        """Do the work unless it is cancelled, and keep what came of it."""
        with self._is_changing:
            if self.state != "waiting":
                return
            self.state = "running"
        try:
            self.report = work(self)
            self.state = "done"
        except CancelledEdit:
            self.state = "cancelled"
        except Exception as error:
            self.fault, self.state = fault_said(error), "failed"
        finally:
            self._has_ended.set()

    def watch(self, label: str, done: int, total: int | None) -> None:
        """Note how far it is.

        Raises:
            CancelledEdit: Nobody wants it any more.
        """
        self.label, self.done, self.total = label, done, total
        self.refuse_unwanted()

    def refuse_unwanted(self) -> None:
        """Raise where nobody wants it any more.

        Raises:
            CancelledEdit: It was cancelled.
        """
        if self._is_unwanted.is_set():
            raise CancelledEdit


class EditQueue:
    """Carries out requests in the order they come in, in threads of its own."""

    def __init__(self, editors: Editors | None = None, num_at_once: int = 1) -> None:
        """Nothing waits yet."""
        self.editors = editors or Editors()
        self._numbers = count(1)
        self._edits: list[QueuedEdit] = []
        self._is_changing = Lock()
        self._threads = ThreadPoolExecutor(num_at_once, thread_name_prefix="edits")

    def put(self, request: EditRequest) -> QueuedEdit:
        """Have a request carried out when it is its turn."""
        with self._is_changing:
            edit = QueuedEdit(next(self._numbers), request)
            self._edits = [*self.unfinished(), edit]
            self._threads.submit(edit.run, self._perform)
        return edit

    def unfinished(self) -> list[QueuedEdit]:
        """Those that wait or run, in their order."""
        return [edit for edit in self._edits if edit.state not in ENDED]

    def num_before(self, edit: QueuedEdit) -> int:
        """How many others have their turn before one that waits; 0 where it does not wait."""
        if edit.state != "waiting":
            return 0
        return sum(other.number < edit.number for other in self.unfinished())

    def close(self) -> None:
        """Cancel all that has not ended, and wait until it has."""
        for edit in self.unfinished():
            edit.cancel()
        self._threads.shutdown()

    def __enter__(self) -> "EditQueue":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _perform(self, edit: QueuedEdit) -> EditReport:
        edit.label = "opening the model"
        editor = self.editors.of(edit.request)
        edit.refuse_unwanted()
        return perform(edit.request, editor, edit.watch)


def fault_said(error: Exception) -> str:
    """A sentence for people; of what is no fault of theirs, the traceback goes to standard error."""
    if isinstance(error, ClipError):
        return error.message
    if isinstance(error, UserError):
        return str(error)
    said = no_room_said(error)
    if said is not None:
        return str(full_disk(getattr(error, "filename", None) or "the disk", said))
    traceback.print_exception(error, file=sys.stderr)
    return f"something went wrong inside cmet ({type(error).__name__}: {error}); this is a fault of the program"
