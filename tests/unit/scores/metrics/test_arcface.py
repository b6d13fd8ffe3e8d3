from pathlib import Path

import pytest
import torch

from cmet.errors import UserError
from cmet.scores.metrics.arcface import ArcFace, load_arcface
from cmet.weights.registry import NETWORKS

FILE = "backbone.pth"
SHAPES = NETWORKS["arcface"].shapes


def published() -> dict[str, torch.Tensor]:
    """Every tensor, without the memory: the values of each are one number, repeated."""
    return {
        key: torch.zeros(shape, dtype=torch.int64) if "num_batches" in key else torch.tensor(0.5).expand(shape)
        for key, shape in SHAPES.items()
    }


@pytest.fixture(scope="module")
def network() -> ArcFace:
    return ArcFace().eval()


def test_the_network_has_the_published_keys(network: ArcFace) -> None:
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == SHAPES
    # iresnet50 is known for 43.59 million parameters
    assert sum(value.numel() for value in network.parameters()) == pytest.approx(43.59e6, rel=1e-3)


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("conv1.weight", (64, 3, 3, 3)),
        ("prelu.weight", (64,)),
        ("layer1.0.downsample.0.weight", (64, 64, 1, 1)),
        ("layer2.3.conv2.weight", (128, 128, 3, 3)),
        ("layer3.13.bn3.running_mean", (256,)),
        ("layer4.2.prelu.weight", (512,)),
        ("bn2.weight", (512,)),
        ("fc.weight", (512, 25088)),
        ("features.running_var", (512,)),
    ],
)
def test_layers_have_their_published_names(key: str, shape: tuple[int, ...]) -> None:
    assert SHAPES[key] == shape


@torch.inference_mode()
def test_a_face_becomes_512_numbers(network: ArcFace) -> None:
    assert network(torch.zeros(2, 3, 112, 112)).shape == (2, 512)


def test_the_published_file_loads(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    torch.save(published(), tmp_path / "metrics" / FILE)
    network = load_arcface(tmp_path)
    assert not network.training
    assert all((parameter == 0.5).all() for parameter in network.parameters())


def test_another_depth_is_refused_by_name(tmp_path: Path) -> None:
    deeper = published() | {"layer3.14.bn1.weight": torch.ones(256)}
    (tmp_path / "metrics").mkdir()
    torch.save(deeper, tmp_path / "metrics" / FILE)
    with pytest.raises(UserError, match=r"ArcFace.*, but 1 unexpected \(layer3\.14\.bn1\.weight\)") as caught:
        load_arcface(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'metrics' / FILE}: ")
