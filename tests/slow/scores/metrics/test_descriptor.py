"""Descriptors of faces: their network, and whom they take for one person."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cmet.media.video import write_video
from cmet.scores.metrics.descriptor import EYES, MOUTH, DescriptorLikeness, descriptor_box, likeness
from cmet.scores.metrics.descriptor_network import DescriptorNetwork
from cmet.scores.metrics.metric import Shown
from tests.slow.scores.metrics.test_faceapi import waves


@pytest.fixture(scope="module")
def metric() -> DescriptorLikeness:
    return DescriptorLikeness.load(Path("weights"))


def test_the_network_answers_as_the_one_that_was_published() -> None:
    # what face-api itself answers, on TensorFlow.js: the first eight numbers, and the length of all
    published = [
        [-0.087932, 0.172603, 0.054792, -0.032941, -0.071205, -0.0381, -0.099191, -0.073463, 1.319654],
        [-0.084697, 0.142767, 0.067475, -0.021171, -0.084964, -0.027903, -0.083371, -0.010454, 1.292574],
        [-0.080908, 0.139086, 0.064884, -0.080946, -0.144656, -0.03625, -0.0709, -0.014467, 1.335023],
    ]
    with torch.inference_mode():
        found = DescriptorNetwork.published()(waves(150))
    np.testing.assert_allclose(torch.cat([found[:, :8], found.norm(dim=1, keepdim=True)], dim=1), published, atol=2e-6)


def test_one_person_is_nearer_than_another(real: Path, metric: DescriptorLikeness) -> None:
    happy, surprised, fear = (real / f"clips/mead_{name}_cropped.mp4" for name in ("happy", "surprised", "fear"))
    one, two = metric.measure([Shown(happy, None, happy, None), Shown(happy, None, surprised, None)], "test").per_clip
    assert one["descriptor_similarity"] > 0.97
    assert one["descriptor_distance"] < 0.4 < 0.6 < two["descriptor_distance"]
    assert two["descriptor_similarity"] < 0.95


def test_what_cannot_be_compared_has_a_reason(tmp_path: Path, metric: DescriptorLikeness) -> None:
    grey = tmp_path / "grey.mp4"
    write_video(grey, [np.full((128, 128, 3), 90, np.uint8)] * 4, 25)
    alone, faceless = metric.measure([Shown(grey, None, None, None), Shown(grey, None, grey, None)], "test").per_clip
    assert str(alone) == "no_source: grey.mp4 has no neutral source to compare with"
    assert str(faceless) == "no_face: grey.mp4 shows no face in the 4 frames looked at"


def test_likeness_is_a_cosine_with_the_mean_and_a_distance_between_frames() -> None:
    faces, others = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [3.0, 0.0]])
    assert likeness(faces, others) == pytest.approx((0.5, (0 + 2 + 5**0.5 + 13**0.5) / 4))


def test_the_square_of_a_face_is_placed_by_eyes_and_mouth() -> None:
    points = np.zeros((478, 3))
    points[EYES[0], :2], points[EYES[1], :2], points[MOUTH, :2] = (100, 100), (160, 100), (130, 140)
    # 50 from each eye to the mouth
    side = 50 / 0.45
    assert descriptor_box(points) == pytest.approx((130 - 0.5 * side, 340 / 3 - 0.43 * side, side, side))
