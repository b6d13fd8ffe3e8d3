"""A step narrowed, compiled or corrected is still the step."""

from collections.abc import Callable

import pytest
import torch

from cmet.connector.bank import FeatureBank
from cmet.connector.losses import LossTerms, contrastive_loss
from cmet.connector.network import Connector
from cmet.connector.processes import Processes
from cmet.connector.sampler import Batch, Sampler
from cmet.connector.step import TrainingStep, both_passes
from cmet.params import NetworkParams, TrainParams
from cmet.shards import PairSample

MakeParams = Callable[..., TrainParams]
MakePairs = Callable[[str], list[PairSample]]
ALONE = Processes(0, 1, torch.device("cpu"))
NETWORK = NetworkParams(hidden=64, num_layers=2, num_heads=2, feedforward=64, window=5, dropout=0.0)


@pytest.fixture(scope="module")
def batch(make_pairs: MakePairs, make_params: MakeParams) -> Batch:
    clips = [clip for pair in make_pairs("a") for clip in pair.clips()]
    return Sampler(FeatureBank.from_clips(clips, ALONE.device), make_params(), 1).draw(16)


def make_step(params: TrainParams) -> TrainingStep:
    torch.manual_seed(3)
    return TrainingStep(Connector(params.network, 10, 12).train(), params, ALONE)


def losses(params: TrainParams, batch: Batch) -> LossTerms:
    return make_step(params)(batch)


def test_bfloat16_is_for_gpus_only(batch: Batch, make_params: MakeParams) -> None:
    wide, narrow = (make_params(network=NETWORK, precision=name) for name in ("float32", "bfloat16"))
    assert torch.equal(losses(wide, batch).total, losses(narrow, batch).total)


def test_narrowed_passes_have_nearly_the_same_losses_and_gradients_in_float32(
    batch: Batch, make_params: MakeParams
) -> None:
    params = make_params(network=NETWORK)
    expected, step = losses(params, batch), make_step(params)
    # what precision bfloat16 turns on where there is a GPU
    step.is_narrow = True
    found = step(batch)
    assert [*found.values().values()] == pytest.approx([*expected.values().values()], rel=0.05)
    assert found.total != expected.total
    found.total.backward()
    gradients = [parameter.grad for parameter in step.connector.parameters()]
    assert all(gradient is not None and gradient.dtype == torch.float32 for gradient in gradients)


def test_both_passes_are_one_graph(batch: Batch, make_params: MakeParams) -> None:
    """What torch.compile takes: one piece without a break, with the same results."""
    step = make_step(make_params(network=NETWORK))
    expected = both_passes(step.connector, batch)
    compiled = torch.compile(both_passes, backend="eager", fullgraph=True)
    for found, wanted in zip(compiled(step.connector, batch), expected, strict=True):
        torch.testing.assert_close(found.delta_BTD, wanted.delta_BTD)


def test_joined_passes_are_those_of_one_after_the_other(batch: Batch, make_params: MakeParams) -> None:
    joined, single = (make_step(make_params(network=NETWORK)).connector.double() for _ in range(2))
    wide = Batch(*(tensor.double() if tensor.is_floating_point() else tensor for tensor in batch))
    expected = [
        single(wide.reference_BTK, wide.speech_B1S, wide.source_BTK),
        single(-wide.reference_BTK, -wide.speech_B1S, wide.target_BTK),
    ]
    for found, wanted in zip(both_passes(joined, wide), expected, strict=True):
        for stream, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(stream, other, rtol=1e-10, atol=1e-10)
    for name, tensor in joined.state_dict().items():
        torch.testing.assert_close(tensor, single.state_dict()[name], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("changes", "term"),
    [
        ({"contrastive_signs": "equal"}, "contrastive"),
        ({"reconstruction": "wmse", "wmse_backward_label": "first"}, "regression"),
    ],
)
def test_a_corrected_quirk_changes_its_own_term_only(
    batch: Batch, make_params: MakeParams, changes: dict[str, str], term: str
) -> None:
    published = make_params(network=NETWORK, reconstruction=changes.get("reconstruction", "focal"))
    before, after = losses(published, batch).values(), losses(make_params(network=NETWORK, **changes), batch).values()
    assert {name for name in before if before[name] != after[name]} == {term, "total"}


def test_equal_signs_are_the_published_loss_of_the_visual_delta_turned_round(
    batch: Batch, make_params: MakeParams
) -> None:
    step = make_step(make_params(network=NETWORK, contrastive_signs="equal"))
    swapped = make_step(make_params(network=NETWORK))
    forward, backward = both_passes(step.connector, batch)
    visual_delta_BH = (backward.source_BTH - forward.source_BTH).mean(1)
    pairs = ((visual_delta_BH, forward), (-visual_delta_BH, backward))
    expected = sum(contrastive_loss(move, prediction.speech_B1H[:, 0], batch.labels_B) for move, prediction in pairs)
    assert float(step(batch).contrastive) == pytest.approx(float(expected) / 2, rel=1e-5)
    assert float(swapped(batch).contrastive) != pytest.approx(float(expected) / 2, rel=1e-5)
