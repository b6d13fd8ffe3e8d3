"""Carrying out a batch: what is made, what is kept, and the ledger that says so."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from cmet.editing.batch.page import write_batch_page
from cmet.editing.batch.product import BATCH_PAGE, BatchFolder
from cmet.editing.batch.table import BatchRow
from cmet.editing.editor import Editor
from cmet.editing.queue import EditQueue, QueuedEdit
from cmet.editing.reports import EditReport
from cmet.editing.request import EditRequest
from cmet.environment import own_version
from cmet.errors import UserError
from cmet.inputs.files import BadFile
from cmet.inputs.texts import read_json
from cmet.outputs import content_digest, file_sha256, is_unfinished, write_json
from cmet.progress import progress


@dataclass(frozen=True)
class BatchEdit:
    """What has become of one row."""

    name: str
    """Where the row stands."""
    video: Path
    out: Path | None
    """The result; None where there is none."""
    state: Literal["made", "kept", "failed"]
    """`kept`: it was there already, of the same request, the same files and the same model."""
    fault: str | None = None
    """A sentence, where it failed."""
    report: EditReport | None = None
    notes: tuple[str, ...] = ()
    """What a person should know."""


@dataclass(frozen=True)
class BatchReport:
    """What has become of a batch."""

    out: Path
    page: Path
    num_made: int
    num_kept: int
    num_failed: int
    edits: tuple[BatchEdit, ...]
    """In the order of the rows."""


@dataclass(frozen=True)
class _Kept:
    """What is known of a result from the time when it was made."""

    asked: str
    """Digest of all that it was made from."""
    made_sha256: str
    report: EditReport
    notes: tuple[str, ...]


_ADAPTER = TypeAdapter(dict[str, _Kept])


def run_batch(
    rows: Sequence[BatchRow], out: Path, notes_of: Callable[[EditReport], Sequence[str]], is_quiet: bool = False
) -> BatchReport:
    """Make the edits of all rows that are not there yet, and a page of all.

    A row that fails does not stop the others. What ends the batch leaves whole results only, and the next start goes on
    with those that lack.

    Args:
        rows: Of the batch; their results lie in `out`.
        out: Folder of the results.
        notes_of: What a person should know of an edit.
        is_quiet: Whether to show no progress.

    Raises:
        UserError: A model cannot be opened, the folder cannot be written to or is another batch's, or there is a page
            that is none of ours.
    """
    result = BatchFolder(out)
    with (
        _held(result),
        EditQueue() as queue,
        progress("editing videos", len(rows), "video", is_quiet=is_quiet) as shown,
    ):
        ledger = _read_ledger(result.ledger)
        edits = []
        for row in rows:
            edits.append(_outcome(row, result, ledger, queue, notes_of))
            shown.update()
        write_batch_page(edits, result.page)
    states = [edit.state for edit in edits]
    return BatchReport(
        out, result.page, states.count("made"), states.count("kept"), states.count("failed"), tuple(edits)
    )


def _outcome(
    row: BatchRow,
    result: BatchFolder,
    ledger: dict[str, _Kept],
    queue: EditQueue,
    notes_of: Callable[[EditReport], Sequence[str]],
) -> BatchEdit:
    """Make the edit of a row, unless it is there; what is made is written down at once."""
    if row.request is None:
        return BatchEdit(row.name, row.video, None, "failed", row.fault)
    request = replace(row.request, options=replace(row.request.options, is_quiet=True))
    key = request.out.relative_to(result.folder).as_posix()
    asked = asked_digest(request, queue.editors.of(request))
    kept = ledger.get(key)
    if kept is not None and kept.asked == asked and _is_as_made(request.out, kept):
        return BatchEdit(row.name, row.video, request.out, "kept", None, kept.report, kept.notes)
    edit = queue.put(request)
    edit.wait()
    if edit.report is None:
        return BatchEdit(row.name, row.video, None, "failed", _fault_of(edit))
    notes = tuple(notes_of(edit.report))
    ledger[key] = _Kept(asked, file_sha256(request.out).hex(), edit.report, notes)
    write_json(result.ledger, ledger)
    return BatchEdit(row.name, row.video, request.out, "made", None, edit.report, notes)


def _fault_of(edit: QueuedEdit) -> str:
    return edit.fault or f"it was {edit.state}"


def _is_as_made(path: Path, kept: _Kept) -> bool:
    return path.is_file() and file_sha256(path).hex() == kept.made_sha256


def asked_digest(request: EditRequest, editor: Editor) -> str:
    """Digest of all that an edit is made from: what is asked, the files that it reads, the model, and cmet itself.

    Of a folder of speech, the files in it count, and not those of folders below.
    """
    files = {
        name: [_digest_of_file(file) for path in paths for file in _files_at(path)]
        for name, paths in request.files.items()
    }
    made_from = {
        "request": _without(request.values(), {"out", "is_quiet", "where"}),
        "files": files,
        "model": editor.model_sha256,
        "cmet": own_version(),
    }
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def _files_at(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    return [path] if path.is_file() else []


def _digest_of_file(file: Path) -> list[str]:
    return [str(file), content_digest(file)]


def _without(values: Any, keys: set[str]) -> Any:
    """Values without what says nothing of a result."""
    if isinstance(values, Mapping):
        return {key: _without(one, keys) for key, one in values.items() if key not in keys}
    return [_without(one, keys) for one in values] if isinstance(values, list) else values


def _read_ledger(path: Path) -> dict[str, _Kept]:
    """What is there of earlier starts; what is no ledger, or one of another version, is not believed."""
    try:
        return _ADAPTER.validate_python(read_json(path))
    except (BadFile, ValidationError):
        return {}


@contextmanager
def _held(result: BatchFolder) -> Iterator[None]:
    """A folder of results that is this batch's alone, without what a kill has left in it.

    Raises:
        UserError: It cannot be.
    """
    out = result.folder
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(result.lock, timeout=0)
        with lock:
            if result.page.exists() and not result.ledger.exists():
                raise UserError(f"--out {out}: holds a page {BATCH_PAGE} that is none of a batch; name another folder")
            for file in out.rglob("*.mp4"):
                if is_unfinished(file):
                    file.unlink(missing_ok=True)
            # says of the page that it is ours
            if not result.ledger.exists():
                write_json(result.ledger, {})
            yield
    except Timeout as error:
        raise UserError(f"--out {out}: another batch is writing there; wait for it, or name another folder") from error
    except OSError as error:
        raise UserError(
            f"--out {out}: cannot be written to ({error.strerror or error}); name another folder"
        ) from error
