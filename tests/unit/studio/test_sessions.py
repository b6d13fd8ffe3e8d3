from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cmet.editing.queue import CancelledEdit
from cmet.editing.reports import EditReport
from cmet.errors import UserError
from cmet.progress import counted
from cmet.studio.sessions import MAX_KEPT_BYTES, MAX_MADE, MAX_STILLS_KEPT, Latest, MadeVideo, Reading, StudioSessions


def given(folder: Path, name: str = "me.mp4") -> Path:
    """A file as the page puts it."""
    (folder / "0123").mkdir(exist_ok=True)
    (folder / "0123" / name).write_bytes(b"video")
    return folder / "0123" / name


def test_sessions_share_no_file_and_leave_none(tmp_path: Path) -> None:
    sessions = StudioSessions(tmp_path)
    upload = given(tmp_path)
    one, other = sessions.of("one"), sessions.of("other")
    assert one.take(upload) == one.take(upload) != other.take(upload)
    assert one.take(upload).name == "me.mp4"
    sessions.end("one")
    # the other one's page still shows it
    assert upload.exists()
    assert other.take(upload).read_bytes() == b"video"
    sessions.end("other")
    assert list(tmp_path.iterdir()) == []


def test_only_the_last_pictures_and_results_are_kept(tmp_path: Path) -> None:
    session = StudioSessions(tmp_path).of("one")
    for number in range(MAX_STILLS_KEPT + 3):
        last = session.still(bytes([number]))
    assert last.exists()
    assert len(list(last.parent.iterdir())) == MAX_STILLS_KEPT
    paths = [session.new_folder("made") / "out.mp4" for _ in range(MAX_MADE + 2)]
    for path in paths:
        path.touch()
        session.keep(MadeVideo(path.parent.name, path, path, None, EditReport(1, 25, 1, 1, None, 0)))
    assert [path.exists() for path in paths] == [False, False, *[True] * MAX_MADE]


def test_what_is_given_and_made_has_room_up_to_the_limit(tmp_path: Path) -> None:
    sessions = StudioSessions(tmp_path)
    one, other = sessions.of("one"), sessions.of("other")
    video, made = one.take(given(tmp_path)), one.new_folder("made") / "out.mp4"
    # without content: a length is enough
    with made.open("wb") as stream:
        stream.truncate(MAX_KEPT_BYTES - video.stat().st_size)
    assert one.kept_bytes == MAX_KEPT_BYTES
    one.check_room()
    one.still(b"picture")
    with pytest.raises(UserError, match="takes more than 2 GiB; save what you need, and open the page anew"):
        one.check_room()
    other.check_room()


def test_work_tells_how_far_it_is_and_ends_when_nobody_wants_it() -> None:
    with ThreadPoolExecutor(1) as threads:
        whole = Reading(lambda: sum(counted(range(5), "adding", 5, "number", is_quiet=True)), threads)
        list(whole.steps())
        assert (whole.result(), whole.label, whole.done, whole.total) == (10, "adding", 5, 5)

        def without_end() -> None:
            for _ in counted(iter(int, 1), "waiting", None, "number", is_quiet=True):
                pass

        endless = Reading(without_end, threads)
        next(endless.steps())
        endless.cancel()
        with pytest.raises(CancelledEdit):
            endless.result()


def test_the_same_is_worked_out_once() -> None:
    latest: Latest[int] = Latest()
    calls: list[int] = []

    def work() -> int:
        calls.append(1)
        return len(calls)

    assert [latest.of("a", work), latest.of("a", work), latest.of("b", work), latest.of("a", work)] == [1, 1, 2, 3]
