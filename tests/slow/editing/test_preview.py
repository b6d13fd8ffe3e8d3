from pathlib import Path

import cv2
import numpy as np
import pytest

from cmet.editing.choice import default_editor
from cmet.editing.preview import Preview, known_wishes
from cmet.editing.video import edit_video
from cmet.editing.wishes.options import EditOptions, NamedEmotion
from cmet.errors import UserError
from cmet.media.video import VideoFile, read_video, write_video

OPTIONS = EditOptions(strength=1.5, is_quiet=True)


@pytest.fixture(scope="module")
def face(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first second of a real face."""
    path = tmp_path_factory.mktemp("face") / "face.mp4"
    video = VideoFile(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4")
    write_video(path, video.frames_at(range(25)), 25)
    return path


@pytest.fixture(scope="module")
def preview(face: Path) -> Preview:
    return Preview.of(face, default_editor(is_told=True))


def pixels(jpeg: bytes) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None
    return picture.astype(int)


def test_a_frame_shows_what_the_edit_will(preview: Preview, face: Path, tmp_path: Path) -> None:
    wanted = NamedEmotion("happy")
    change = preview.change(known_wishes(preview.editor, wanted, ()), OPTIONS)
    edit_video(face, wanted, (), tmp_path / "out.mp4", preview.editor, OPTIONS)
    edited, own = (read_video(path).frames.astype(int) for path in (tmp_path / "out.mp4", face))
    for number, index in enumerate(preview.indices):
        # where the change is large; elsewhere it is what the two ways of coding lose
        is_changed = np.abs(edited[index] - own[index]).max(axis=-1) > 24
        shown = pixels(preview.after(number, change)) - pixels(preview.stills[number])
        wrong = np.abs(shown - (edited[index] - own[index]))[is_changed]
        assert wrong.mean() < 0.25 * np.abs(edited[index] - own[index])[is_changed].mean()


def test_no_change_leaves_the_frame(preview: Preview) -> None:
    change = preview.change(known_wishes(preview.editor, NamedEmotion("happy"), ()), EditOptions(strength=0.0))
    assert np.abs(pixels(preview.after(0, change)) - pixels(preview.stills[0])).mean() < 1


def test_a_moment_is_the_nearest_frame(preview: Preview) -> None:
    assert preview.nearest(0) == 0
    assert preview.nearest(1000) == len(preview.indices) - 1
    assert preview.indices[preview.nearest(0.4)] == round(0.4 * preview.prepared.source.fps)


def test_an_emotion_that_the_model_does_not_know_is_told(preview: Preview) -> None:
    with pytest.raises(UserError, match="this model knows angry"):
        known_wishes(preview.editor, NamedEmotion("jolly"), ())
