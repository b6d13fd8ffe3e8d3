"""Files from Google Drive, by gdown: it knows the pages that Drive shows before it gives a large file."""

import sys
import time
from pathlib import Path

from cmet.inputs.texts import shown
from cmet.progress import progress
from cmet.weights.routes import DriveRoute
from cmet.weights.transfer import (
    CONNECT_S,
    MEBIBYTE,
    NUM_TRIES,
    SILENCE_S,
    WAITS_S,
    RouteFailed,
    check_room,
)


def fetch_from_drive(route: DriveRoute, path: Path, label: str, max_bytes: int) -> None:
    """Bring the rest of a file, or all of it, to `path`.

    gdown keeps what has come beside it, as `<name><8 letters>.part`, and goes on there.

    Args:
        route: The file.
        path: It is there whole or not at all.
        label: Stands before the progress.
        max_bytes: More than that it cannot have.

    Raises:
        RouteFailed: Drive refuses it, cannot be reached, or sends more than `max_bytes`.
        UserError: The disk is full.
    """
    import gdown
    from gdown.exceptions import DownloadError, FileURLRetrievalError
    from requests.exceptions import RequestException

    with progress(label, None, "MiB") as bar:
        seen = 0

        def told(num_bytes: int, total_bytes: int | None) -> None:
            nonlocal seen
            if max(num_bytes, total_bytes or 0) > max_bytes:
                raise RouteFailed(f"sends more than {max_bytes:,} bytes, so it is another file")
            if not seen and total_bytes is not None:
                check_room(path.parent, total_bytes - num_bytes)
            bar.update(num_bytes // MEBIBYTE - seen // MEBIBYTE)
            seen = num_bytes

        for failures in range(NUM_TRIES):
            if failures:
                time.sleep(WAITS_S[failures - 1])
            try:
                gdown.download(
                    id=route.id,
                    output=str(path),
                    quiet=True,
                    resume=True,
                    progress=told,
                    timeout=(CONNECT_S, SILENCE_S),
                    retries=NUM_TRIES,
                )
                return
            except FileURLRetrievalError as error:
                raise RouteFailed(f"gives no file ({shown(str(error), 160)}); a browser may get it") from error
            except DownloadError as error:
                parts = sorted(path.parent.glob(f"{path.name}????????.part"))
                if "byte range" not in str(error) or not parts:
                    raise RouteFailed(shown(str(error), 160)) from error
                print(f"{label}: Drive sends no ranges of this file, so it begins anew", file=sys.stderr)
                for part in parts:
                    part.unlink()
            except RequestException as error:
                problem = shown(str(error), 160)
        raise RouteFailed(f"cannot be reached ({problem}), {NUM_TRIES} times in a row")
