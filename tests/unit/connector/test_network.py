"""Initial weights and sizes; numbers are in tests/golden."""

import pytest
import torch

from cmet.connector.network import Connector, FrameEncoder
from cmet.params import NetworkParams
from tests.bench_training import plain_pass

SMALL = {"hidden": 64, "num_layers": 3, "num_heads": 4, "feedforward": 48, "window": 5, "dropout": 0.1}


@pytest.mark.parametrize(
    ("hidden", "ladder"),
    [
        (32, [4, 8, 8, 8, 16, 16, 16, 32]),
        (128, [4, 8, 8, 8, 16, 16, 16, 32, 64, 128]),
        (1024, [4, 8, 8, 8, 16, 16, 16, 32, 64, 128, 256, 512, 1024]),
    ],
)
def test_channels_double_until_the_hidden_width(hidden: int, ladder: list[int]) -> None:
    assert [unit.conv_block[0].out_channels for unit in FrameEncoder(hidden)] == ladder  # type: ignore[union-attr, index]


@pytest.mark.parametrize(("expression_width", "speech_width", "window"), [(10, 88, 5), (30, 1024, 3), (6, 12, 8)])
def test_any_width_and_window_goes_through(expression_width: int, speech_width: int, window: int) -> None:
    connector = Connector(NetworkParams.model_validate(SMALL | {"window": window}), expression_width, speech_width)
    frames = torch.randn(2, window, expression_width)
    found = connector(frames, torch.randn(2, 1, speech_width), frames)
    assert found.delta_BTD.shape == (2, window, expression_width)
    assert found.reference_BTH.shape == found.source_BTH.shape == (2, window, 64)


def test_what_runs_at_once_gives_what_the_plain_passes_of_the_benchmark_give() -> None:
    torch.manual_seed(0)
    connector = Connector(
        NetworkParams(hidden=32, num_layers=2, num_heads=2, feedforward=32, window=5, dropout=0.0), 10, 12
    )
    inputs = torch.randn(3, 5, 10), torch.randn(3, 1, 12), torch.randn(3, 5, 10)
    for mode in (True, False):
        connector.train(mode)
        for ours, plain in zip(connector(*inputs), plain_pass(connector, *inputs), strict=True):
            torch.testing.assert_close(ours, plain, rtol=0, atol=2e-5)


def test_initial_weights_follow_the_published_rule() -> None:
    connector = Connector(NetworkParams.model_validate(SMALL), 10, 12)
    fusion = connector.fusion_transformer_encoder
    assert not fusion.modality.weight[0].any()
    first, *others = (layer.self_attn for layer in fusion.transformer_encoder.layers)
    for other in others:
        assert torch.equal(first.in_proj_weight, other.in_proj_weight)
        assert not torch.equal(first.out_proj.weight, other.out_proj.weight)
    assert not first.out_proj.bias.any()
    assert not connector.projector.projector[0].bias.any()


def test_too_narrow_an_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="expression width must be at least 5, got 4"):
        Connector(NetworkParams.model_validate(SMALL), 4, 12)
