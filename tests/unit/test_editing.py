from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from cmet.connector.bundle import BundleConfig, load_bundle, save_bundle
from cmet.connector.network import Connector
from cmet.editing import Editor, edit_video, sound_files
from cmet.errors import UserError
from cmet.media import VideoFile, read_audio, read_video, write_audio, write_video
from cmet.media.landmarks import track_landmarks
from cmet.params import NetworkParams
from cmet.speech.scaling import SpeechScaling
from tests.unit.backbones.faces import made_model


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.2, 0.2, int(16_000 * seconds))


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Editor:
    """An untrained connector on a made basis: what it changes means nothing, that and where it changes does."""
    folder = tmp_path_factory.mktemp("model")
    network = NetworkParams(hidden=32, num_layers=1, num_heads=2, feedforward=32, window=5, dropout=0.0)
    config = BundleConfig(
        backbone="facemesh", speech_encoder="opensmile", expression_width=6, speech_width=88, network=network,
        step=0, seed=0, held_out_emotion=None,
    )  # fmt: skip
    connector = Connector(network, 6, 88)
    save_bundle(folder, connector.state_dict(), config, SpeechScaling.none(88), np.full(88, 3.0))
    (folder / "backbone").mkdir()
    made_model(num_components=6).save(folder / "backbone")
    assert load_bundle(folder).config == config
    return Editor.load(folder)


@pytest.fixture
def sounds(tmp_path: Path) -> dict[str, list[Path]]:
    for name, seed in (("happy", 1), ("calm", 2)):
        write_audio(tmp_path / f"{name}.wav", noise(1.0, seed), 16_000)
    return {"speech": [tmp_path / "happy.wav"], "neutral_speech": [tmp_path / "calm.wav"]}


def no_video(path: Path) -> None:
    path.write_text("hello")


def no_face(path: Path) -> None:
    write_video(path, np.full((20, 128, 128, 3), 90, np.uint8), 25)


def cut_in_half(path: Path) -> None:
    write_video(path, np.random.default_rng(0).integers(0, 255, (40, 128, 128, 3), np.uint8), 25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("make", "said"),
    [(no_video, "cannot be decoded"), (no_face, "no face found"), (cut_in_half, r"declares 40 frames and holds \d+")],
)
def test_a_video_that_cannot_be_edited_is_one_message_and_leaves_nothing(
    tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]], make: Callable[[Path], None], said: str
) -> None:
    video, out = tmp_path / "video.mp4", tmp_path / "out.mp4"
    make(video)
    with pytest.raises(UserError, match=f"video.mp4.*{said}"):
        edit_video(video, **sounds, out=out, editor=editor, quiet=True)
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
    soundfile.write(bad, samples, rate_hz, subtype="FLOAT")
    with pytest.raises(UserError, match=f"--speech: .*{said}"):
        edit_video(tmp_path / "v.mp4", [bad], sounds["neutral_speech"], tmp_path / "out.mp4", editor)


def test_six_channels_at_48_khz_are_heard_like_any_other(tmp_path: Path, editor: Editor) -> None:
    wide = np.repeat(noise(1.5)[:, None], 6, axis=1)
    soundfile.write(tmp_path / "wide.wav", wide, 48_000, subtype="PCM_16")
    assert editor.embed([tmp_path / "wide.wav"], "--speech").shape == (1, 88)


def test_a_model_for_another_backbone_is_refused(editor: Editor) -> None:
    with pytest.raises(UserError, match="trained for backbone 'facemesh', not 'edtalk'"):
        Editor.load(editor.bundle.folder, backbone="edtalk")


def test_a_folder_of_speech_means_its_sound_files(tmp_path: Path, sounds: dict[str, list[Path]]) -> None:
    (tmp_path / "notes.txt").touch()
    assert [path.name for path in sound_files([tmp_path])] == ["calm.wav", "happy.wav"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no sound file in this folder"):
        sound_files([tmp_path / "empty"])


def test_a_real_video_keeps_size_rate_sound_and_surroundings(
    real: Path, tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]]
) -> None:
    video, out = tmp_path / "short.mp4", tmp_path / "out.mp4"
    source = real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4"
    frames = read_video(source, range(30)).frames
    # a face in the left half of a wide picture, at a rate that is not the model's
    wide = np.concatenate([frames, np.full((30, 256, 200, 3), 60, np.uint8)], axis=2)
    write_video(video, wide, 30, sounds["speech"][0], crf=4)
    report = edit_video(video, **sounds, out=out, editor=editor, strength=3.0, quiet=True)
    edited = VideoFile(out)
    assert (report.num_frames, edited.fps, edited.width, edited.height) == (30, 30, 456, 256)
    assert report.mean_change > 0
    np.testing.assert_array_equal(read_audio(out, 16_000), read_audio(video, 16_000))
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
        edit_video(tmp_path / "two.mp4", **sounds, out=tmp_path / "out.mp4", editor=editor, quiet=True)


def test_the_output_may_not_be_the_video(tmp_path: Path, editor: Editor, sounds: dict[str, list[Path]]) -> None:
    with pytest.raises(UserError, match="--out is the video itself"):
        edit_video(tmp_path / "v.mp4", **sounds, out=tmp_path / "v.mp4", editor=editor)
