"""A video is given the form of the clips that a model was trained on: frame rate, crop, size and sound."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cmet.backbones.frames import resampled
from cmet.clips.crop import CROP_RULES
from cmet.connector.card import read_config
from cmet.connector.inference import predict_deltas
from cmet.editing.editor import Editor, hearing_clips
from cmet.editing.emotions.known import KnownEmotion, check_num_windows
from cmet.editing.emotions.speech import hear
from cmet.editing.video import edit_video
from cmet.editing.wishes.options import EditOptions
from cmet.errors import ClipError, UserError
from cmet.media.sound import read_sound, write_sound
from cmet.media.video import read_video, write_video
from cmet.outputs import write_json
from cmet.params import PAPER_CLIPS
from cmet.speech.encoders.encoder import SpeechEncoder
from cmet.speech.encoders.registry import load_encoder
from tests.filled_weights import write_filled_weights
from tests.unit.backbones.faces import made_model
from tests.unit.editing.models import CLIPS, write_model

DELTA_S = np.ones(88, np.float32)


@pytest.fixture
def trained_on(tmp_path: Path) -> Callable[..., Editor]:
    """Facemesh with the same drawn weights always; what is said of its clips can be changed."""

    def made(**changes: Any) -> Editor:
        folder = tmp_path / f"model-{'-'.join(map(str, changes.values()))}"
        with torch.random.fork_rng():
            torch.manual_seed(0)
            write_model(folder, "facemesh", 6, "opensmile", 88, CLIPS.model_copy(update=changes))
        made_model(num_components=6).save(folder / "backbone")
        return Editor.load(folder)

    return made


# Frame rate


def test_codes_of_a_video_go_to_the_rate_of_the_training_and_back(trained_on: Callable[..., Editor]) -> None:
    editor = trained_on(fps=30)
    codes_TK = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    at_30 = resampled(codes_TK, 25.0, 60, 30.0)
    delta = predict_deltas(editor.bundle.connector, DELTA_S, at_30)
    expected = resampled(delta, 30.0, 50, 25.0)
    found = editor.predict_delta(codes_TK, 25.0, DELTA_S)
    np.testing.assert_array_equal(found, expected)
    # the same weights, trained at 25, take the codes as they are
    same = trained_on(fps=25)
    as_they_are = predict_deltas(same.bundle.connector, DELTA_S, codes_TK)
    np.testing.assert_array_equal(same.predict_delta(codes_TK, 25.0, DELTA_S), as_they_are)
    assert np.abs(found - as_they_are).max() > 1e-3
    # nothing is resampled where the video has the rate of the training
    np.testing.assert_array_equal(editor.predict_delta(codes_TK, 30.0, DELTA_S), as_they_are)


def test_windows_are_counted_at_the_rate_of_the_training(trained_on: Callable[..., Editor]) -> None:
    editor = trained_on(fps=50)
    # 10 frames at 25 a second are 20 at 50: four windows of five
    assert (editor.num_windows(10, 25.0), trained_on(fps=25).num_windows(10, 25.0)) == (4, 2)
    emotions = [KnownEmotion(name, None, None) for name in "abcde"]
    with pytest.raises(ClipError, match=r"10 frames hold 4 window\(s\) of 0.1 s, but each of the 5 emotions needs one"):
        check_num_windows(editor, emotions, 10, 25.0)


def test_a_video_of_another_rate_is_edited_at_its_own(
    real: Path, tmp_path: Path, trained_on: Callable[..., Editor], sounds: dict[str, list[Path]]
) -> None:
    frames = read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", range(15)).frames
    write_video(tmp_path / "video.mp4", frames, 25, sounds["speech"][0], crf=4)
    reports = [
        edit_video(tmp_path / "video.mp4", **sounds, out=tmp_path / "out.mp4", editor=editor, options=QUIET)
        for editor in (trained_on(fps=30), trained_on(fps=25))
    ]
    assert [(report.num_frames, report.fps) for report in reports] == [(15, 25.0)] * 2
    assert reports[0].mean_change > 0 and reports[0].mean_change != reports[1].mean_change


# Crop and size


class Drawn:
    """Keeps the pictures that it reads, and draws a white square."""

    name = "drawn"
    width = 6
    picture_px: int | None = 64
    view = (0.0, 0.0, 1.0, 1.0)
    keeps_lips = True
    hears = False
    speech_weights = ()

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def track(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        self.seen = list(frames)
        return np.zeros((len(self.seen), 6), np.float32)

    def encode(self, track: np.ndarray) -> np.ndarray:
        return track

    def render(self, frames: Iterable[np.ndarray], track: np.ndarray, codes: np.ndarray) -> Iterator[np.ndarray]:
        self.person = next(iter(frames))
        for _ in track:
            yield np.full((64, 64, 3), 255, np.uint8)


def drawing(editor: Editor) -> tuple[Editor, Drawn]:
    made = Drawn()
    return replace(editor, kind=made, opens=lambda: made), made  # type: ignore[arg-type]


@pytest.fixture
def at_the_edge(real: Path, tmp_path: Path) -> Path:
    """A face that stands at the left edge of a picture, whose square leaves it."""
    frames = read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", range(5)).frames[:, :, 40:]
    write_video(tmp_path / "edge.mp4", np.ascontiguousarray(frames), 25, crf=4)
    return tmp_path / "edge.mp4"


QUIET = EditOptions(is_quiet=True)


def test_two_models_that_differ_in_their_crop_rule_cut_differently_at_the_edge(
    tmp_path: Path, trained_on: Callable[..., Editor], sounds: dict[str, list[Path]], at_the_edge: Path
) -> None:
    seen, persons, others = {}, {}, {}
    for rule in CROP_RULES:
        editor, backbone = drawing(trained_on(crop_rule=rule))
        options = replace(QUIET, sound=sounds["speech"][0])
        edit_video(at_the_edge, **sounds, out=tmp_path / "out.mp4", editor=editor, options=options)
        seen[rule], persons[rule] = backbone.seen[0].astype(int), backbone.person.astype(int)
        options = replace(options, source=at_the_edge)
        edit_video(at_the_edge, **sounds, out=tmp_path / "out.mp4", editor=editor, options=options)
        others[rule] = backbone.person.astype(int)
    for pictures in (seen, persons, others):
        assert np.abs(pictures["fomm-reflect-1"] - pictures["fomm-clip-1"]).mean() > 5
    for rule in CROP_RULES:
        # the first frame of the same video, whose face alone decides its square
        assert np.abs(others[rule] - persons[rule]).mean() < 12


@pytest.mark.parametrize("rule", CROP_RULES)
def test_what_is_drawn_is_pasted_where_it_was_cut_from(
    tmp_path: Path, trained_on: Callable[..., Editor], sounds: dict[str, list[Path]], at_the_edge: Path, rule: str
) -> None:
    editor, _ = drawing(trained_on(crop_rule=rule))
    out, options = tmp_path / "out.mp4", replace(QUIET, sound=sounds["speech"][0])
    edit_video(at_the_edge, **sounds, out=out, editor=editor, options=options)
    before, after = read_video(at_the_edge).frames[0].astype(int), read_video(out).frames[0].astype(int)
    is_white = (after > 245).all(axis=-1) & (before < 230).any(axis=-1)
    rows, columns = np.flatnonzero(is_white.any(axis=1)), np.flatnonzero(is_white.any(axis=0))
    # a clipped square has its seam at the edge of the frame, a mirrored one has it outside
    assert (columns[0] > 3) == (rule == "fomm-clip-1")
    assert rows[-1] - rows[0] > 100 and columns[-1] < after.shape[1] - 5


def test_pictures_are_read_at_the_size_of_prepared_clips_and_drawn_at_that_of_the_network(
    tmp_path: Path, trained_on: Callable[..., Editor], sounds: dict[str, list[Path]], at_the_edge: Path
) -> None:
    editor, backbone = drawing(trained_on(size_px=128))
    options = replace(QUIET, sound=sounds["speech"][0])
    edit_video(at_the_edge, **sounds, out=tmp_path / "out.mp4", editor=editor, options=options)
    assert backbone.seen[0].shape == (128, 128, 3) and backbone.person.shape == (64, 64, 3)


# Sound


def test_a_model_of_telephone_sound_hears_what_its_prepared_clips_kept(
    tmp_path: Path, trained_on: Callable[..., Editor]
) -> None:
    seconds = np.arange(16_000) / 16_000
    low, high = (0.3 * np.sin(2 * np.pi * hertz * seconds) for hertz in (440, 6_000))
    write_sound(tmp_path / "video.wav", low + high, 16_000)
    write_sound(tmp_path / "prepared.wav", read_sound(tmp_path / "video.wav", 8_000), 8_000)
    ear = SpeechEncoder("ear", 8_001, embed=lambda samples: np.abs(np.fft.rfft(samples)) / 16_000)

    def heard(encoder: SpeechEncoder, name: str) -> np.ndarray:
        return hear(encoder, [tmp_path / name], "--speech").vectors_NS[0]

    in_training = heard(ear, "prepared.wav")
    assert heard(ear, "video.wav")[6_000] > 0.1 > in_training[6_000]
    np.testing.assert_allclose(heard(hearing_clips(ear, 8_000), "video.wav"), in_training, atol=1e-3)
    assert hearing_clips(ear, 48_000) is hearing_clips(ear, 16_000) is ear
    embeds = [trained_on(sample_rate_hz=hertz).encoder.embed for hertz in (8_000, 16_000)]
    assert embeds[0] is not embeds[1] is load_encoder("opensmile", Path("weights")).embed


# What the authors' Connector and a changed model say


def test_the_authors_connector_is_given_what_their_code_makes_of_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filled: Path
) -> None:
    for name in ("edtalk", "connector"):
        write_filled_weights(filled, name)
    monkeypatch.setenv("CMET_WEIGHTS", str(filled))
    (connector,) = filled.rglob("_epoch_2105_checkpoint_step000200000.pth")
    editor = Editor.official(connector)
    assert editor.clips == PAPER_CLIPS
    assert editor.clips.model_dump() == {
        "size_px": 256, "fps": 25, "sample_rate_hz": 16_000, "crop_rule": "fomm-clip-1",
    }  # fmt: skip
    assert editor.bundle.config.speech_settings["model"] == "emotion2vec_plus_large"


def test_a_model_whose_backbone_was_replaced_is_refused(trained_on: Callable[..., Editor]) -> None:
    folder = trained_on().bundle.folder
    config = read_config(folder).model_dump()
    write_json(folder / "config.json", config | {"backbone_sha256": {"facemesh_basis.safetensors": "0" * 64}})
    said = r"was trained with another facemesh_basis.safetensors than .*backbone holds now; put the old file back"
    with pytest.raises(UserError, match=said):
        Editor.load(folder)
