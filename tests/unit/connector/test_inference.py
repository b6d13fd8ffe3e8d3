"""Prediction over clips of any length."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from cmet.connector.inference import predict_directions, roll_out
from cmet.connector.network import Connector
from cmet.params import TrainParams


@pytest.fixture(scope="module")
def connector(make_params: Callable[..., TrainParams]) -> Connector:
    torch.manual_seed(0)
    return Connector(make_params().network, expression_width=10, speech_width=12).eval()


@pytest.mark.parametrize(
    ("num_frames", "drop_tail", "expected"),
    [(1, False, 1), (5, False, 5), (13, False, 13), (13, True, 10), (3, True, 0)],
)
def test_every_frame_gets_a_direction_unless_the_tail_is_dropped(
    connector: Connector, num_frames: int, drop_tail: bool, expected: int
) -> None:
    codes = np.random.default_rng(0).normal(size=(num_frames, 10)).astype(np.float32)
    speech = np.ones(12, np.float32)
    assert predict_directions(connector, speech, codes, drop_tail).shape == (expected, 10)


def test_a_clip_gets_the_same_directions_alone_and_in_a_filled_up_batch(connector: Connector) -> None:
    codes = np.random.default_rng(0).normal(size=(13, 10)).astype(np.float32)
    speech = np.ones(12, np.float32)
    alone = predict_directions(connector, speech, codes)
    filled = torch.from_numpy(np.pad(codes, ((0, 9), (0, 0)), mode="edge"))
    together = roll_out(connector, torch.ones(2, 12), torch.stack([torch.zeros(22, 10), filled]))[1, :13]
    np.testing.assert_allclose(together.numpy(), alone, atol=1e-6)


@pytest.mark.parametrize(
    ("speech_width", "codes_shape", "message"),
    [(11, (5, 10), "speech direction: expected"), (12, (5, 9), "codes: expected"), (12, (0, 10), "codes: expected")],
)
def test_wrong_shapes_are_refused(
    connector: Connector, speech_width: int, codes_shape: tuple[int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        predict_directions(connector, np.ones(speech_width, np.float32), np.zeros(codes_shape, np.float32))
