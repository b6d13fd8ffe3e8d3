"""Prediction over clips of any length."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch

from cmet.connector import inference
from cmet.connector.inference import predict_deltas, roll_out
from cmet.connector.network import Connector
from cmet.errors import UserError
from cmet.params import NetworkParams, TrainParams


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
    assert predict_deltas(connector, speech, codes, drop_tail).shape == (expected, 10)


def test_a_clip_gets_the_same_directions_alone_and_in_a_filled_up_batch(connector: Connector) -> None:
    codes = np.random.default_rng(0).normal(size=(13, 10)).astype(np.float32)
    speech = np.ones(12, np.float32)
    alone = predict_deltas(connector, speech, codes)
    filled = torch.from_numpy(np.pad(codes, ((0, 9), (0, 0)), mode="edge"))
    together = roll_out(connector, torch.ones(2, 12), torch.stack([torch.zeros(22, 10), filled]))[1, :13]
    np.testing.assert_allclose(together.numpy(), alone, atol=1e-6)


@pytest.mark.parametrize(("num_frames", "drop_tail", "windows"), [(13, False, 3), (13, True, 2), (15, False, 3)])
def test_one_direction_for_all_windows_is_the_same_to_the_bit_given_once_or_for_each(
    connector: Connector, num_frames: int, drop_tail: bool, windows: int
) -> None:
    rng = np.random.default_rng(0)
    codes, speech = rng.normal(size=(num_frames, 10)), rng.normal(size=12)
    once = predict_deltas(connector, speech, codes, drop_tail)
    for_each = predict_deltas(connector, np.tile(speech, (windows, 1)), codes, drop_tail)
    np.testing.assert_array_equal(for_each, once)


def test_a_direction_for_each_window_is_heard_in_it_and_remembered_after_it(connector: Connector) -> None:
    rng = np.random.default_rng(0)
    codes, (first, second) = rng.normal(size=(15, 10)), rng.normal(size=(2, 12))
    alone = predict_deltas(connector, first, codes)
    switched = predict_deltas(connector, np.stack([first, second, first]), codes)
    np.testing.assert_array_equal(switched[:5], alone[:5])
    # the second window is the connector's answer to the other direction after the first window
    window = torch.from_numpy(codes[None, 5:10].astype(np.float32))
    with torch.inference_mode():
        wanted = connector(
            torch.from_numpy(alone[None, :5]), torch.from_numpy(second[None, None].astype(np.float32)), window
        )
    np.testing.assert_array_equal(switched[5:10], wanted.delta_BTD[0].numpy())
    assert np.abs(switched[10:] - alone[10:]).max() > 1e-6


@pytest.mark.parametrize(
    ("speech_shape", "codes_shape", "message"),
    [
        ((11,), (5, 10), r"speech delta: expected \(12,\) or \(1, 12\), got \(11,\)"),
        ((2, 12), (11, 10), r"speech delta: expected \(12,\) or \(3, 12\), got \(2, 12\)"),
        ((12,), (5, 9), "codes: expected"),
        ((12,), (0, 10), "codes: expected"),
    ],
)
def test_wrong_shapes_are_refused(
    connector: Connector, speech_shape: tuple[int, ...], codes_shape: tuple[int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        predict_deltas(connector, np.ones(speech_shape, np.float32), np.zeros(codes_shape, np.float32))


@pytest.mark.parametrize("factor", [1e10, 1e38, float("nan")])
def test_deltas_that_no_face_can_follow_are_refused(connector: Connector, factor: float) -> None:
    damaged = deepcopy(connector)
    damaged.projector.projector[2].weight.data.mul_(factor)
    with pytest.raises(UserError, match="predicts expression deltas that are no numbers, or beyond 1,000"):
        predict_deltas(damaged, np.ones(12, np.float32), np.ones((5, 10), np.float32))


@pytest.mark.parametrize(("hidden", "num_threads"), [(32, 1), (256, 2)])
def test_a_small_network_predicts_on_one_thread_whoever_asks(
    monkeypatch: pytest.MonkeyPatch, hidden: int, num_threads: int
) -> None:
    network = NetworkParams(hidden=hidden, num_layers=1, num_heads=2, feedforward=32, window=5, dropout=0.0)
    seen = []

    def see(_connector: Connector, _speech: torch.Tensor, codes_BNK: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return codes_BNK

    monkeypatch.setattr(inference, "roll_out", see)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        predict_deltas(Connector(network, 10, 12).eval(), np.ones(12), np.zeros((5, 10)))
        assert (seen, torch.get_num_threads()) == ([num_threads], 2)
    finally:
        torch.set_num_threads(before)
