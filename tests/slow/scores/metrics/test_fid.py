from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cmet.errors import ClipError, UserError
from cmet.media.video import VideoFile, write_video
from cmet.scores.metrics import fid
from cmet.scores.metrics.fid import FrechetInceptionDistance, inception_pictures, pooled_inception
from cmet.scores.metrics.frechet import distance_of_sets
from cmet.scores.metrics.metric import Shown
from cmet.scores.metrics.registry import load_metrics
from cmet.weights.registry import CHECKPOINTS, NETWORKS

FILE = "pt_inception-2015-12-05-6726825d.pth"

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> Tensors:
    """Random tensors of the published file."""
    generator = torch.Generator().manual_seed(0)

    def random(key: str, shape: tuple[int, ...]) -> Tensor:
        if key.endswith(("running_var", "bn.weight")):
            return torch.ones(shape)
        spread = (2 / int(np.prod(shape[1:]))) ** 0.5 if len(shape) > 1 else 0.1
        return torch.randn(shape, generator=generator) * spread

    network = NETWORKS["inception"]
    return {key: random(key, shape) for key, shape in network.shapes.items() if network.needs(key)}


@pytest.fixture(scope="module")
def weights(state: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights with them."""
    folder = tmp_path_factory.mktemp("weights")
    (folder / "metrics").mkdir()
    torch.save(state, folder / "metrics" / FILE)
    return folder


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Random tensors take a few bytes more or less than the published ones."""
    published = CHECKPOINTS["fid-inception"]
    (download,) = published.downloads
    of_any_size = replace(published, downloads=(replace(download, size_bytes=None),))
    monkeypatch.setitem(CHECKPOINTS, "fid-inception", of_any_size)
    yield


def write_noise(path: Path, num_frames: int, seed: int) -> Path:
    """A video of coarse noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (num_frames, 4, 4, 3), dtype=np.uint8)
    write_video(path, coarse.repeat(16, axis=1).repeat(16, axis=2), 25)
    return path


def shown(video: Path, truth: Path | None) -> Shown:
    return Shown(video, truth, None, None)


def stand_in() -> FrechetInceptionDistance:
    """Mean colours of 4 x 4 fields in place of what Inception sees."""
    return FrechetInceptionDistance(nn.AdaptiveAvgPool2d(4), torch.device("cpu"))


def test_the_recorded_file_has_472_tensors_that_must_be_there() -> None:
    network = NETWORKS["inception"]
    assert sum(map(network.needs, network.shapes)) == 472
    assert network.shapes["fc.weight"] == (1008, 2048)


def test_pictures_are_made_as_in_pytorch_fid() -> None:
    frames = torch.randint(0, 256, (2, 598, 598, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pictures = inception_pictures(frames)
    # at half the size, a pixel lies in the middle of four
    fours = frames.permute(0, 3, 1, 2).double().unflatten(3, (299, 2)).unflatten(2, (299, 2)).mean((3, 5))
    torch.testing.assert_close(pictures.double(), 2 * fours / 255 - 1, rtol=0, atol=1e-5)


def test_the_network_gives_what_the_library_pools(state: Tensors, weights: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    frames = torch.randint(0, 256, (1, 3, 299, 299), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    library = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(weights / "metrics" / FILE))
    with torch.inference_mode():
        (expected,) = library(frames)
        found = pooled_inception(state).eval()((frames.float() - 128) / 128).flatten(1)
    assert found.shape == (1, 2048)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("name", "limit"), [("FRAMES_AT_ONCE", 3), ("BYTES_AT_ONCE", 1)])
def test_every_frame_counts_whatever_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    path = write_noise(tmp_path / "a.mp4", 7, seed=0)
    whole = stand_in().features_of_clip(path)
    monkeypatch.setattr(fid, name, limit)
    assert whole.shape == (7, 48)
    np.testing.assert_allclose(stand_in().features_of_clip(path), whole, rtol=1e-6)


def test_clips_are_compared_each_with_its_truth_and_all_frames_together(tmp_path: Path) -> None:
    paths = [write_noise(tmp_path / f"{number}.mp4", 4 + number, seed=number) for number in range(4)]
    metric = stand_in()
    found = metric.measure([shown(paths[0], paths[1]), shown(paths[2], paths[3])], "fid")
    rows = [metric.features_of_clip(path) for path in paths]
    assert found.per_clip == [
        {"fid/pairwise-mean": pytest.approx(distance_of_sets(rows[0], rows[1]))},
        {"fid/pairwise-mean": pytest.approx(distance_of_sets(rows[2], rows[3]))},
    ]
    together = distance_of_sets(np.concatenate(rows[::2]), np.concatenate(rows[1::2]))
    assert found.of_set == {"fid/distribution": pytest.approx(together)}


def test_truth_itself_is_at_no_distance(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "a.mp4", 5, seed=0)
    found = stand_in().measure([shown(path, path)], "fid")
    assert found.per_clip == [{"fid/pairwise-mean": pytest.approx(0, abs=1e-12)}]
    assert found.of_set == {"fid/distribution": pytest.approx(0, abs=1e-12)}


def test_a_clip_of_one_frame_is_too_short(tmp_path: Path) -> None:
    path = write_noise(tmp_path / "a.mp4", 1, seed=0)
    assert len(VideoFile(path)) == 1
    found = stand_in().measure([shown(path, path)], "fid")
    assert [str(reason) for reason in found.per_clip] == [
        "too_short: a.mp4 has one frame, but the spread of its features needs two"
    ]


@pytest.mark.usefixtures("any_size")
def test_published_weights_give_distances_and_a_broken_clip_a_reason(weights: Path, tmp_path: Path) -> None:
    one, other = write_noise(tmp_path / "one.mp4", 2, seed=0), write_noise(tmp_path / "other.mp4", 2, seed=1)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")

    ready, absent = load_metrics(["fid"], weights)
    assert not absent
    found = ready["fid"].measure([shown(broken, one), shown(one, None), shown(one, other)], "fid")
    reasons = [reason.code for reason in found.per_clip if isinstance(reason, ClipError)]
    assert reasons == ["unreadable_video", "no_truth"]
    values = found.per_clip[2]
    assert not isinstance(values, ClipError)
    assert values["fid/pairwise-mean"] > 1e-3
    # with a single pair both kinds are one
    assert found.of_set == {"fid/distribution": pytest.approx(values["fid/pairwise-mean"], rel=1e-6)}


def test_without_weights_the_reason_says_where_to_get_them(tmp_path: Path) -> None:
    ready, absent = load_metrics(["fid"], tmp_path)
    assert not ready
    assert absent["fid"].startswith(f"{FILE} (FID as in the paper: Inception v3, 2048 features) is missing")
    assert absent["fid"].endswith("; run `cmet weights get fid-inception`")


def test_a_file_of_another_size_is_refused_by_name(weights: Path) -> None:
    with pytest.raises(UserError, match=rf"{FILE}: .* bytes, but the published file has 95,628,359: damaged, or"):
        FrechetInceptionDistance.load(weights)


@pytest.mark.usefixtures("any_size")
def test_a_file_of_other_tensors_is_refused_by_name(state: Tensors, tmp_path: Path) -> None:
    short = {key: tensor[:1].clone() for key, tensor in state.items() if not key.startswith("Mixed_7c")}
    (tmp_path / "metrics").mkdir()
    torch.save(short, tmp_path / "metrics" / FILE)
    with pytest.raises(UserError, match=rf"{FILE}: .* of 472 keys missing \(Mixed_7c"):
        FrechetInceptionDistance.load(tmp_path)
