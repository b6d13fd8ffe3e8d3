"""How the frames of an edit become a file: with its sound, what it says of itself, and a mark where one is wished."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cmet.editing.frames.source import Source
from cmet.editing.job import EditJob
from cmet.editing.reports import EmotionReport
from cmet.editing.result.credentials import identity_of, sign_video
from cmet.editing.result.marking import marked
from cmet.editing.result.provenance import Provenance
from cmet.editing.wishes.options import CRF
from cmet.errors import UserError
from cmet.media.video import write_video
from cmet.outputs import fresh_file


def write_result(
    path: Path, frames: Iterable[np.ndarray], source: Source, job: EditJob, told: Sequence[EmotionReport]
) -> int:
    """Write edited frames at the rate of their video, and return their number.

    Args:
        path: Target; the caller makes it atomic.
        frames: Of the result.
        source: Where they come from.
        job: The edit.
        told: What each emotion does.
    """
    provenance = Provenance.of(job.editor, job.names, told, job.options)
    shown = marked(frames) if job.options.is_marked else frames
    num_frames = write_video(
        path, shown, source.fps, job.sound, CRF, shown=source.file.colour.shown, tags=provenance.tags
    )
    provenance.put_into(path)
    identity = identity_of(job.options)
    if identity is not None:
        sign_video(path, provenance, identity)
    return num_frames


@contextmanager
def result_file(out: Path, option: str = "--out") -> Iterator[Path]:
    """A path to write to that becomes `out` when the block ends without an error.

    Raises:
        UserError: It cannot be written; the disk may be full.
    """
    try:
        with fresh_file(out) as unfinished:
            yield unfinished
    except OSError as error:
        raise UserError(
            f"{option} {out}: cannot be written ({error.strerror or error}); make room, or name another path"
        ) from error
