"""The judge of face-api: its network, and what it says of real faces."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cmet.media.landmarks import still_landmarks
from cmet.media.video import VideoFile
from cmet.scores.metrics.faceapi import OUTLINE, FaceApiAccuracy, outline_box
from cmet.scores.metrics.faceapi_network import ExpressionNetwork
from cmet.scores.metrics.metric import Shown

HAPPY, SURPRISED = (f"clips/mead_{name}_cropped.mp4" for name in ("happy", "surprised"))
SAD = "MEAD_raw/M030/video/front/sad/level_3/001.mp4"


@pytest.fixture(scope="module")
def metric() -> FaceApiAccuracy:
    return FaceApiAccuracy.load(Path("weights"))


def waves(side: int) -> torch.Tensor:
    """Three pictures whose colours differ, shape (3, 3, side, side)."""
    place, colour = np.arange(side), np.arange(3)[:, None, None]
    pictures = [
        127.5 + 127.5 * np.sin((down * place[:, None] + right * place) / 9 + colour)
        for down, right in ((1, 2), (3, -1), (2, 5))
    ]
    return torch.tensor(np.stack(pictures)).float()


def test_the_network_answers_as_the_one_that_was_published() -> None:
    # what face-api itself answers, on TensorFlow.js
    published = [
        [0.02119, 0.000035, 0.976567, 0.001533, 0.00067, 0.000002, 0.000003],
        [0.751613, 0.156566, 0.082633, 0.004409, 0.000396, 0.000701, 0.003682],
        [0.067424, 0.001817, 0.925813, 0.000105, 0.004819, 0.000001, 0.00002],
    ]
    with torch.inference_mode():
        found = ExpressionNetwork.published()(waves(112)).softmax(dim=1)
    np.testing.assert_allclose(found, published, atol=3e-6)


@pytest.mark.parametrize(("video", "emotion"), [(HAPPY, "happy"), (SURPRISED, "surprised"), (SAD, "sad")])
def test_real_faces_show_what_they_were_asked_to(real: Path, metric: FaceApiAccuracy, video: str, emotion: str) -> None:
    assert metric.name_of(real / video) == emotion


def test_it_is_a_metric_of_its_own(real: Path, metric: FaceApiAccuracy) -> None:
    happy = real / HAPPY
    shown = [Shown(happy, happy, None, None, "happy", "sad"), Shown(happy, None, None, None, "contempt")]
    right, unknown = metric.measure(shown, "faceapi").per_clip
    assert right == {"acc_faceapi": 1, "acc_faceapi/true": 1, "acc_faceapi/agreement": 0}
    assert str(unknown) == "unknown_emotion: face-api's network of expressions knows no contempt"


def test_a_face_is_cut_out_with_a_tenth_of_its_size_on_each_side() -> None:
    points = np.zeros((478, 3))
    points[:, :2] = 500
    points[list(OUTLINE), :2] = np.linspace((100, 200), (200, 280), len(OUTLINE))
    assert outline_box(points) == pytest.approx((90, 192, 120, 96))


@pytest.mark.parametrize(
    ("video", "frame", "box"),
    [
        # where face-api itself cuts the face out of this frame, by its own detector and landmarks
        (HAPPY, 0.2, (41, 78, 155, 161)),
        (SURPRISED, 0.2, (57, 74, 163, 170)),
    ],
)
def test_the_box_is_the_one_that_face_api_cuts_out(
    real: Path, video: str, frame: float, box: tuple[int, int, int, int]
) -> None:
    file = VideoFile(real / video)
    (points,) = still_landmarks(file.frames_at([round(frame * (len(file) - 1))]))
    left, top, width, height = outline_box(points)
    edges = np.array([left, top, left + width, top + height]) - [box[0], box[1], box[0] + box[2], box[1] + box[3]]
    assert np.abs(edges).max() < 0.06 * box[2]
