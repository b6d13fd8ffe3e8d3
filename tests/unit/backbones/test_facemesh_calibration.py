from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmet.backbones.facemesh.basis import ExpressionBasis
from cmet.backbones.facemesh.calibration import MAX_GAIN, Case, calibrated
from cmet.backbones.facemesh.mesh import BROWS, NUM_FACE_POINTS
from cmet.backbones.facemesh.pose import mean_template
from cmet.backbones.facemesh.warp import render
from cmet.media.landmarks import track_landmarks
from cmet.media.video import read_video

RAISE = -0.06


@pytest.fixture
def case(real: Path) -> tuple[ExpressionBasis, Case]:
    """A real face and one direction that raises its brows."""
    frames = read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", range(4)).frames
    track = track_landmarks(frames)
    template = mean_template([track])
    distance = np.linalg.norm(template[:, None, :2] - template[list(BROWS), :2], axis=2).min(axis=1)
    direction = np.stack([np.zeros(NUM_FACE_POINTS), RAISE * np.exp(-((distance / 0.2) ** 2))], axis=1)
    basis = ExpressionBasis(
        template, template[:, :2].ravel(), direction.reshape(-1, 1), np.zeros((1, 2 * NUM_FACE_POINTS)), np.ones(1),
        np.ones(NUM_FACE_POINTS),
    )  # fmt: skip
    return basis, Case(frames, track, np.ones(1))


def answer(basis: ExpressionBasis, case: Case) -> float:
    """Share of the asked movement of the brows that landmarks of the rendered face show."""
    movement = basis.movement(case.track, np.tile(case.delta, (len(case.track), 1)))
    shown = basis.plane(track_landmarks(render(case.frames, case.track, movement))).mean(axis=0)
    rest = basis.plane(track_landmarks(case.frames)).mean(axis=0)
    return float((shown - rest)[list(BROWS), 1].mean() / RAISE)


def test_landmarks_of_the_rendered_face_move_as_asked(case: tuple[ExpressionBasis, Case]) -> None:
    basis, faces = case
    fitted = calibrated(basis, [faces])
    assert abs(answer(fitted, faces) - 1) < abs(answer(basis, faces) - 1)
    assert (fitted.gain >= 1).all()
    assert (fitted.gain <= MAX_GAIN).all()


def test_the_gain_moves_pixels_and_not_codes(case: tuple[ExpressionBasis, Case]) -> None:
    basis, faces = case
    doubled = replace(basis, gain=np.full(NUM_FACE_POINTS, 2.0))
    change = np.ones((len(faces.track), 1))
    np.testing.assert_allclose(doubled.movement(faces.track, change), 2 * basis.movement(faces.track, change))
    np.testing.assert_array_equal(doubled.encode(faces.track), basis.encode(faces.track))
