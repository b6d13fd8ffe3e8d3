"""Seconds per edited video."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cmet.connector.bundle import Bundle, BundleConfig
from cmet.connector.network import Connector
from cmet.corpora.sample.corpus import list_clips, render_clip
from cmet.edits.pools import Speech
from cmet.edits.timing import PARTS, Ear, RowTimer, device_clock, summed_up, time_edits
from cmet.errors import ClipError, UserError
from cmet.media.audio import read_audio, write_audio
from cmet.media.video import read_video, write_video
from cmet.params import EditsParams, NetworkParams, Params, TimingParams
from cmet.speech.encoders.protocol import SpeechEncoder
from cmet.speech.scaling import SpeechScaling
from cmet.vocabulary import METHODS
from tests.unit.backbones.faces import made_model

WIDTH = 10
NUM_FRAMES = 8
"""Of a rendered clip."""
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


def made_bundle(speech_width: int, folder: Path) -> Bundle:
    network = NetworkParams(hidden=32, num_layers=1, num_heads=2, feedforward=32, window=5, dropout=0.0)
    torch.manual_seed(1)
    config = BundleConfig(
        backbone="facemesh", speech_encoder="opensmile", expression_width=WIDTH, speech_width=speech_width,
        network=network, step=0, seed=1, held_out_emotion=None,
    )  # fmt: skip
    limit = np.ones(speech_width, np.float32)
    connector = Connector(network, WIDTH, speech_width).eval()
    return Bundle(connector, config, SpeechScaling.none(speech_width), limit, folder)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timer(clock: Clock, params: Params, tmp_path: Path) -> RowTimer:
    """All methods, with two clips of speech on each side."""
    (tmp_path / "video").mkdir()
    (tmp_path / "audio").mkdir()
    for name, num_frames in FRAMES.items():
        write_video(tmp_path / "video" / f"{name}.mp4", np.zeros((num_frames, 64, 64, 3), np.uint8), 25)
        write_audio(tmp_path / "audio" / f"{name}.wav", np.zeros(4000, np.float32), 16_000)

    def embed(samples: np.ndarray) -> np.ndarray:
        clock.spend(EMBED)
        return np.full(3, len(samples), np.float32)

    return RowTimer(
        SlowBackbone(clock),
        made_bundle(3, tmp_path),
        params.edits,
        "own",
        tmp_path,
        {("happy", 2): Speech(emotional=("true", "driving"), neutral=("source", "source"))},
        {"row": "driving"},
        Ear(SpeechEncoder("slow", 3, is_scaled=False, embed=embed), pd.DataFrame(), tmp_path, tmp_path),
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
        return read_audio(path, sample_rate_hz)

    monkeypatch.setattr("cmet.edits.timing.read_audio", slow_read)
    _, laps = timer.time_row(ROW)
    assert {method: parts["read"] for method, parts in laps.items()} == dict.fromkeys(METHODS, 0.125)
    assert laps["cmet"]["drive"] == 4 * (EMBED + 0.125)


def test_a_backbone_that_draws_anew_draws_neutral_too_and_all_from_one_frame(timer: RowTimer, clock: Clock) -> None:
    backbone = SlowBackbone(clock, picture_px=64)
    _, laps = replace(timer, backbone=backbone).time_row(ROW)
    assert laps["neutral"] == {"read": READ, "encode": 6 * TRACK + ENCODE, "drive": 0.0, "render": 6 * RENDER}
    assert backbone.drawn_from == [1, 1, 1, 1]


def test_lips_that_follow_speech_are_part_of_encoding_and_never_of_driving(timer: RowTimer) -> None:
    _, laps = replace(timer, lips="speech").time_row(ROW)
    assert laps["oracle"]["encode"] == 6 * TRACK + ENCODE + SPEAK
    assert laps["oracle"]["drive"] == 8 * TRACK + ENCODE


def test_without_a_driving_clip_there_is_no_reference(timer: RowTimer) -> None:
    _, laps = replace(timer, references={"row": None}).time_row(ROW)
    assert set(laps) == {"neutral", "cmet", "oracle"}


def test_a_clip_without_a_face_is_an_error(timer: RowTimer, clock: Clock) -> None:
    with pytest.raises(ClipError, match="face_lost: .* make the expression codes anew"):
        replace(timer, backbone=SlowBackbone(clock, sees_faces=False)).time_row(ROW)


def test_a_clip_that_ends_before_the_identity_frame_is_an_error(timer: RowTimer, clock: Clock) -> None:
    late = timer.edits.model_copy(update={"identity_frame": 6})
    with pytest.raises(ClipError, match="too_short: source has 6 frames, the identity frame is number 6"):
        replace(timer, backbone=SlowBackbone(clock, picture_px=64), edits=late).time_row(ROW)


def test_means_are_over_clips_and_the_spread_is_of_their_sums() -> None:
    laps: list[dict[str, float]] = [
        {"read": 1.0, "encode": 2.0, "drive": 3.0, "render": 4.0},
        {"read": 3.0, "encode": 2.0, "drive": 5.0, "render": 6.0},
    ]
    both = summed_up([(1.0, laps[0]), (2.0, laps[1])])
    assert both == {
        "seconds_per_video": 13.0,
        "sd": pytest.approx(18**0.5),
        "parts": {"read": 2.0, "encode": 2.0, "drive": 4.0, "render": 5.0},
        "num_videos": 2,
        "seconds_of_video": 1.5,
    }
    assert summed_up([(1.0, laps[0])])["sd"] is None


def test_the_clock_waits_for_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.synchronize", lambda: calls.append("waited"))
    monkeypatch.setattr("time.perf_counter", lambda: calls.append("looked") or 5.0)
    assert device_clock() == 5.0
    assert calls == ["waited", "looked"]


def test_vectors_of_the_corpus_are_read_where_there_is_no_model(tmp_path: Path) -> None:
    clips = pd.DataFrame({"clip_id": ["a", "b"], "audio": ["x/a.m4a", None], "video": ["x/a.mp4", "x/b.mp4"]})
    asked: list[Path] = []

    def read(raw: Path) -> np.ndarray:
        asked.append(raw)
        return np.ones(2, np.float32)

    ear = Ear(SpeechEncoder("vectors", 2, is_scaled=False, read=read), clips, tmp_path / "clips", tmp_path)
    assert ear.embeddings(["a", "b"]).tolist() == [[1, 1], [1, 1]]
    assert asked == [tmp_path / "x" / "a.m4a", tmp_path / "x" / "b.mp4"]


@dataclass(frozen=True)
class Corpus:
    """Two rendered actors, and a facemesh backbone for them."""

    root: Path
    clips: pd.DataFrame
    rows: pd.DataFrame


@pytest.fixture(scope="module")
def corpus(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A neutral and a happy clip of a test speaker, who is edited, and a happy one of a training speaker."""
    root: Path = tmp_path_factory.mktemp("corpus")
    for folder in ("clips/video", "clips/audio", "expression/codes", "expression/model"):
        (root / folder).mkdir(parents=True)
    jobs = [job for job in list_clips(params.sample, seed=3) if job["level"] in (1, 2) and job["number"] < 2]
    kept = {(job["number"], job["emotion"]): job for job in jobs if job["emotion"] in ("neutral", "happy")}
    table = []
    for (number, emotion), job in kept.items():
        clip_id = job["clip_id"]
        render_clip(job, root)
        video = root / f"{clip_id}.mp4"
        frames = read_video(video, range(NUM_FRAMES)).frames
        write_video(root / "clips" / "video" / f"{clip_id}.mp4", frames, 25)
        write_audio(root / "clips" / "audio" / f"{clip_id}.wav", read_audio(video, 16_000), 16_000)
        np.save(root / "expression" / "codes" / f"{clip_id}.npy", np.zeros((5, WIDTH), np.float32))
        table.append((clip_id, f"S{number}", emotion, job["level"], "001", ("test", "train")[number], "ok"))
    columns = ["clip_id", "speaker", "emotion", "intensity", "sentence", "split", "status"]
    clips = pd.DataFrame(table, columns=columns).astype({"intensity": "Int64"})
    made_model(WIDTH).save(root / "expression" / "model")
    mine = clips[clips.split == "test"].set_index("emotion")
    row = {
        "row_id": "row", **mine.loc["happy", ["speaker", "intensity", "sentence"]], "emotion": "happy",
        "is_held_out": False, "source_clip": mine.clip_id["neutral"], "target_clip": mine.clip_id["happy"],
        "reason": None,
    }  # fmt: skip
    rows = pd.DataFrame([row]).astype({"intensity": "Int64"})
    return Corpus(root, clips, rows)


TimeThem = Callable[..., Mapping[str, Any]]


@pytest.fixture
def time_them(corpus: Corpus, params: Params, tmp_path: Path) -> TimeThem:
    """Time the row of the corpus, with some arguments changed, and read what was written."""

    def run(**changes: Any) -> Mapping[str, Any]:
        arguments: dict[str, Any] = {
            "rows": corpus.rows,
            "clips": corpus.clips,
            "clips_folder": corpus.root / "clips",
            "corpus_folder": corpus.root,
            "expression_folder": corpus.root / "expression",
            "heard": pd.Index(corpus.clips.clip_id),
            "bundle": made_bundle(88, tmp_path),
            "out": tmp_path / "timing",
            "params": TimingParams(num_clips=2, num_warm_up=1),
            "edits": EditsParams(**params.edits.model_dump() | {"num_speech_clips": 2}),
            "inference": params.inference,
            "weights": tmp_path,
            "seed": 1,
        }
        time_edits(**arguments | changes)
        return json.loads((tmp_path / "timing" / "timing.json").read_text(encoding="utf-8"))

    return run


def test_real_edits_are_timed_part_by_part(time_them: TimeThem) -> None:
    timed = time_them()
    assert list(timed["methods"]) == sorted(METHODS)
    for method, numbers in timed["methods"].items():
        assert numbers["num_videos"] == 2
        assert numbers["seconds_per_video"] == pytest.approx(sum(numbers["parts"].values()))
        assert 0 < numbers["seconds_per_video"] < 60
        assert numbers["seconds_of_video"] == pytest.approx(NUM_FRAMES / 25)
        assert (numbers["parts"]["drive"] > 0) == (method != "neutral")
    parts = timed["methods"]["cmet"]["parts"]
    assert set(parts) == set(PARTS)
    assert min(parts.values()) > 0
    assert timed["device"] == "cpu"
    assert timed["threads"] == torch.get_num_threads()
    assert timed["warm_up"] == 1
    assert timed["speech"] == "embedded from sound"
    assert timed["cpu"]
    assert "rendering" in timed["includes"]
    assert "loading of models" in timed["excludes"]


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
    timed = time_them(clock=clock, methods=("oracle",), params=TimingParams(num_clips=1, num_warm_up=1))
    drive = encode = NUM_FRAMES * TRACK + ENCODE
    parts = timed["methods"]["oracle"]["parts"]
    assert parts == {"read": READ, "encode": encode, "drive": drive, "render": NUM_FRAMES * RENDER}
    assert timed["methods"]["oracle"]["sd"] is None


def test_a_method_that_no_row_has_is_left_out(time_them: TimeThem, corpus: Corpus) -> None:
    sad_in_training = corpus.clips.emotion.mask(corpus.clips.split == "train", "sad")
    params = TimingParams(num_clips=1, num_warm_up=0)
    timed = time_them(
        clips=corpus.clips.assign(emotion=sad_in_training), methods=("neutral", "reference"), params=params
    )
    assert list(timed["methods"]) == ["neutral"]


def test_rows_that_cannot_be_made_are_nothing_to_time(time_them: TimeThem, corpus: Corpus) -> None:
    with pytest.raises(UserError, match="timing: none of the planned rows can be made"):
        time_them(rows=corpus.rows.assign(reason="not_in_corpus: row"))
