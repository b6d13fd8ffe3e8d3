from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cmet.errors import ClipError, UserError
from cmet.media.video import write_video
from cmet.scores.metrics.fvd import FrechetVideoDistance, distance_of_clips, i3d_picture, taken_frames
from cmet.scores.metrics.metric import Shown
from cmet.scores.metrics.registry import load_metrics
from cmet.weights.registry import NETWORKS

FILE = "i3d_pretrained_400.pt"


class Corners(nn.Module):
    """Stands for I3D where only what reaches it matters: brightness of the first and of the last frame."""

    def forward(self, clips_N3THW: Tensor) -> Tensor:
        return clips_N3THW.mean((1, 3, 4))[:, [0, -1]]


def write_grey(path: Path, *levels: int) -> Path:
    """A video of flat frames."""
    write_video(path, (np.full((64, 64, 3), level, np.uint8) for level in levels), 25)
    return path


def shown(video: Path, truth: Path | None) -> Shown:
    return Shown(video, truth, None, None)


@pytest.mark.parametrize(
    ("num_frames", "taken"),
    [
        (1, [0] * 15),
        (4, [0, 1, 2, *[3] * 12]),
        (15, [*range(15)]),
        (16, [*range(14), 15]),
        (29, [*range(0, 29, 2)]),
        (75, [0, 5, 10, 15, 21, 26, 31, 37, 42, 47, 52, 58, 63, 68, 74]),
    ],
)
def test_15_frames_are_taken_and_the_last_is_repeated_in_a_short_clip(num_frames: int, taken: list[int]) -> None:
    assert taken_frames(num_frames) == taken


def test_frames_are_resized_as_tensorflow_1_does() -> None:
    frame = torch.randint(0, 256, (112, 112, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = (i3d_picture(frame) + 1) * 127.5
    values = frame.permute(2, 0, 1).float()
    assert picture.shape == (3, 224, 224)
    # at twice the size every second value is an old one, and the last column stands twice
    torch.testing.assert_close(picture[:, ::2, ::2], values)
    torch.testing.assert_close(picture[:, ::2, 1:-1:2], (values[:, :, :-1] + values[:, :, 1:]) / 2)
    torch.testing.assert_close(picture[:, ::2, -1], values[:, :, -1])


def test_black_is_minus_one_and_white_is_one() -> None:
    assert i3d_picture(torch.zeros(30, 40, 3, dtype=torch.uint8)).unique().tolist() == [-1]
    assert i3d_picture(torch.full((30, 40, 3), 255, dtype=torch.uint8)).unique().tolist() == [1]


def test_the_distance_of_repeated_clips_is_the_squared_distance_of_their_logits() -> None:
    one, other = np.random.default_rng(0).normal(5, 3, (2, 1, 400)).astype(np.float32)
    squared = np.sum((one.astype(np.float64) - other) ** 2)
    assert distance_of_clips(one, other) == pytest.approx(squared, rel=1e-9)
    assert distance_of_clips(one, one) == 0


def test_clips_are_compared_each_with_its_truth_and_all_together(tmp_path: Path) -> None:
    dark, bright = write_grey(tmp_path / "dark.mp4", *[50] * 20), write_grey(tmp_path / "bright.mp4", *[200] * 20)
    rising = write_grey(tmp_path / "rising.mp4", *range(0, 255, 12))
    metric = FrechetVideoDistance(Corners(), torch.device("cpu"))
    found = metric.measure([shown(dark, bright), shown(bright, dark), shown(rising, dark)], "fvd")
    values = [2 * level / 255 - 1 for level in (50, 200, 0, 252)]
    assert found.per_clip[:2] == [{"fvd/pairwise-mean": pytest.approx(2 * (values[1] - values[0]) ** 2, rel=0.03)}] * 2
    expected = (values[2] - values[0]) ** 2 + (values[3] - values[0]) ** 2
    assert found.per_clip[2] == {"fvd/pairwise-mean": pytest.approx(expected, rel=0.03)}
    assert found.of_set.keys() == {"fvd/distribution"}
    assert set(metric.NAMES) == {"fvd/pairwise-mean", *found.of_set}

    swapped = metric.measure([shown(dark, bright), shown(bright, dark)], "fvd")
    assert swapped.of_set["fvd/distribution"] == pytest.approx(0, abs=1e-12)


def test_a_single_clip_has_no_distribution(tmp_path: Path) -> None:
    clip = write_grey(tmp_path / "a.mp4", 50, 60)
    found = FrechetVideoDistance(Corners(), torch.device("cpu")).measure([shown(clip, clip)], "fvd")
    assert (found.per_clip, found.of_set) == ([{"fvd/pairwise-mean": 0}], {})


def test_published_weights_give_a_distance_and_a_broken_clip_a_reason(tmp_path: Path) -> None:
    torch.manual_seed(0)
    (tmp_path / "metrics").mkdir()
    random = {
        key: torch.randn(shape) * 0.05 for key, shape in NETWORKS["i3d"].shapes.items() if NETWORKS["i3d"].needs(key)
    }
    for key in random:
        # batch norm as plain as this lets the picture reach the logits of random kernels
        if key.endswith(("bn.weight", "running_var")):
            random[key] = torch.ones_like(random[key])
    torch.save(random, tmp_path / "metrics" / FILE)
    one, other = write_grey(tmp_path / "one.mp4", 0, 80, 160), write_grey(tmp_path / "other.mp4", 255, 200)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")

    metric = FrechetVideoDistance.load(tmp_path)
    found = metric.measure([shown(one, other), shown(broken, other), shown(one, None)], "fvd")
    values = found.per_clip[0]
    assert not isinstance(values, ClipError)
    assert values["fvd/pairwise-mean"] > 1e-6
    reasons = [reason.code for reason in found.per_clip if isinstance(reason, ClipError)]
    assert reasons == ["unreadable_video", "no_truth"]


def test_without_weights_the_reason_says_where_to_get_them(tmp_path: Path) -> None:
    ready, absent = load_metrics(["fvd"], tmp_path)
    assert not ready
    assert absent["fvd"].startswith(f"{FILE} (FVD: I3D of Kinetics-400")
    assert absent["fvd"].endswith("; run `cmet weights get fvd-i3d`")


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    tensors = {key: torch.ones(()).expand(shape) for key, shape in NETWORKS["inception"].shapes.items()}
    (tmp_path / "metrics").mkdir()
    torch.save(tensors, tmp_path / "metrics" / FILE)
    with pytest.raises(UserError, match=rf"{FILE}: this is FID's Inception v3 .*, not .*: 287 of 287 keys missing"):
        FrechetVideoDistance.load(tmp_path)
