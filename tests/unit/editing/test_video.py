import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from errno import ENOSPC
from fractions import Fraction
from pathlib import Path
from shutil import copyfile

import av
import numpy as np
import pytest
import soundfile
from PIL import Image

from cmet.editing.editor import Editor
from cmet.editing.result import writing
from cmet.editing.video import edit_video
from cmet.editing.wishes.options import EditOptions, shares_of
from cmet.editing.wishes.timeline import Segment, Timeline
from cmet.errors import ClipError, UserError
from cmet.media.files import open_media
from cmet.media.landmarks import track_landmarks
from cmet.media.sound import read_sound, write_sound
from cmet.media.video import VideoFile, read_video, write_video
from tests.unit.editing.models import noise
from tests.unit.media.making import encode, with_matrix
from tests.unit.media.patches import shown

QUIET = EditOptions(is_quiet=True)


def no_video(path: Path) -> None:
    path.write_text("hello")


def no_face(path: Path) -> None:
    write_video(path, np.full((20, 128, 128, 3), 90, np.uint8), 25)


def too_wide(path: Path) -> None:
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 20_000, 16, "yuv420p"
        container.mux([*stream.encode(av.VideoFrame(20_000, 16, "yuv420p")), *stream.encode(None)])


def cut_in_half(path: Path) -> None:
    write_video(path, np.random.default_rng(0).integers(0, 255, (40, 128, 128, 3), np.uint8), 25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_video, "cannot be decoded"),
        (no_face, "no face found"),
        (cut_in_half, r"declares 40 frames but holds \d+"),
        (too_wide, "has frames of 20000x16; at most 36 megapixels and 16384 pixels a side"),
    ],
)
def test_a_video_that_cannot_be_edited_is_one_message_and_leaves_nothing(
    tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]], make: Callable[[Path], None], said: str
) -> None:
    video, out = tmp_path / "video.mp4", tmp_path / "out.mp4"
    make(video)
    with pytest.raises(UserError, match=f"video.mp4.*{said}"):
        edit_video(video, **sounds, out=out, editor=editor, options=QUIET)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calm.wav", "happy.wav", "video.mp4"]


@pytest.mark.parametrize(
    ("samples", "rate_hz", "said"),
    [
        (np.zeros(0), 16_000, "no samples"),
        (noise(0.1), 16_000, r"0\.10 s of speech"),
        (np.full(16_000, np.nan), 16_000, "NaN"),
    ],
)
def test_speech_that_cannot_be_heard_is_one_message(
    tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]], samples: np.ndarray, rate_hz: int, said: str
) -> None:
    bad = tmp_path / "bad.wav"
    no_face(tmp_path / "v.mp4")
    soundfile.write(bad, samples, rate_hz, subtype="FLOAT")
    with pytest.raises(UserError, match=f"--speech: [^:]*bad.wav[: ].*{said}"):
        edit_video(tmp_path / "v.mp4", [bad], sounds["neutral_speech"], tmp_path / "out.mp4", editor)


def test_a_real_video_keeps_size_rate_sound_and_surroundings(
    real: Path, tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]]
) -> None:
    video, out = tmp_path / "short.mp4", tmp_path / "out.mp4"
    source = real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4"
    frames = read_video(source, range(30)).frames
    # a face in the left half of a wide picture, at a rate that is not the model's
    wide = np.concatenate([frames, np.full((30, 256, 200, 3), 60, np.uint8)], axis=2)
    write_video(video, wide, 30, sounds["speech"][0], crf=4)
    report = edit_video(video, **sounds, out=out, editor=editor, options=EditOptions(strength=3.0, is_quiet=True))
    edited = VideoFile(out)
    assert (report.num_frames, edited.fps, edited.width, edited.height) == (30, 30, 456, 256)
    assert report.mean_change > 0 and report.strength == 3.0
    np.testing.assert_array_equal(read_sound(out, 16_000), read_sound(video, 16_000))
    before, after = read_video(video).frames.astype(int), read_video(out).frames.astype(int)
    landmarks = track_landmarks(read_video(video).frames)[:, :, :2]
    assert np.abs(after - before)[:, :, 300:].max() <= 6
    left, top = landmarks.min(axis=(0, 1)).astype(int)
    right, bottom = landmarks.max(axis=(0, 1)).astype(int)
    assert np.abs(after - before)[:, top:bottom, left:right].mean() > 2 * np.abs(after - before)[:, :, 300:].mean()


def test_two_faces_are_refused(real: Path, tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]]) -> None:
    frames = read_video(real / "clips/mead_happy_cropped.mp4", range(20)).frames
    write_video(tmp_path / "two.mp4", np.concatenate([frames, frames[:, :, ::-1]], axis=2), 25)
    with pytest.raises(UserError, match="two faces"):
        edit_video(tmp_path / "two.mp4", **sounds, out=tmp_path / "out.mp4", editor=editor, options=QUIET)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (EditOptions(framing="crop"), "--framing crop: facemesh changes frames in place"),
        (
            EditOptions(source=Path("p.png")),
            "--source p.png: facemesh changes the video's own face; leave --source out",
        ),
        (EditOptions(lips="speech"), "--lips speech: facemesh keeps the lips of the video"),
        (EditOptions(is_parity=True), "--parity: the authors' procedure is for edtalk, but this model is for facemesh"),
    ],
)
def test_what_facemesh_cannot_do_is_refused(
    tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]], options: EditOptions, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        edit_video(tmp_path / "v.mp4", **sounds, out=tmp_path / "out.mp4", editor=editor, options=options)


def test_the_output_may_not_be_the_video(tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]]) -> None:
    with pytest.raises(UserError, match="--out is the video itself"):
        edit_video(tmp_path / "v.mp4", **sounds, out=tmp_path / "v.mp4", editor=editor)


class Toy:
    """Sees how bright a frame is, and draws a plain square: that in red, what the lips follow in green."""

    name = "toy"
    width = 6
    picture_px: int | None = 64
    view = (0.25, 0.0, 0.75, 0.5)
    keeps_lips = True
    hears = True
    speech_weights = ()

    def track(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        return np.array([[frame.mean(), 50] + [0] * 6 for frame in frames], np.float32)

    def encode(self, track: np.ndarray) -> np.ndarray:
        return track[:, 2:]

    def render(self, frames: Iterable[np.ndarray], track: np.ndarray, codes: np.ndarray) -> Iterator[np.ndarray]:
        self.person = next(iter(frames))
        assert self.person.shape == (64, 64, 3)
        for brightness, lips, *_ in track:
            yield np.full((64, 64, 3), [brightness, lips, 0], np.uint8)

    def with_speech(self, track: np.ndarray, samples: np.ndarray, fps: float) -> np.ndarray:
        track[:, 1] = 150
        return track

    def with_lips(self, track: np.ndarray, lips: np.ndarray) -> np.ndarray:
        track[:, 1] = 100 + lips[:, 0]
        return track


@pytest.fixture
def toy(editor: Editor) -> Editor:
    made = Toy()
    return replace(editor, kind=made, opens=lambda: made)  # type: ignore[arg-type]


def shades(path: Path, column: int, channel: int) -> np.ndarray:
    return read_video(path).frames[:, 60:80, column : column + 10, channel].astype(float).mean(axis=(1, 2))


def test_a_square_is_pasted_into_a_wide_picture_of_which_the_rest_stays(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    out = tmp_path / "out.mp4"
    report = edit_video(darkening, **sounds, out=out, editor=toy, options=QUIET)
    assert (report.num_frames, report.fps, report.width_px, report.height_px) == (7, 30, 456, 256)
    assert (report.strength, report.has_typical_unit, report.face_ratio) == (1.0, False, 1.0)
    before, after = read_video(darkening).frames.astype(int), read_video(out).frames.astype(int)
    assert np.abs(after - before)[:, :, 300:].max() <= 8
    # 64x64 pictures are shown in the upper middle of the square; below lies the untouched chin
    assert np.abs(after - before)[:, 240:, :256].max() <= 30
    np.testing.assert_allclose(shades(out, 120, 1), 50, atol=6)
    np.testing.assert_array_equal(read_sound(out, 16_000), read_sound(darkening, 16_000))


def test_lips_from_a_longer_sound_go_there_and_back_over_face_and_background(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    write_sound(tmp_path / "long.wav", noise(17 / 30, 5), 16_000)
    out, options = tmp_path / "out.mp4", replace(QUIET, lips=tmp_path / "long.wav")
    report = edit_video(darkening, **sounds, out=out, editor=toy, options=options)
    assert report.num_frames == 17
    order = [*range(7), *range(6, -1, -1), 0, 1, 2]
    np.testing.assert_allclose(shades(out, 400, 0), shades(darkening, 400, 0)[order], atol=3)
    red = shades(out, 120, 0)
    assert (np.diff(red[:7]) < -3).all() and (np.diff(red[7:14]) > 3).all()
    np.testing.assert_allclose(red[7:14], red[6::-1], atol=3)
    np.testing.assert_allclose(shades(out, 120, 1), 150, atol=6)
    assert len(read_sound(out, 16_000)) == pytest.approx(16_000 * 17 / 30, abs=2048)


def test_lips_from_a_shorter_video_of_another_rate_cut_the_result(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    write_video(tmp_path / "lips.mp4", read_video(darkening, range(3)).frames, 15, sounds["speech"][0])
    out, options = tmp_path / "out.mp4", replace(QUIET, lips=tmp_path / "lips.mp4", framing="crop")
    report = edit_video(darkening, **sounds, out=out, editor=toy, options=options)
    assert (report.num_frames, report.fps, report.width_px, report.height_px) == (6, 30, 64, 64)
    green = read_video(out).frames[..., 1].mean(axis=(1, 2))
    assert (np.diff(green[:5]) < -1).all()  # as the brightness of the lip video


def test_speech_drives_the_lips_where_they_are_not_read_off_pictures(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    toy.backbone.keeps_lips = False
    edit_video(darkening, **sounds, out=tmp_path / "out.mp4", editor=toy, options=QUIET)
    np.testing.assert_allclose(shades(tmp_path / "out.mp4", 120, 1), 150, atol=6)
    write_video(tmp_path / "mute.mp4", read_video(darkening).frames, 30)
    with pytest.raises(UserError, match=r"mute.mp4 has no sound track; give the lips a sound .*: --lips FILE"):
        edit_video(tmp_path / "mute.mp4", **sounds, out=tmp_path / "o.mp4", editor=toy, options=QUIET)
    with pytest.raises(UserError, match="--lips own: toy cannot read lips from pictures"):
        options = replace(QUIET, lips="own")
        edit_video(darkening, **sounds, out=tmp_path / "o.mp4", editor=toy, options=options)
    with pytest.raises(UserError, match=r"--lips .*none.wav: no such file"):
        options = replace(QUIET, lips=tmp_path / "none.wav")
        edit_video(darkening, **sounds, out=tmp_path / "o.mp4", editor=toy, options=options)
    assert not (tmp_path / "o.mp4").exists()


def test_a_face_square_of_another_size_is_resized_and_that_is_said(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    write_video(tmp_path / "square.mp4", read_video(darkening, [0]).frames[:, :, :256], 25)
    options = replace(QUIET, framing="as-is")
    report = edit_video(tmp_path / "square.mp4", **sounds, out=tmp_path / "out.mp4", editor=toy, options=options)
    assert (report.num_frames, report.width_px, report.height_px) == (1, 64, 64)
    assert report.remarks == (f"{tmp_path / 'square.mp4'} is 256x256; its frames were resized to 64x64",)


def test_frames_before_the_face_comes_stay_and_the_person_is_the_first_frame_that_shows_it(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    face = read_video(darkening, [0] * 16).frames
    write_video(tmp_path / "late.mp4", np.concatenate([np.full_like(face[:5], 90), face]), 25, crf=4)
    report = edit_video(tmp_path / "late.mp4", **sounds, out=tmp_path / "out.mp4", editor=toy, options=QUIET)
    assert report.num_frames == 21 and report.face_ratio == pytest.approx(16 / 21)
    before, after = read_video(tmp_path / "late.mp4").frames.astype(int), read_video(tmp_path / "out.mp4").frames
    change = np.abs(after - before)[:, 60:80, 120:130].mean(axis=(1, 2, 3))
    assert change[:5].max() < 3 and (np.diff(change[4:10]) > 0).all() and change[9:].min() > 10
    assert toy.backbone.person.std() > 20


def picture(path: Path, frame: np.ndarray) -> Path:
    Image.fromarray(frame).save(path)
    return path


@pytest.mark.parametrize("name", ["person.png", "person.mp4"])
def test_another_person_is_cut_out_and_pasted_into_the_video(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path, name: str
) -> None:
    """The face stands at the right, in a video from its fourth frame on."""
    frame = read_video(darkening, [0]).frames[0][:, ::-1].copy()
    frame[60:80, -150:-140] = [0, 255, 0]  # told apart from the video's own
    blank = np.full_like(frame, 90)
    if name.endswith("png"):
        picture(tmp_path / name, frame)
    else:
        write_video(tmp_path / name, [blank, blank, blank, frame, blank], 25, crf=4)
    options = replace(QUIET, source=tmp_path / name)
    report = edit_video(darkening, **sounds, out=tmp_path / "out.mp4", editor=toy, options=options)
    assert (report.num_frames, report.width_px, report.height_px, report.remarks) == (7, 456, 256, ())
    red, green, _ = toy.backbone.person.reshape(-1, 3).astype(int).T
    assert 1 <= (green > red + 100).sum() <= 64
    np.testing.assert_allclose(shades(tmp_path / "out.mp4", 120, 1), 50, atol=6)


def test_another_person_is_taken_whole_where_frames_are_taken_as_they_are(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    write_video(tmp_path / "square.mp4", read_video(darkening, [0]).frames[:, :, :256], 25)
    person = picture(tmp_path / "drawing.png", np.full((80, 96, 3), [200, 10, 90], np.uint8))
    options = replace(QUIET, source=person, framing="as-is")
    report = edit_video(tmp_path / "square.mp4", **sounds, out=tmp_path / "out.mp4", editor=toy, options=options)
    assert (toy.backbone.person == [200, 10, 90]).all()
    assert report.remarks[1] == f"{person} is 96x80; it was resized to 64x64"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.full((64, 64, 3), 90, np.uint8), "no face found; name a picture"),
        (b"hello", r"cannot be decoded \(it holds neither video nor sound of its own\)"),
        (None, "no such file"),
    ],
)
def test_a_person_who_cannot_be_drawn_is_one_message(
    tmp_path: Path,
    toy: Editor,
    sounds: dict[str, list[Path]],
    darkening: Path,
    content: np.ndarray | bytes | None,
    said: str,
) -> None:
    path = tmp_path / "person.png"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        picture(path, content)
    with pytest.raises(UserError, match=f"^--source {path}:? {said}"):
        options = replace(QUIET, source=path)
        edit_video(darkening, **sounds, out=tmp_path / "o.mp4", editor=toy, options=options)


@pytest.mark.parametrize("name", ["toy", "editor"])
def test_the_sound_of_the_result_may_be_another(
    request: pytest.FixtureRequest, tmp_path: Path, sounds: dict[str, list[Path]], darkening: Path, name: str
) -> None:
    write_sound(tmp_path / "other.wav", noise(1.0, 9), 16_000)
    editor, options = request.getfixturevalue(name), replace(QUIET, sound=tmp_path / "other.wav")
    report = edit_video(darkening, **sounds, out=tmp_path / "out.mp4", editor=editor, options=options)
    assert len(read_sound(tmp_path / "out.mp4", 16_000)) == pytest.approx(16_000, abs=2048)
    assert report.remarks == (f"{tmp_path / 'other.wav'} lasts 1.0 s, but the pictures last 0.2 s",)


def test_names_that_look_like_addresses_are_edited(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    named = {name: [Path(f"{name}:caf\udce9")] for name in sounds}
    for name, (path,) in sounds.items():
        named[name][0].mkdir()
        path.rename(named[name][0] / "http:x.wav")
    video, sound, lips = (Path(f"{name}\udce9.mp4") for name in ("12:30", "file:sound", "data:lips"))
    copyfile(darkening, sound)
    copyfile(darkening, lips)
    darkening.rename(video)
    options = replace(QUIET, sound=sound, lips=lips, source=video)
    report = edit_video(video, **named, out=Path("run:1/out.mp4"), editor=toy, options=options)
    assert len(VideoFile(tmp_path / "run:1/out.mp4")) == report.num_frames


def test_sound_that_nothing_decodes_costs_a_remark_and_not_the_picture(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    video = tmp_path / "v.mkv"
    with open_media(darkening) as source, av.open(str(video), "w") as target:
        tracks = {track.index: target.add_stream_from_template(track) for track in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = tracks[packet.stream_index]
                target.mux(packet)
    video.write_bytes(video.read_bytes().replace(b"A_AAC", b"A_NEW"))
    report = edit_video(video, **sounds, out=tmp_path / "out.mp4", editor=toy, options=replace(QUIET, lips="own"))
    assert report.remarks == (
        f"the result has no sound: the sound of {video} is in an unknown format; name one with --sound",
    )


def test_what_a_folder_of_speech_holds_besides_is_told(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    folder = tmp_path / "speech"
    folder.mkdir()
    sounds["speech"][0].rename(folder / "happy.wav")
    for name in ("._happy.wav", ".DS_Store", "notes.txt", "1.jpg", "2.jpg", "3.jpg", "4.jpg"):
        (folder / name).touch()
    speech = {"speech": [folder], "neutral_speech": sounds["neutral_speech"]}
    report = edit_video(darkening, **speech, out=tmp_path / "out.mp4", editor=toy, options=QUIET)
    first = ", ".join(str(folder / name) for name in ("._happy.wav", "1.jpg", "2.jpg", "3.jpg", "4.jpg"))
    assert report.remarks == (f"6 files are no video or sound and were passed over: {first} and 1 more",)


def test_a_lip_video_without_sound_is_remarked(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    mute = tmp_path / "mute.mp4"
    write_video(mute, read_video(darkening, range(3)).frames, 30)
    options = replace(QUIET, lips=mute)
    report = edit_video(darkening, **sounds, out=tmp_path / "out.mp4", editor=toy, options=options)
    assert report.remarks == (f"the result has no sound, since {mute} has none; name one with --sound",)
    options = replace(options, sound=tmp_path / "own.wav")
    report = edit_video(darkening, **sounds, out=tmp_path / "out.mp4", editor=toy, options=options)
    assert report.num_frames == 3 and len(read_sound(tmp_path / "out.mp4", 16_000))


def test_sound_that_lips_cannot_follow_is_told_before_the_face_is_looked_for(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_short(track: np.ndarray, samples: np.ndarray, fps: float) -> np.ndarray:
        raise ClipError("too_short", f"{len(samples)} samples")

    monkeypatch.setattr(toy.backbone, "with_speech", too_short, raising=False)
    no_face(tmp_path / "v.mp4")
    write_sound(tmp_path / "lips.wav", noise(0.01), 16_000)
    with pytest.raises(UserError, match=r"lips.wav: 160 samples"):
        options = replace(QUIET, lips=tmp_path / "lips.wav")
        edit_video(tmp_path / "v.mp4", **sounds, out=tmp_path / "o.mp4", editor=toy, options=options)


def test_a_full_disk_is_one_message_and_leaves_no_folder(
    tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]], darkening: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: object, **__: object) -> int:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    monkeypatch.setattr(writing, "write_video", write)
    out = tmp_path / "made/for/out.mp4"
    with pytest.raises(UserError, match=f"--out {out}: cannot be written .No space left on device.; make room"):
        edit_video(darkening, **sounds, out=out, editor=editor, options=QUIET)
    assert not (tmp_path / "made").exists()


def test_the_even_size_that_is_written_is_told(
    tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    picture(tmp_path / "odd.png", read_video(darkening, [0]).frames[0, :253, :255])
    with av.open(str(tmp_path / "odd.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 255, 253, "bgr0"
        frame = av.VideoFrame.from_image(Image.open(tmp_path / "odd.png"))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    report = edit_video(tmp_path / "odd.mkv", **sounds, out=tmp_path / "out.mp4", editor=editor, options=QUIET)
    written = VideoFile(tmp_path / "out.mp4")
    assert (report.width_px, report.height_px) == (written.width, written.height) == (256, 254)


@pytest.mark.parametrize("name", ["toy", "editor"])
def test_one_frame_can_be_edited(
    request: pytest.FixtureRequest, tmp_path: Path, sounds: dict[str, list[Path]], darkening: Path, name: str
) -> None:
    write_video(tmp_path / "one.mp4", read_video(darkening, [0]).frames, 25)
    editor = request.getfixturevalue(name)
    report = edit_video(tmp_path / "one.mp4", **sounds, out=tmp_path / "out.mp4", editor=editor, options=QUIET)
    assert report.num_frames == len(VideoFile(tmp_path / "out.mp4")) == 1


def test_several_emotions_go_along_the_video_and_each_is_reported(
    tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]], real: Path
) -> None:
    """Of two windows at 25 frames a second the first is edited and the second is the video's own."""
    own = read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", [0] * 10).frames
    write_video(tmp_path / "still.mp4", own, 25, crf=4)
    options = EditOptions(then=("neutral",), strength=5.0, is_quiet=True)
    report = edit_video(tmp_path / "still.mp4", **sounds, out=tmp_path / "out.mp4", editor=editor, options=options)
    speech, neutral = report.emotions
    assert (speech.name, speech.strength, neutral.name) == (str(sounds["speech"][0]), 5.0, "neutral")
    # a half without change takes the root mean square down by the root of two
    assert report.mean_change == pytest.approx(speech.mean_change / 2**0.5, rel=0.2)
    assert neutral.mean_change == 0 and report.likeness == {} and report.clamped_share == 0
    change = np.abs(read_video(tmp_path / "out.mp4").frames.astype(int) - own).mean(axis=(1, 2, 3))
    assert change[:5].min() > 1.5 * change[5:].max()


def test_a_video_too_short_for_the_emotions_is_told_before_the_face_is_read(
    tmp_path: Path, editor: Editor, toy: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    options = replace(QUIET, then=(sounds["speech"], "neutral"))
    said = "dark.mp4: 7 frames hold 2 .* 3 emotions"
    for each in (editor, toy):
        with pytest.raises(UserError, match=said):
            edit_video(darkening, **sounds, out=tmp_path / "out.mp4", editor=each, options=options)


def codes_drawn(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """The codes that its backbone is given to draw, from now on."""
    drawn: list[np.ndarray] = []
    render = editor.backbone.render
    monkeypatch.setattr(
        editor.backbone, "render", lambda frames, track, codes: drawn.append(codes) or render(frames, track, codes)
    )
    return drawn


def test_emotions_go_along_the_result_where_lips_make_it_longer_than_the_video(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """17 frames at 30 a second are three windows, of which the last is not changed; the video alone has two."""
    drawn = codes_drawn(toy, monkeypatch)
    write_sound(tmp_path / "long.wav", noise(17 / 30, 5), 16_000)
    options = replace(QUIET, lips=tmp_path / "long.wav", then=(sounds["speech"], "neutral"), strength=1.0)
    report = edit_video(darkening, **sounds, out=tmp_path / "out.mp4", editor=toy, options=options)
    assert report.num_frames == 17 and len(report.emotions) == 3
    # the toy's own codes are zeros, so these are the change
    (codes,) = drawn
    assert codes.shape == (17, 6) and codes[:12].any(axis=1).all() and not codes[12:].any()


def test_times_go_along_the_result_where_lips_make_it_longer_than_the_video(
    tmp_path: Path, toy: Editor, sounds: dict[str, list[Path]], darkening: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = codes_drawn(toy, monkeypatch)
    write_sound(tmp_path / "long.wav", noise(17 / 30, 5), 16_000)
    options = replace(QUIET, lips=tmp_path / "long.wav", transition="switch")
    speech, calm, out = sounds["speech"], sounds["neutral_speech"], tmp_path / "out.mp4"
    later = Timeline((Segment(0.3, 0.5, shares_of(speech)),))
    report = edit_video(darkening, later, calm, out, toy, options)
    assert report.num_frames == 17 and [(one.start_s, one.end_s) for one in report.emotions] == [(0.3, 0.5)]
    assert drawn[0].any(axis=1).tolist() == [9 <= frame < 17 for frame in range(17)]
    # one segment is a plain edit, whose codes go there and back
    edit_video(darkening, Timeline.of(speech), calm, out, toy, options)
    edit_video(darkening, speech, calm, out, toy, replace(options, transition=None))
    np.testing.assert_array_equal(drawn[1], drawn[2])
    with pytest.raises(UserError, match="^segment 1: ends at 0.7 s, but the video lasts 0.5667 s"):
        edit_video(darkening, Timeline((Segment(0.3, 0.7, shares_of(speech)),)), calm, out, toy, options)


def test_a_small_face_is_changed_and_all_else_stays(
    real: Path, tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]]
) -> None:
    face = read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", range(7)).frames
    frames = np.full((7, 720, 1280, 3), 90, np.uint8)
    frames[:, 100:228, 900:1028] = face[:, ::2, ::2]
    write_video(tmp_path / "small.mp4", frames, 30, sounds["speech"][0], crf=4)
    report = edit_video(
        tmp_path / "small.mp4", **sounds, out=tmp_path / "out.mp4", editor=editor, options=replace(QUIET, strength=3.0)
    )
    assert (report.width_px, report.height_px, report.face_ratio) == (1280, 720, 1)
    change = np.abs(read_video(tmp_path / "out.mp4").frames.astype(int) - read_video(tmp_path / "small.mp4").frames)
    assert change[:, 100:228, 900:1028].mean() > 0.5
    change[:, 84:244, 884:1044] = 0
    # the codec's
    assert change.max() <= 3


def test_the_result_is_shown_as_the_video_is(
    tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    # pixels twice as wide as high, mirrored
    frames = read_video(darkening).frames[:, :, ::-2]
    stored = encode(tmp_path / "in.mp4", frames, range(0, 7 * 40, 40), pixel_shape=Fraction(2))
    with_matrix(stored, right=(-1, 0), down=(0, 1))
    report = edit_video(stored, **sounds, out=tmp_path / "out.mp4", editor=editor, options=QUIET)
    assert (report.width_px, report.height_px) == (456, 256)
    first = read_video(tmp_path / "out.mp4", [0]).frames[0]
    # the grey side is on the right again
    assert np.abs(first[:, 270:].astype(int) - read_video(darkening, [0]).frames[0][:, 270:]).mean() < 8
    assert first[:, 270:].std() < 12 < first[:, :256].std()


def test_high_range_that_is_lost_is_told(
    tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]], darkening: Path
) -> None:
    frames = read_video(darkening).frames
    path = encode(tmp_path / "in.mp4", frames, range(0, 7 * 40, 40), tags=(9, 9, 18))
    report = edit_video(path, **sounds, out=tmp_path / "out.mp4", editor=editor, options=QUIET)
    (remark,) = report.remarks
    assert "in.mp4 has high range or wide colours (HLG, BT.2020)" in remark
    assert shown(tmp_path / "out.mp4")[1] == (6, 1, 1)
