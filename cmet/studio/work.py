"""What the page does when somebody presses something; it knows no widgets."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cmet.editing.editor import Editor
from cmet.editing.emotions.known import KnownEmotion
from cmet.editing.emotions.likeness import HeardEmotion, heard_emotions, warnings_of
from cmet.editing.preview import Preview, PreviewedChange, known_wishes
from cmet.editing.queue import EditQueue, QueuedEdit
from cmet.editing.reports import EditReport, EmotionReport
from cmet.editing.request import EditRequest
from cmet.editing.wishes.options import WantedEmotion, emotion_said, recordings
from cmet.editing.wishes.timeline import Timeline
from cmet.errors import UserError
from cmet.media.uploads import UploadLimits, check_number, check_upload
from cmet.studio.models import OfferedModel
from cmet.studio.sessions import EVERY_S, MadeVideo, Reading, StudioSession, StudioSessions
from cmet.studio.wishes import StudioWishes

NUM_READINGS = 2
"""Videos that are read at once, whoever has given them."""

LIMITS = UploadLimits(size_bytes=500 << 20, duration_s=300.0)
"""Of what is given; on a page nobody waits for more, and `cmet edit` takes it."""


@dataclass(frozen=True)
class ShownWishes:
    """What can be seen and known of an edit before it is made."""

    stills: tuple[Path, Path] | None
    """One frame before and after; None of a model that shows no preview."""
    emotions: tuple[EmotionReport, ...]
    """What each does where it stands alone; known with a preview only."""
    heard: tuple[HeardEmotion, ...]
    warnings: tuple[str, ...]


class Studio:
    """All that the page can do, for everybody who has it open."""

    def __init__(self, folder: Path) -> None:
        """Nothing is at work; no model is open yet.

        Args:
            folder: For files.
        """
        self.sessions = StudioSessions(folder)
        self.queue = EditQueue()
        self._readings = ThreadPoolExecutor(NUM_READINGS, thread_name_prefix="readings")

    def warm(self, model: OfferedModel) -> None:
        """Open a model, so that nobody has to wait for it."""
        self._readings.submit(self._warm, model)

    def open_video(self, session: StudioSession, upload: Path, model: OfferedModel) -> Iterator[Reading[Preview]]:
        """Read a video that was given, and keep it for previews.

        Args:
            session: Whose it is.
            upload: Where the page has put it.
            model: With which it will be edited.

        Yields:
            The work, a moment after the other.

        Raises:
            UserError: It cannot be used, or is larger or longer than is taken here, or the session has too many files.
            CancelledEdit: Another was given meanwhile.
        """
        self.close_video(session)
        video = session.take(upload)
        session.check_room()
        check_upload(video, "video", LIMITS)
        session.video = video
        if not model.shows_preview:
            return
        reading = session.reading = Reading(partial(self._read, video, model), self._readings)
        for _ in reading.steps():
            yield reading
        preview = reading.result()
        if session.reading is reading:
            session.preview = preview

    def close_video(self, session: StudioSession) -> None:
        """Let go of the video of a session."""
        if session.reading is not None:
            session.reading.cancel()
        session.video = session.preview = session.reading = None
        session.forget()

    def show(self, session: StudioSession, wishes: StudioWishes, time_s: float) -> ShownWishes:
        """One frame as the edit would show it, where the model shows previews, and what is known of the wishes.

        Raises:
            UserError: The wishes are none.
        """
        preview = session.preview
        if preview is None:
            editor = self._editor(wishes.model)
            heard = heard_emotions(self._known(session, editor, wishes))
            return ShownWishes(None, (), heard, warnings_of(heard))
        number = preview.nearest(time_s)
        change = self._change(session, preview, wishes)
        before = session.before(number, preview.stills[number])
        after = session.still(preview.after(number, change))
        return ShownWishes((before, after), change.emotions, change.heard, change.warnings)

    def before(self, session: StudioSession, time_s: float) -> Path | None:
        """One frame as it is; None where there is none."""
        preview = session.preview
        if preview is None:
            return None
        number = preview.nearest(time_s)
        return session.before(number, preview.stills[number])

    def make(self, session: StudioSession, wishes: StudioWishes) -> Iterator[QueuedEdit]:
        """Make the whole video, when it is its turn, and keep it in the history.

        Yields:
            The edit, a moment after the other.

        Raises:
            UserError: The wishes are none, there is no video, one is being made, or the session has too many files.
        """
        request = self._request(session, wishes)
        if session.is_making:
            raise UserError("one video of yours is being made; wait for it, or cancel it")
        edit = session.edit = self.queue.put(request)
        while edit.wait(EVERY_S) in ("waiting", "running"):
            yield edit
        if edit.report is not None:
            session.num_made += 1
            label = f"{session.num_made}. {_said(request.wanted)}{_strength(edit.report)}"
            session.keep(MadeVideo(label, request.out, request.video, request.side_by_side, edit.report))
        yield edit

    def cancel(self, session: StudioSession) -> None:
        """End the edit of a session at its next frame."""
        if session.edit is not None:
            session.edit.cancel()

    def close(self) -> None:
        """End all work, and forget everybody; files may be removed then, since what is still being read writes none."""
        self.sessions.end_all()
        self.queue.close()
        # a model that is being opened cannot be stopped, and on a slow machine it takes longer than an end may
        self._readings.shutdown(wait=False, cancel_futures=True)

    def _warm(self, model: OfferedModel) -> None:
        try:
            editor = self._editor(model)
            _ = editor.backbone
        except UserError as error:
            # whoever gives a video is told as well
            print(f"cmet studio: {error}")

    def _read(self, video: Path, model: OfferedModel) -> Preview:
        return Preview.of(video, self._editor(model))

    def _editor(self, model: OfferedModel) -> Editor:
        return self.queue.editors.opened(StudioWishes(model).choice, is_told=False)

    def _change(self, session: StudioSession, preview: Preview, wishes: StudioWishes) -> PreviewedChange:
        """What the wishes change; that of the last ones is at hand, since a person moves on through the video."""
        known, options = self._known(session, preview.editor, wishes), wishes.options
        return session.changes.of((preview, known, options.strength), lambda: preview.change(known, options))

    def _known(self, session: StudioSession, editor: Editor, wishes: StudioWishes) -> tuple[KnownEmotion, ...]:
        """The emotions; those of the last wishes are at hand."""
        wanted, calm = self._wanted(session, wishes), wishes.calm
        return session.known.of((id(editor), wanted, calm), lambda: known_wishes(editor, wanted, calm))

    def _wanted(self, session: StudioSession, wishes: StudioWishes) -> WantedEmotion | Timeline:
        """The emotion, with recordings that were looked at before anything opens them."""
        wanted = wishes.wanted()
        check_number(wishes.voice, "recordings with the emotion", LIMITS)
        check_number(wishes.calm, "calm recordings", LIMITS)
        unseen = {*wishes.voice, *wishes.calm} - session.looked_at
        if unseen:
            session.check_room()
        for path in unseen:
            check_upload(path, "sound", LIMITS)
            session.looked_at.add(path)
        return wanted

    def _request(self, session: StudioSession, wishes: StudioWishes) -> EditRequest:
        if session.video is None:
            raise UserError("give a video first")
        session.check_room()
        wanted, folder = self._wanted(session, wishes), session.new_folder("made")
        stem = session.video.stem
        return EditRequest(
            session.video,
            wanted,
            folder / f"{stem}-edited.mp4",
            wishes.calm,
            wishes.choice,
            wishes.options,
            folder / f"{stem}-side-by-side.mp4" if wishes.is_side_by_side else None,
        )


def _said(wanted: WantedEmotion | Timeline) -> str:
    if isinstance(wanted, Timeline):
        (first, *others) = wanted.segments
        return "by time" if others or not first.follows else _said(recordings(first.blend))
    heard = recordings(wanted)
    if not heard:
        return emotion_said(wanted)
    return f"as in {heard[0].name}" + (f" and {len(heard) - 1} more" if len(heard) > 1 else "")


def _strength(report: EditReport) -> str:
    return "" if report.emotions else f", strength {report.strength:.2f}"
