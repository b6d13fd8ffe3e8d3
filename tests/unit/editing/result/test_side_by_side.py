from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmet.editing.editor import Editor
from cmet.editing.request import EditRequest, perform
from cmet.editing.result.provenance import Provenance, read_provenance
from cmet.editing.result.side_by_side import side_by_side, write_side_by_side
from cmet.editing.wishes.options import EditOptions
from cmet.errors import UserError
from cmet.media.sound import read_sound, write_sound
from cmet.media.video import VideoFile, read_video, write_video
from tests.unit.editing.models import noise
from tests.unit.media.making import encode_numbered, number_in, with_matrix


def grey(height: int, width: int, level: int = 128) -> np.ndarray:
    return np.full((height, width, 3), level, np.uint8)


def edit_of(path: Path, frames: np.ndarray, fps: float = 25, sound: Path | None = None) -> Path:
    """A video that says that it is an edit."""
    provenance = Provenance("cmet", "m", "0", "facemesh", "opensmile", ())
    write_video(path, frames, fps, sound, crf=4, tags=provenance.tags)
    return path


@pytest.mark.parametrize(
    ("size", "is_beside", "panel"),
    [
        ((720, 1280), False, (720, 1280)),
        ((1280, 720), True, (1280, 720)),
        ((1920, 1080), True, (1280, 720)),
        ((256, 256), True, (256, 256)),
        ((480, 640), True, (480, 640)),
        ((2160, 3840), False, (720, 1280)),
        ((101, 77), True, (100, 76)),
    ],
)
def test_upright_videos_lie_beside_each_other_and_wide_ones_above(
    size: tuple[int, int], is_beside: bool, panel: tuple[int, int]
) -> None:
    both = side_by_side(grey(*size, 10), grey(*size, 200))
    height, width = both.shape[0] // (1 if is_beside else 2), panel[1]
    strip = height - panel[0]
    assert both.shape == ((height, 2 * width, 3) if is_beside else (2 * height, width, 3))
    assert 0 < strip < 0.25 * panel[0]
    assert not any(length % 2 for length in both.shape[:2])
    first, second = np.split(both, 2, axis=1 if is_beside else 0)
    assert (first[strip:] == 10).all() and (second[strip:] == 200).all()
    assert first[:strip].max() > 250


def test_an_edit_of_another_size_is_brought_to_the_same_height() -> None:
    assert side_by_side(grey(400, 300), grey(256, 256)).shape[1] == 300 + 400


def test_both_show_the_same_moment_with_the_sound_of_the_edit(tmp_path: Path) -> None:
    frames = read_video(encode_numbered(tmp_path / "v.mp4", "libx264", "crf=4", 30)).frames
    write_sound(tmp_path / "s.wav", noise(1.2), 16_000)
    after = edit_of(tmp_path / "after.mp4", frames, sound=tmp_path / "s.wav")
    write_side_by_side(tmp_path / "v.mp4", after, tmp_path / "both.mp4", is_quiet=True)
    both = read_video(tmp_path / "both.mp4").frames
    height, width = frames.shape[1:3]
    for number, frame in enumerate(both):
        shown = frame[-height:] if len(frame) < 2 * height else frame
        assert number_in(np.ascontiguousarray(shown[-height:, -width:])) == number
    assert len(both) == 30
    np.testing.assert_array_equal(read_sound(tmp_path / "both.mp4", 16_000), read_sound(after, 16_000))
    assert read_provenance(tmp_path / "both.mp4").settings == {"side_by_side": True}


def test_a_turned_video_stands_upright(tmp_path: Path) -> None:
    frames = np.zeros((5, 64, 96, 3), np.uint8)
    frames[:, :, :48] = 200
    write_video(tmp_path / "v.mp4", frames, 25, crf=4)
    turned = with_matrix(tmp_path / "v.mp4", (0, 1), (-1, 0))
    upright = read_video(turned).frames
    assert upright.shape == (5, 96, 64, 3)
    write_side_by_side(turned, edit_of(tmp_path / "a.mp4", upright), tmp_path / "both.mp4", is_quiet=True)
    picture = read_video(tmp_path / "both.mp4").frames[0][-96:, :64]
    assert np.abs(picture.astype(int) - upright[0]).mean() < 6


def test_a_video_shorter_than_its_edit_runs_there_and_back(tmp_path: Path) -> None:
    frames = np.stack([grey(64, 64, level) for level in (20, 90, 160)])
    write_video(tmp_path / "v.mp4", frames, 25, crf=4)
    after = edit_of(tmp_path / "after.mp4", np.stack([grey(64, 64)] * 6))
    write_side_by_side(tmp_path / "v.mp4", after, tmp_path / "both.mp4", is_quiet=True)
    levels = [frame[-32, 32, 0] for frame in read_video(tmp_path / "both.mp4").frames]
    np.testing.assert_allclose(levels, [20, 90, 160, 160, 90, 20], atol=4)


def test_a_video_that_is_no_edit_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", np.zeros((3, 64, 64, 3), np.uint8), 25)
    with pytest.raises(UserError, match="says nothing of an edit"):
        write_side_by_side(tmp_path / "v.mp4", tmp_path / "v.mp4", tmp_path / "both.mp4")


@pytest.fixture
def request_(darkening: Path, tmp_path: Path, sounds: dict[str, list[Path]]) -> EditRequest:
    return EditRequest(
        darkening, tuple(sounds["speech"]), tmp_path / "o.mp4", tuple(sounds["neutral_speech"]),
        options=EditOptions(is_quiet=True, is_marked=True), side_by_side=tmp_path / "both.mp4",
    )  # fmt: skip


def test_a_request_writes_both(request_: EditRequest, editor: Editor, tmp_path: Path) -> None:
    report = perform(request_, editor)
    both = VideoFile(tmp_path / "both.mp4")
    assert (len(both), both.fps, both.width) == (report.num_frames, report.fps, report.width_px)
    assert read_provenance(tmp_path / "both.mp4").settings == {"is_marked": True, "side_by_side": True}


def test_an_end_in_the_middle_leaves_neither(request_: EditRequest, editor: Editor, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())

    def end(label: str, done: int, total: int | None) -> None:
        if label == "showing both" and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        perform(request_, editor, end)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("o.mp4", "--side-by-side is --out"),
        ("dark.mp4", "--side-by-side is the video itself"),
        ("both.mov", "--side-by-side .*both.mov: expected a name that ends in .mp4"),
    ],
)
def test_a_place_that_cannot_be_is_told_before_anything_slow(
    request_: EditRequest, editor: Editor, tmp_path: Path, name: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        perform(replace(request_, side_by_side=tmp_path / name), editor)
    assert not (tmp_path / "o.mp4").exists()
