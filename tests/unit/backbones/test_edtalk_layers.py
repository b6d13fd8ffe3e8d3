import pytest
import torch
from torch import Tensor

from cmet.backbones.edtalk.decoder import sampled, warp_features
from cmet.backbones.edtalk.layers import Blur, ModulatedConv, ModulatedPointwise, Upsample
from tests.edtalk_procedure import _doubled, _modulated


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("upsamples", [False, True])
def test_a_shared_kernel_gives_what_one_kernel_per_sample_gives(upsamples: bool) -> None:
    conv = ModulatedConv(6, 5, upsamples)
    x, style = torch.randn(3, 6, 8, 8), torch.randn(3, 512)
    with torch.no_grad():
        found, factors = conv(x, style)
        close(found * factors, _modulated(conv, x, style))


def test_a_pointwise_layer_scales_the_input_of_each_sample_by_its_style() -> None:
    conv = ModulatedPointwise(6, 3)
    x, style = torch.randn(2, 6, 4, 4), torch.randn(2, 512)
    with torch.no_grad():
        close(conv(x, style), _modulated(conv, x, style))


def test_upsampling_inserts_zeros_and_filters() -> None:
    x = torch.randn(2, 3, 5, 5)
    upsample = Upsample()
    close(upsample(x), _doubled(x, upsample.kernel))


def test_a_blur_with_a_stride_is_every_second_row_and_column_of_the_blur() -> None:
    x = torch.randn(2, 4, 8, 8)
    close(Blur(padding=1, stride=2)(x), Blur(padding=1)(x)[:, :, ::2, ::2])


def test_blur_and_upsampling_keep_the_brightness_of_an_even_plane() -> None:
    even = torch.ones(1, 2, 8, 8)
    close(Blur(padding=1)(even)[:, :, 2:-2, 2:-2], torch.ones(1, 2, 3, 3))
    close(Upsample()(even)[:, :, 2:-2, 2:-2], torch.ones(1, 2, 12, 12))


def test_warping_samples_to_the_right_and_gives_a_mask() -> None:
    feature = torch.arange(8.0).expand(1, 1, 8, 8)
    flow = torch.zeros(1, 3, 8, 8)
    flow[:, 2] = 100.0
    still, mask = warp_features(feature, flow)
    flow[:, 0] = 0.25
    moved, _ = warp_features(feature, flow)
    assert mask.unique().tolist() == [1.0]
    assert (moved[0, 0, 3, 1:5] > still[0, 0, 3, 1:5]).all()
    flow[:, 2] = -100.0
    assert warp_features(feature, flow)[1].abs().max() < 1e-6


@pytest.mark.parametrize(("num", "channels", "side"), [(1, 64, 16), (3, 5, 8)])
def test_sampling_by_rows_is_grid_sampling(num: int, channels: int, side: int) -> None:
    maps, grid = torch.randn(num, channels, side, side), 3 * torch.rand(num, side, side, 2) - 1.5
    expected = torch.nn.functional.grid_sample(maps, grid, align_corners=False)
    torch.testing.assert_close(sampled(maps, grid), expected, atol=1e-6, rtol=0)
