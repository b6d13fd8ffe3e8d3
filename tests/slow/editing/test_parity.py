"""The authors' procedure, against its parts one frame at a time (`edtalk_procedure.py`)."""

from collections.abc import Iterator
from io import BytesIO
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fill import images, normal, waveform
from PIL import Image

from cmet.backbones.edtalk.audio2lip import lips_from_speech
from cmet.backbones.edtalk.encoder import Encoder
from cmet.backbones.edtalk.generator import EXPRESSION
from cmet.backbones.edtalk.loading import load_audio2lip
from cmet.backbones.edtalk.rendering import Renderer
from cmet.editing.editor import Editor
from cmet.editing.parity import published_coefficients as scheduled
from cmet.editing.parity import source_picture, stretched, video_picture
from cmet.editing.video import edit_video
from cmet.editing.wishes.options import EditOptions
from cmet.errors import UserError
from cmet.media.sound import read_sound, write_sound
from cmet.media.video import VideoFile, read_video, write_video
from tests import edtalk_procedure
from tests.edtalk_procedure import published_coefficients, published_frame
from tests.filled_weights import narrow_edtalk, write_filled_weights
from tests.unit.editing.models import noise, write_model


@pytest.fixture
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published procedure reads a picture anew for every frame that needs it, with the same result."""
    read = edtalk_procedure.published_encoding
    known: dict[bytes, tuple[torch.Tensor, list[torch.Tensor]]] = {}

    def encoding(encoder: Encoder, pictures_13HW: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        name = pictures_13HW.numpy().tobytes()
        known[name] = known.get(name) or read(encoder, pictures_13HW)
        return known[name]

    monkeypatch.setattr(edtalk_procedure, "published_encoding", encoding)


@pytest.mark.slow
@pytest.mark.usefixtures("read_once")
def test_the_frames_of_an_edit_are_those_of_the_published_procedure() -> None:
    """30 frames, the first 21 edited, one kept, two frames of lips: its expression on poses 0 and 1."""
    generator = narrow_edtalk()
    pictures = images("parity/video", 2, 256)
    change = 0.3 * normal("parity/change", (21, 10), 1.0)
    lips = normal("parity/lips", (2, 20), 0.5)
    edited = published_coefficients(generator, pictures[:1])[:, EXPRESSION] + change[:1]
    expected = torch.cat(
        [published_frame(generator, pictures[:1], pictures[[frame]], lips[[frame]], edited) for frame in range(2)]
    ).clamp(-1, 1)
    expected = ((expected - expected.min()) / (expected.max() - expected.min()) * 255).type(torch.uint8)

    renderer = Renderer(generator)
    track = renderer.coefficients(pictures)[torch.arange(30) % 2]
    batches = renderer.render(renderer.source(pictures[0]), scheduled(track, change, lips))
    found = np.stack(list(stretched(chain.from_iterable(batches), BytesIO())))
    difference = np.abs(found.astype(int) - expected.permute(0, 2, 3, 1).numpy())
    # a value right at the border between two bytes may fall to either side
    assert difference.max() <= 1 and (difference > 0).mean() < 2e-3


def test_brightness_is_stretched_over_the_whole_clip() -> None:
    pictures = [torch.full((3, 2, 2), value) for value in (-3.0, -0.5, 0.0, 0.5)]
    found = [int(frame[0, 0, 0]) for frame in stretched(pictures, BytesIO())]
    assert found == [0, 85, 170, 255]
    flat = list(stretched([torch.full((3, 2, 2), 0.25)] * 2, BytesIO()))
    assert len(flat) == 2 and not flat[0].any()


def test_a_person_of_another_size_is_resized_as_pil_does_and_256_pixels_are_kept() -> None:
    frame = ((images("parity/size", 1, 300)[0].permute(1, 2, 0).numpy() + 1) * 127).astype(np.uint8)
    expected = np.asarray(Image.fromarray(frame).resize((256, 256)), np.float32) / 127.5 - 1
    difference = np.abs(source_picture(frame).permute(1, 2, 0).numpy() - expected)
    assert difference.max() <= 1.01 / 127.5 and (difference > 1e-6).mean() < 0.01
    same = cv2.resize(frame, (256, 256))
    for picture in (source_picture(same), video_picture(same)):
        np.testing.assert_allclose(picture.permute(1, 2, 0).numpy(), same / 127.5 - 1, atol=1e-6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, filled: Path) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("model")
    write_model(folder, "edtalk", 10, "opensmile", 88)
    write_filled_weights(filled, "edtalk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMET_WEIGHTS", str(filled))
        patch.setattr("cmet.backbones.edtalk.model.load_generator", lambda _: narrow_edtalk())
        yield Editor.load(folder)


@pytest.mark.slow
def test_a_whole_edit_has_the_rate_of_the_video_and_the_length_of_the_sound(
    tmp_path: Path, model: Editor, sounds: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # every 13th face is read, half a second each, and stands for those that follow
    read = Renderer.coefficients
    monkeypatch.setattr(
        Renderer, "coefficients", lambda self, pictures: read(self, [*pictures][::13]).repeat_interleave(13, 0)
    )
    frames = np.random.default_rng(0).integers(0, 255, (26, 4, 4, 3), np.uint8)
    frames = np.stack([cv2.resize(frame, (128, 128)) for frame in frames])
    write_video(tmp_path / "v.mp4", frames, 30)
    write_sound(tmp_path / "lips.wav", waveform("parity/lips", 0.125), 16_000)
    out = tmp_path / "out.mp4"
    options = EditOptions(is_parity=True, is_quiet=True, lips=tmp_path / "lips.wav")
    report = edit_video(tmp_path / "v.mp4", **sounds, out=out, editor=model, options=options)
    file = VideoFile(out)
    assert (report.num_frames, len(file), file.fps, file.width, file.height) == (3, 3, 30, 256, 256)
    assert report.face_ratio is None and report.clamped_share == 0 and report.strength == 1
    assert report.remarks == (f"{tmp_path / 'v.mp4'} is 128x128; its frames were resized to 256x256",)
    written = read_video(out).frames
    assert written.min() < 12 and written.max() > 243
    assert len(read_sound(out, 16_000)) == pytest.approx(2000, abs=2048)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".mp4"] * 2 + [".wav"] * 3


@pytest.mark.slow
def test_person_lips_and_sound_may_come_from_three_other_files(
    tmp_path: Path, model: Editor, sounds: dict[str, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (26, 64, 64, 3), np.uint8)
    write_video(tmp_path / "v.mp4", frames, 30)
    write_video(tmp_path / "lips.mp4", frames[:2], 25)
    person = frames[0].repeat(2, 0).repeat(2, 1)
    Image.fromarray(person).save(tmp_path / "person.png")
    drawn: list[torch.Tensor] = []
    encode = Renderer.source
    monkeypatch.setattr(Renderer, "source", lambda self, picture: drawn.append(picture) or encode(self, picture))
    # what the faces do is of no matter here, and 28 of them take long to read
    monkeypatch.setattr(Renderer, "coefficients", lambda self, pictures: torch.zeros(sum(1 for _ in pictures), 36))
    options = EditOptions(
        is_parity=True,
        is_quiet=True,
        lips=tmp_path / "lips.mp4",
        source=tmp_path / "person.png",
        sound=sounds["speech"][0],
    )
    report = edit_video(tmp_path / "v.mp4", **sounds, out=tmp_path / "out.mp4", editor=model, options=options)
    assert report.num_frames == len(VideoFile(tmp_path / "out.mp4")) == 2
    assert len(read_sound(tmp_path / "out.mp4", 16_000)) == pytest.approx(16_000, abs=2048)
    torch.testing.assert_close(drawn[0], source_picture(person))
    said = ["person.png is 128x128; it was", "v.mp4 is 64x64; its frames were", "lips.mp4 is 64x64; its frames were"]
    for remark in said:
        assert any(remark in found for found in report.remarks)
    assert f"{sounds['speech'][0]} lasts 1.0 s, but the pictures last 0.1 s" in report.remarks


def test_lips_are_smoothed_with_zeros_beyond_the_ends(filled: Path) -> None:
    write_filled_weights(filled, "edtalk")
    network = load_audio2lip(filled)
    lips, held = (lips_from_speech(network, noise(0.4), holds_ends=holds) for holds in (False, True))
    assert (lips[[0, -1]] != held[[0, -1]]).all() and (lips[1:-1] == held[1:-1]).all()


@pytest.mark.parametrize(
    ("num_frames", "sound_s", "lips", "said"),
    [
        (24, 1.0, None, "--parity: 20 frames can be edited, but .* the last 20"),
        (3, 1.0, None, "--parity: 0 frames can be edited"),
        (26, None, None, "has no sound track; give the lips a sound"),
        (26, None, 0.03, r"0\.030 s of sound, but a frame of lips needs 0\.04 s"),
    ],
)
def test_what_parity_cannot_do_is_one_message_and_leaves_nothing(
    tmp_path: Path,
    model: Editor,
    sounds: dict[str, list[Path]],
    num_frames: int,
    sound_s: float | None,
    lips: float | None,
    said: str,
) -> None:
    write_sound(tmp_path / "own.wav", noise(sound_s or lips or 1.0), 16_000)
    frames = np.zeros((num_frames, 64, 64, 3), np.uint8)
    write_video(tmp_path / "v.mp4", frames, 25, tmp_path / "own.wav" if sound_s else None)
    options = EditOptions(is_parity=True, is_quiet=True, lips=tmp_path / "own.wav" if lips else None)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=said):
        edit_video(tmp_path / "v.mp4", **sounds, out=tmp_path / "out.mp4", editor=model, options=options)
    assert sorted(tmp_path.rglob("*")) == before


def test_parity_takes_frames_as_they_are(tmp_path: Path, model: Editor, sounds: dict[str, list[Path]]) -> None:
    options = EditOptions(is_parity=True, framing="paste")
    with pytest.raises(UserError, match="leave out --framing paste"):
        edit_video(tmp_path / "v.mp4", **sounds, out=tmp_path / "out.mp4", editor=model, options=options)
