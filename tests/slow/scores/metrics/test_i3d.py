import numpy as np
import pytest
import torch
from torch import Tensor

from cmet.scores.metrics.i3d import I3D, VideoUnit, pad_same, pool_same
from cmet.weights.registry import NETWORKS


def line(*values: float) -> Tensor:
    """Values one after the other in time, shape (1, 1, T, 1, 1)."""
    return torch.tensor(values).reshape(1, 1, -1, 1, 1)


def test_tensors_have_the_recorded_names_and_shapes() -> None:
    with torch.device("meta"):
        state = I3D().state_dict()
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == NETWORKS["i3d"].shapes


@pytest.mark.parametrize(
    ("length", "size", "step", "before", "after"),
    [
        (224, 7, 2, 2, 3),
        (15, 7, 2, 3, 3),
        (112, 3, 2, 0, 1),
        (8, 3, 2, 0, 1),
        (7, 3, 1, 1, 1),
        (4, 2, 2, 0, 0),
        (5, 2, 2, 0, 1),
        (6, 1, 1, 0, 0),
        (9, 1, 2, 0, 0),
    ],
)
def test_padding_is_that_of_tensorflow(length: int, size: int, step: int, before: int, after: int) -> None:
    padded = pad_same(line(*[1.0] * length), (size, 1, 1), (step, 1, 1)).flatten().tolist()
    assert padded == [0.0] * before + [1.0] * length + [0.0] * after


def test_each_dimension_is_padded_by_its_own_size() -> None:
    assert pad_same(torch.zeros(1, 1, 15, 224, 5), (7, 7, 2), (2, 2, 2)).shape == (1, 1, 21, 229, 6)


def test_a_unit_convolves_norms_and_cuts_off_below_zero() -> None:
    unit = VideoUnit(1, 1, (3, 1, 1), (2, 1, 1)).eval()
    unit.load_state_dict(
        {
            "conv3d.weight": line(1.0, 10.0, 100.0),
            "bn.weight": torch.tensor([2.0]),
            "bn.bias": torch.tensor([-3.0]),
            "bn.running_mean": torch.tensor([300.0]),
            "bn.running_var": torch.tensor([4.0 - 1e-3]),
        }
    )
    with torch.inference_mode():
        found = unit(line(1.0, 2.0, 3.0, 4.0)).flatten()
    # 4 values at step 2: one zero after them, so 321 and 43; the deviation is 2, as is the factor
    np.testing.assert_allclose(found, [321 - 300 - 3, 0], rtol=1e-5)


def test_pooling_takes_the_largest_value() -> None:
    assert pool_same(line(1.0, 5.0, 2.0, 3.0), (3, 1, 1), (2, 1, 1)).flatten().tolist() == [5, 3]


def test_the_shortest_and_smallest_clips_become_400_logits_each() -> None:
    torch.manual_seed(0)
    network = I3D().eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            # small enough that the picture reaches the logits through initial weights
            buffer.fill_(0.01)
    clips = torch.rand(2, 3, 9, 193, 193) * 2 - 1
    with torch.inference_mode():
        logits = network(clips)
    assert logits.shape == (2, 400)
    assert ((logits[0] - logits[1]).abs() > 1e-3 * logits[0].abs()).float().mean() > 0.9
