"""`cmet edit --batch`: many edits in one command."""

from pathlib import Path
from typing import TYPE_CHECKING

from cmet.commands.answer import Answer

if TYPE_CHECKING:
    from cmet.editing.batch.table import BatchDefaults
    from cmet.editing.reports import EditReport

SOME_FAILED = 1
"""Exit code where some rows have no result."""


def batch_answer(source: Path, defaults: "BatchDefaults") -> Answer:
    """Make all edits of a table or a folder, and say what has become of them.

    Args:
        source: The table or the folder.
        defaults: What the command names for all.

    Raises:
        UserError: As `rows_of_batch` and `run_batch`.
    """
    from cmet.editing.batch.running import run_batch
    from cmet.editing.batch.table import rows_of_batch
    from cmet.media.kinds import said_passed_over

    request = defaults.request
    rows, passed_over = rows_of_batch(source, defaults)
    report = run_batch(rows, request.out, _notes_of_row, request.options.is_quiet)
    lines = [
        f"{report.num_made} made, {report.num_kept} kept from before, {report.num_failed} failed",
        *(f"{edit.name} ({edit.video.name}): {edit.fault}" for edit in report.edits if edit.fault is not None),
        f"page: {report.page}",
        *([f"note: {said_passed_over(passed_over)}"] if passed_over else []),
    ]
    return Answer(report, "\n".join(lines), SOME_FAILED if report.num_failed else 0)


def _notes_of_row(report: "EditReport") -> list[str]:
    from cmet.editing.notes import edit_notes

    return [*report.warnings, *edit_notes(report)]
