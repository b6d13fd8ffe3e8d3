"""Seconds per edited video."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cmet.clips.product import Clips
from cmet.edits.material import Material
from cmet.edits.product import TIMED, TIMING, TIMING_SCRIPT, DrivingSpeech, MethodTiming, Timing, TimingFacts
from cmet.edits.timing import PARTS, Ear, RowTimer, device_clock, summed_up, time_edits
from cmet.errors import ClipError, UserError
from cmet.media.sound import read_sound
from cmet.outputs import content_digest
from cmet.params import Params, TimingParams
from cmet.speech.encoders.encoder import SpeechEncoder
from cmet.vocabulary import METHODS
from tests.layouts import rename
from tests.packing import pack_all
from tests.unit.edits.conftest import NUM_FRAMES
from tests.unit.edits.making import WIDTH, made_bundle, recipe_of, with_table, write_clip

FRAMES = {"source": 6, "driving": 4, "true": 8}
ROW = {"row_id": "row", "source_clip": "source", "target_clip": "true", "emotion": "happy", "level": 2}
READ, TRACK, ENCODE, EMBED, SPEAK, RENDER = 0.0, 1.0, 0.25, 0.5, 16.0, 2.0
"""Seconds that the made parts take: reading real files takes none of a clock that only the made ones advance."""


@dataclass
class Clock:
    """A clock that stands still but when it is told how long something took."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class SlowBackbone:
    """A backbone that takes its time, for each frame the same."""

    clock: Clock
    picture_px: int | None = None
    sees_faces: bool = True
    drawn_from: list[int] = field(default_factory=list)
    name = "slow"
    width = WIDTH
    view = (0.0, 0.0, 1.0, 1.0)
    keeps_lips = True

    def track(self, frames: Iterable[np.ndarray]) -> np.ndarray:
        num_frames = sum(1 for _ in frames)
        self.clock.spend(TRACK * num_frames)
        return np.full((num_frames, WIDTH), 1.0 if self.sees_faces else np.nan, np.float32)

    def encode(self, track: np.ndarray) -> np.ndarray:
        self.clock.spend(ENCODE)
        return track

    def with_speech(self, track: np.ndarray, samples: np.ndarray, fps: float) -> np.ndarray:
        self.clock.spend(SPEAK)
        return track

    def render(self, frames: Iterable[np.ndarray], track: np.ndarray, codes: np.ndarray) -> Iterator[np.ndarray]:
        self.drawn_from.append(len(list(frames)))
        assert codes.shape == track.shape
        for _ in codes:
            self.clock.spend(RENDER)
            yield np.zeros((64, 64, 3), np.uint8)

    def save(self, folder: Path) -> None:
        raise NotImplementedError


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timer(clock: Clock, params: Params, tmp_path: Path) -> RowTimer:
    """All methods, with two clips of speech on each side."""
    clips = Clips(tmp_path)
    for name, num_frames in FRAMES.items():
        write_clip(clips, name, np.zeros((num_frames, 64, 64, 3), np.uint8), np.zeros(4000, np.float32))
    pack_all(*clips.folder.iterdir())

    def embed(samples: np.ndarray) -> np.ndarray:
        clock.spend(EMBED)
        return np.full(3, len(samples), np.float32)

    return RowTimer(
        SlowBackbone(clock),
        made_bundle(3, tmp_path),
        recipe_of(params),
        clips,
        {("happy", 2): DrivingSpeech(emotional=("true", "driving"), neutral=("source", "source"))},
        {"row": "driving"},
        Ear(SpeechEncoder("slow", 3, embed=embed), clips),
        METHODS,
        clock,
    )


def test_every_method_is_the_sum_of_what_it_does(timer: RowTimer) -> None:
    length_s, laps = timer.time_row(ROW)
    assert length_s == pytest.approx(6 / 25)
    shared = {"read": READ, "encode": 6 * TRACK + ENCODE, "render": 6 * RENDER}
    assert laps == {
        "neutral": dict.fromkeys(PARTS, 0.0),
        "reference": shared | {"drive": 4 * TRACK + ENCODE},
        "cmet": shared | {"drive": 4 * EMBED},
        "oracle": shared | {"drive": 8 * TRACK + ENCODE},
    }


def test_reading_counts(timer: RowTimer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_read(path: Path, sample_rate_hz: int) -> np.ndarray:
        clock.spend(0.125)
        return read_sound(path, sample_rate_hz)

    monkeypatch.setattr("cmet.edits.timing.read_sound", slow_read)
    _, laps = timer.time_row(ROW)
    assert {method: parts["read"] for method, parts in laps.items()} == dict.fromkeys(METHODS, 0.125)
    assert laps["cmet"]["drive"] == 4 * (EMBED + 0.125)


def test_a_backbone_that_draws_anew_draws_neutral_too_and_all_from_one_frame(timer: RowTimer, clock: Clock) -> None:
    backbone = SlowBackbone(clock, picture_px=64)
    _, laps = replace(timer, backbone=backbone).time_row(ROW)
    assert laps["neutral"] == {"read": READ, "encode": 6 * TRACK + ENCODE, "drive": 0.0, "render": 6 * RENDER}
    assert backbone.drawn_from == [1, 1, 1, 1]


def test_lips_that_follow_speech_are_part_of_encoding_and_never_of_driving(
    timer: RowTimer, params: Params, tmp_path: Path
) -> None:
    hears = made_bundle(3, tmp_path, backbone="edtalk")
    _, laps = replace(timer, bundle=hears, recipe=recipe_of(params, lips="speech")).time_row(ROW)
    assert laps["oracle"]["encode"] == 6 * TRACK + ENCODE + SPEAK
    assert laps["oracle"]["drive"] == 8 * TRACK + ENCODE


def test_without_a_driving_clip_there_is_no_reference(timer: RowTimer) -> None:
    _, laps = replace(timer, references={"row": None}).time_row(ROW)
    assert set(laps) == {"neutral", "cmet", "oracle"}


def test_a_clip_without_a_face_is_an_error(timer: RowTimer, clock: Clock) -> None:
    with pytest.raises(ClipError, match="face_lost: .* make the expression codes again"):
        replace(timer, backbone=SlowBackbone(clock, sees_faces=False)).time_row(ROW)


def test_a_clip_that_ends_before_the_identity_frame_is_an_error(timer: RowTimer, clock: Clock) -> None:
    late = replace(timer.recipe, edits=timer.recipe.edits.model_copy(update={"identity_frame": 6}))
    with pytest.raises(ClipError, match="too_short: source has 6 frames, but the identity frame is number 6"):
        replace(timer, backbone=SlowBackbone(clock, picture_px=64), recipe=late).time_row(ROW)


def test_means_are_over_clips_and_the_spread_is_of_their_sums() -> None:
    laps: list[dict[str, float]] = [
        {"read": 1.0, "encode": 2.0, "drive": 3.0, "render": 4.0},
        {"read": 3.0, "encode": 2.0, "drive": 5.0, "render": 6.0},
    ]
    both = summed_up([(1.0, laps[0]), (2.0, laps[1])])
    assert both == MethodTiming(
        seconds_per_video=13.0,
        sd=pytest.approx(18**0.5),
        parts={"read": 2.0, "encode": 2.0, "drive": 4.0, "render": 5.0},
        num_videos=2,
        seconds_of_video=1.5,
    )
    assert summed_up([(1.0, laps[0])]).sd is None


def test_the_clock_waits_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.synchronize", lambda: calls.append("waited"))
    monkeypatch.setattr("time.perf_counter", lambda: calls.append("looked") or 5.0)
    assert device_clock() == 5.0
    assert calls == ["waited", "looked"]


def test_vectors_of_the_corpus_are_read_where_there_is_no_model(tmp_path: Path) -> None:
    clips = Clips(tmp_path, corpus=tmp_path)
    table = pd.DataFrame({"clip_id": ["a", "b"], "audio": ["x/a.m4a", None], "video": ["x/a.mp4", "x/b.mp4"]})
    table.to_parquet(clips.path)
    asked: list[Path] = []

    def read(raw: Path) -> np.ndarray:
        asked.append(raw)
        return np.ones(2, np.float32)

    ear = Ear(SpeechEncoder("vectors", 2, read=read), clips)
    assert ear.embeddings(["a", "b"]).tolist() == [[1, 1], [1, 1]]
    assert asked == [tmp_path / "x" / "a.m4a", tmp_path / "x" / "b.mp4"]


TimeThem = Callable[..., TimingFacts]
TWO = TimingParams(num_clips=2, num_warm_up=1)


@pytest.fixture
def time_them(material: Material, params: Params, tmp_path: Path) -> TimeThem:
    """Time the row of the corpus, with other clips or some arguments changed, and read what was written."""

    def run(clips: Clips = material.clips, timing: TimingParams = TWO, **changes: Any) -> TimingFacts:
        recipe = recipe_of(params, num_speech_clips=2)
        out, measured = tmp_path / "timing", tmp_path / "measured"
        time_edits(replace(material, clips=clips), recipe, timing, "0" * 64, out, measured, **changes)
        return Timing(measured).facts

    return run


def test_real_edits_are_timed_part_by_part(time_them: TimeThem) -> None:
    timed = time_them()
    assert list(timed.methods) == sorted(METHODS)
    for method, numbers in timed.methods.items():
        assert numbers.num_videos == 2
        assert numbers.seconds_per_video == pytest.approx(sum(numbers.parts.values()))
        assert 0 < numbers.seconds_per_video < 60
        assert numbers.seconds_of_video == pytest.approx(NUM_FRAMES / 25)
        assert (numbers.parts["drive"] > 0) == (method != "neutral")
    parts = timed.methods["cmet"].parts
    assert set(parts) == set(PARTS)
    assert min(parts.values()) > 0
    assert timed.device == "cpu"
    assert timed.threads == torch.get_num_threads()
    assert timed.warm_up == 1
    assert timed.speech == "embedded from sound"
    assert timed.cpu
    assert "rendering" in timed.includes
    assert "loading of models" in timed.excludes


def test_rows_of_the_warm_up_are_not_counted(
    time_them: TimeThem, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = SlowBackbone(clock)
    first_track = backbone.track

    def track(frames: Iterable[np.ndarray]) -> np.ndarray:
        if not backbone.drawn_from:
            clock.spend(1000)
        return first_track(frames)

    monkeypatch.setattr(backbone, "track", track)
    monkeypatch.setattr("cmet.edits.timing.load_backbone", lambda *_: backbone)
    timed = time_them(clock=clock, methods=("oracle",), timing=TimingParams(num_clips=1, num_warm_up=1))
    drive = encode = NUM_FRAMES * TRACK + ENCODE
    parts = timed.methods["oracle"].parts
    assert parts == {"read": READ, "encode": encode, "drive": drive, "render": NUM_FRAMES * RENDER}
    assert timed.methods["oracle"].sd is None


def test_a_method_that_no_row_has_is_left_out(time_them: TimeThem, material: Material, tmp_path: Path) -> None:
    table = material.clips.table
    sad_in_training = table.assign(emotion=table.emotion.mask(table.split == "train", "sad"))
    clips = with_table(material.clips, sad_in_training, tmp_path / "clips")
    timed = time_them(clips, TimingParams(num_clips=1, num_warm_up=0), methods=("neutral", "reference"))
    assert list(timed.methods) == ["neutral"]


def test_rows_that_cannot_be_made_are_nothing_to_time(material: Material, params: Params, tmp_path: Path) -> None:
    # a manifest whose clips the corpus lacks
    strangers = material.pairs.assign(corpus="mead")
    recipe = recipe_of(params, rows="official")
    with pytest.raises(UserError, match="timing: none of the planned rows can be made"):
        time_edits(replace(material, pairs=strangers), recipe, TWO, "0" * 64, tmp_path / "out", tmp_path)


def test_the_file_is_called_by_one_name(time_them: TimeThem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = rename(monkeypatch, "edits", TIMING)
    assert time_them(timing=TimingParams(num_clips=1, num_warm_up=0), methods=("neutral",)).methods["neutral"]
    assert sorted(path.name for path in (tmp_path / "measured").iterdir()) == [renamed, TIMING_SCRIPT]


def test_what_dvc_keeps_of_a_timing_is_the_same_however_long_it_took(
    time_them: TimeThem, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cmet.edits.timing.load_backbone", lambda *_: SlowBackbone(clock))
    one = TimingParams(num_clips=1, num_warm_up=0)
    first = time_them(clock=clock, methods=("neutral",), timing=one)
    kept = content_digest(tmp_path / "timing")
    assert [path.name for path in (tmp_path / "timing").iterdir()] == [TIMED]
    second = time_them(methods=("neutral",), timing=one)
    assert second.methods != first.methods
    assert content_digest(tmp_path / "timing") == kept
    assert second.timed_sha256 == first.timed_sha256 == content_digest(tmp_path / "timing" / TIMED)
    script = (tmp_path / "measured" / TIMING_SCRIPT).read_text()
    assert json.loads(script.removeprefix('showTiming("facemesh", ').removesuffix(");\n")) == asdict(second)
