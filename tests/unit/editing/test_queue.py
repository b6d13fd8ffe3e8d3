from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from cmet.editing import queue as queue_module
from cmet.editing.choice import ModelChoice
from cmet.editing.editor import Editor
from cmet.editing.queue import Editors, EditQueue, QueuedEdit
from cmet.editing.reports import EditReport
from cmet.editing.request import EditRequest
from cmet.editing.wishes.options import EditOptions
from cmet.errors import ClipError, UserError
from cmet.media.video import read_video, write_video
from cmet.progress import Watcher

REPORT = EditReport(1, 25.0, 64, 64, None, 0.5)
LONG_S = 120


def asked(name: str) -> EditRequest:
    return EditRequest(Path(name), "neutral", Path(f"{name}.out.mp4"))


class Work:
    """Edits that go on until they are let go, or fail as their names say."""

    def __init__(self) -> None:
        self.begun, self.go = Event(), Event()
        self.names: list[str] = []

    def __call__(self, request: EditRequest, editor: object, on_progress: Watcher) -> EditReport:
        name = request.video.name
        self.names.append(name)
        if name == "bad":
            raise UserError("bad: no face; crop it")
        if name == "worse":
            raise ClipError("no_face", "no face found")
        if name == "fault":
            raise TypeError("a slip")
        self.begun.set()
        for done in range(2000):
            on_progress("changing the face", done, 2000)
            if self.go.wait(0.01):
                return REPORT
        raise AssertionError("nobody let it go")


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    work = Work()
    monkeypatch.setattr(queue_module, "perform", work)
    monkeypatch.setattr(Editors, "of", lambda *_: None)
    return work


@pytest.fixture
def waiting(work: Work) -> Iterator[EditQueue]:
    with EditQueue() as edits:
        yield edits


def test_edits_are_made_one_at_a_time_in_their_order(waiting: EditQueue, work: Work) -> None:
    first, second, third = (waiting.put(asked(name)) for name in "abc")
    assert work.begun.wait(LONG_S)
    assert [edit.state for edit in (first, second, third)] == ["running", "waiting", "waiting"]
    assert [waiting.num_before(edit) for edit in (first, second, third)] == [0, 1, 2]
    work.go.set()
    assert [edit.wait(LONG_S) for edit in (first, second, third)] == ["done"] * 3
    assert third.report == REPORT
    assert work.names == ["a", "b", "c"]
    assert waiting.unfinished() == []


def test_progress_is_told(waiting: EditQueue, work: Work) -> None:
    edit = waiting.put(asked("a"))
    assert work.begun.wait(LONG_S)
    while edit.done < 3:
        assert edit.wait(0.01) != "failed"
    assert (edit.label, edit.total) == ("changing the face", 2000)


def test_an_edit_is_cancelled_in_the_middle_and_the_next_one_begins(waiting: EditQueue, work: Work) -> None:
    first, second = waiting.put(asked("a")), waiting.put(asked("b"))
    assert work.begun.wait(LONG_S)
    first.cancel()
    assert first.wait(LONG_S) == "cancelled"
    work.go.set()
    assert second.wait(LONG_S) == "done"


def test_one_that_waits_is_cancelled_at_once(waiting: EditQueue, work: Work) -> None:
    first, second = waiting.put(asked("a")), waiting.put(asked("b"))
    assert work.begun.wait(LONG_S)
    second.cancel()
    assert second.state == "cancelled"
    work.go.set()
    assert first.wait(LONG_S) == "done"
    first.cancel()
    assert first.state == "done"
    assert work.names == ["a"]


def test_a_failed_edit_has_its_sentence_and_does_not_stop_the_next(
    waiting: EditQueue, work: Work, capsys: pytest.CaptureFixture[str]
) -> None:
    work.go.set()
    edits = [waiting.put(asked(name)) for name in ("bad", "worse", "fault", "a")]
    assert [edit.wait(LONG_S) for edit in edits] == ["failed", "failed", "failed", "done"]
    assert [edit.fault for edit in edits[:2]] == ["bad: no face; crop it", "no face found"]
    assert edits[2].fault is not None and "fault of the program" in edits[2].fault
    assert "a slip" in capsys.readouterr().err


def test_closing_cancels_what_has_not_ended(work: Work) -> None:
    with EditQueue() as edits:
        queued = [edits.put(asked(name)) for name in "ab"]
        assert work.begun.wait(LONG_S)
    assert [edit.state for edit in queued] == ["cancelled"] * 2


def test_a_model_is_opened_once(monkeypatch: pytest.MonkeyPatch, editor: Editor) -> None:
    opened: list[ModelChoice] = []

    def open_model(choice: ModelChoice, *, is_told: bool) -> Editor:
        opened.append(choice)
        return editor

    monkeypatch.setattr(ModelChoice, "open", open_model)
    editors = Editors()
    assert editors.of(asked("a")) is editors.of(asked("b")) is editor
    assert opened == [ModelChoice()]


def test_a_cancelled_edit_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, real: Path, tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]]
) -> None:
    monkeypatch.setattr(Editors, "of", lambda *_: editor)
    frames = read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", range(30)).frames
    write_video(tmp_path / "v.mp4", frames, 25)
    before = sorted(tmp_path.iterdir())
    speech, calm = map(tuple, sounds.values())
    request = EditRequest(tmp_path / "v.mp4", speech, tmp_path / "new/o.mp4", calm, options=EditOptions(is_quiet=True))
    watch = QueuedEdit.watch

    def cancelling(edit: QueuedEdit, label: str, done: int, total: int | None) -> None:
        if (label, done) == ("changing the face", 3):
            edit.cancel()
        watch(edit, label, done, total)

    monkeypatch.setattr(QueuedEdit, "watch", cancelling)
    with EditQueue() as edits:
        edit = edits.put(request)
        assert edit.wait(LONG_S) == "cancelled"
        assert (edit.label, edit.done) == ("changing the face", 3)
    assert sorted(tmp_path.iterdir()) == before
