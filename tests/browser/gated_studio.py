"""`cmet`, but each edit of a video called as `WAITS` stands still at its third frame until it is cancelled.

No machine is too quick then for whoever presses the button.
"""

from cmet.__main__ import main
from cmet.editing.queue import QueuedEdit

WAITS = "waits.mp4"

_watch = QueuedEdit.watch


def watch_and_wait(edit: QueuedEdit, label: str, done: int, total: int | None) -> None:
    """What `QueuedEdit.watch` does, and the wait."""
    _watch(edit, label, done, total)
    if edit.request.video.name == WAITS and label == "changing the face" and done >= 3:
        edit._is_unwanted.wait()
        edit.refuse_unwanted()


if __name__ == "__main__":
    QueuedEdit.watch = watch_and_wait  # type: ignore[method-assign]
    main()
