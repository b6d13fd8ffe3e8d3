"""Control values, speech windows, pictures and layers of PD-FGC; numbers are in tests/golden."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from cmet.backbones.pdfgc import spectrogram as front_end
from cmet.backbones.pdfgc.control import neighbour_mean, smoothed, steered
from cmet.backbones.pdfgc.layers import Doubling, ModulatedConv, noise_field
from cmet.backbones.pdfgc.pictures import pdfgc_frames, pdfgc_pictures
from cmet.backbones.pdfgc.spectrogram import pdfgc_bands, spectrogram, speech_windows
from cmet.errors import ClipError

CPU = torch.device("cpu")


# Control


def test_pose_is_the_mean_of_neighbours_and_of_two_frames_at_the_ends() -> None:
    found = neighbour_mean(torch.tensor([[1.0], [2.0], [6.0], [4.0]]))
    assert torch.allclose(found.flatten(), torch.tensor([1.5, 3.0, 4.0, 5.0]))


def test_smoothing_keeps_a_constant_inside_and_loses_a_quarter_at_the_ends() -> None:
    found = smoothed(torch.ones(5, 2))
    assert torch.allclose(found[1:-1], torch.ones(3, 2))
    assert torch.allclose(found[[0, -1]], torch.full((2, 2), 0.7259), atol=1e-4)


def test_one_frame_goes_through() -> None:
    control_NC = steered(smoothed(torch.ones(1, 500)), torch.ones(1, 30), torch.ones(1, 6), torch.ones(1, 6))
    assert control_NC.shape == (1, 542)


# Speech


@pytest.mark.parametrize(("num_samples", "num_rows"), [(16_000, 107), (16_001, 108), (16_159, 108), (16_160, 108)])
def test_there_is_a_row_for_every_shift_of_the_padded_signal(num_samples: int, num_rows: int) -> None:
    assert len(spectrogram(np.ones(num_samples, np.float32))) == num_rows


def test_a_window_holds_the_rows_around_its_video_frame() -> None:
    samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    rows_RM = spectrogram(samples)
    windows = speech_windows(samples)
    # frames 2 to 23 of the 26 that 107 rows fill
    assert windows.shape == (22, 1, 80, 20)
    for number in (0, 7, 21):
        np.testing.assert_array_equal(windows[number, 0].numpy().T, rows_RM[4 * number : 4 * number + 20])


def test_the_spectrogram_does_not_depend_on_the_parts_it_is_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).standard_normal(8_000).astype(np.float32)
    whole = spectrogram(samples)
    monkeypatch.setattr(front_end, "ROWS_AT_ONCE", 10)
    np.testing.assert_allclose(spectrogram(samples), whole, atol=1e-7)


def test_loudness_makes_no_difference_down_to_a_floor() -> None:
    samples = np.random.default_rng(0).standard_normal(8_000).astype(np.float32)
    np.testing.assert_allclose(spectrogram(samples / 100), spectrogram(samples), atol=1e-5)
    assert not spectrogram(np.zeros(8_000, np.float32)).any()


def test_every_band_is_heard_and_none_beyond_the_edges() -> None:
    bands_MF = pdfgc_bands()
    bins_hz = np.fft.rfftfreq(1280, 1 / 16_000)
    assert (bands_MF.sum(1) > 0).all()
    assert bands_MF[:, (bins_hz <= 125) | (bins_hz >= 7600)].max() < 1e-6 * bands_MF.max()


@pytest.mark.parametrize("num_samples", [0, 1, 1_920])
def test_speech_too_short_for_a_frame_is_refused(num_samples: int) -> None:
    with pytest.raises(ClipError, match=r"too_short: 0\.\d\d s of speech; one frame needs at least 0.13 s"):
        speech_windows(np.ones(num_samples, np.float32))


def test_speech_just_long_enough_gives_one_frame() -> None:
    assert len(speech_windows(np.ones(1_921, np.float32))) == 1


# Pictures


@pytest.mark.parametrize("side_px", [224, 256, 448])
def test_the_networks_see_the_upper_middle_of_a_face_crop(side_px: int) -> None:
    scale = side_px / 224
    frame = np.zeros((side_px, side_px, 3), np.uint8)
    frame[: round(192 * scale), round(16 * scale) : round(208 * scale)] = 255
    pictures = pdfgc_pictures([frame, frame], CPU)
    assert pictures.shape == (2, 3, 224, 224)
    # resizing mixes the two at the border
    assert pictures[..., :-2, 2:-2].min() > 0.9999


def test_pictures_become_frames_over_the_whole_range() -> None:
    pictures = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    (frame,) = pdfgc_frames(pictures)
    np.testing.assert_array_equal(frame[..., 0].ravel(), np.arange(256))


# Layers


@pytest.mark.parametrize("doubles", [False, True])
def test_a_modulated_convolution_is_one_with_a_kernel_of_its_own_for_every_picture(doubles: bool) -> None:
    torch.manual_seed(0)
    conv = ModulatedConv(6, 5, 3, 10, doubles=doubles).double()
    maps, style = torch.randn(3, 6, 7, 7).double(), torch.randn(3, 10).double()
    found = conv(maps, style)
    for number in range(3):
        kernel = conv.weight[0] * conv.scale * conv.modulation(style)[number][None, :, None, None]
        kernel = kernel / torch.sqrt(kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        picture = maps[number : number + 1]
        if conv.blur is None:
            expected = functional.conv2d(picture, kernel, padding=1)
        else:
            expected = conv.blur(functional.conv_transpose2d(picture, kernel.transpose(0, 1), stride=2))
        torch.testing.assert_close(found[number], expected[0])


def test_doubling_is_zeros_between_the_pixels_then_the_kernel() -> None:
    picture = torch.randn(1, 3, 5, 5)
    doubling = Doubling()
    spread = torch.zeros(1, 3, 10, 10)
    spread[..., ::2, ::2] = picture
    padded = functional.pad(spread, (2, 1, 2, 1))
    expected = functional.conv2d(padded, doubling.kernel.expand(3, 1, 4, 4), groups=3)
    torch.testing.assert_close(doubling(picture), expected)


def test_noise_is_the_same_at_every_call_and_another_at_every_place() -> None:
    assert torch.equal(noise_field("convs.0.noise", 14), noise_field("convs.0.noise", 14))
    assert not torch.equal(noise_field("convs.0.noise", 14), noise_field("convs.1.noise", 14))
