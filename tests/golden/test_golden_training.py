"""One and three training steps against the published loop, on a fixed batch with dropout 0."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fill import integers, normal
from torch import Tensor, nn

from cmet.connector.checkpoint import make_optimizer
from cmet.connector.losses import FIRST_SPREAD, LossTerms, loss_terms
from cmet.connector.network import Connector, Prediction
from cmet.connector.processes import Processes
from cmet.connector.sampler import Batch
from cmet.connector.step import TrainingStep, both_passes
from cmet.experiments import read_experiment
from cmet.params import TrainParams
from tests.golden.ours import DROPOUT_OFF, filled_connector

GOLDEN = np.load(Path(__file__).parent / "train_step.npz")
EXPERIMENT = Path(__file__).parents[2] / "experiments/mead-edtalk.yaml"


def paper_params(**changes: Any) -> TrainParams:
    """The recipe of the experiment that reproduces the paper, on the fixed batch."""
    fixed = {"network": DROPOUT_OFF, "batch_size": 8, "num_steps": 1}
    return TrainParams(**read_experiment(EXPERIMENT)["train"] | fixed | changes)


ALONE = Processes(0, 1, torch.device("cpu"))
RECIPES = {"focal": "focal_mse", "mse": "mse", "wmse": "wmse", "bmse": "bmse"}


def make_batch(dtype: torch.dtype) -> Batch:
    direction = normal("step/direction", (8, 1, 10), 0.3).repeat(1, 5, 1)
    reference = direction.clone()
    reference[1] = 0
    reference[2, :3] = 0
    speech = normal("step/e_target", (8, 1, 1024), 0.4) - normal("step/e_source", (8, 1, 1024), 0.4)
    source, target = normal("step/source", (8, 5, 10), 0.6), normal("step/target", (8, 5, 10), 0.6)
    labels = integers("step/labels", (8, 1, 1), 0, 8).flatten()
    tensors = (tensor.to(dtype) for tensor in (speech, reference, source, target, direction))
    return Batch(*tensors, labels, labels, torch.zeros(8, 0, dtype=torch.long))


def make_connector(dtype: torch.dtype) -> Connector:
    return deepcopy(filled_connector(10)).to(dtype).train()


@dataclass
class Passes:
    """Both passes over the batch, whose graph all recipes share."""

    connector: Connector
    batch: Batch
    forward: Prediction
    backward: Prediction

    def terms(self, params: TrainParams, spread: Tensor) -> LossTerms:
        labels_B = self.batch.labels_B
        return loss_terms(self.forward, self.backward, self.batch.delta_BTK, labels_B, labels_B, params, spread)


@pytest.fixture(scope="module", params=[torch.float32, torch.float64], ids=["float32", "float64"])
def passes(request: pytest.FixtureRequest) -> Passes:
    batch, connector = make_batch(request.param), make_connector(request.param)
    return Passes(connector, batch, *both_passes(connector, batch))


@pytest.mark.parametrize("direction", ["bidir", "unidir"])
@pytest.mark.parametrize("reconstruction", RECIPES)
def test_terms_and_total_gradient_are_the_published_ones(passes: Passes, direction: str, reconstruction: str) -> None:
    params = paper_params(reconstruction=reconstruction, direction=direction)
    name = f"{direction}/{RECIPES[reconstruction]}"
    dtype = passes.batch.delta_BTK.dtype
    spread = nn.Parameter(torch.tensor(FIRST_SPREAD, dtype=dtype))
    terms = passes.terms(params, spread)
    if dtype == torch.float32:
        assert list(terms.values().values()) == pytest.approx(GOLDEN[f"{name}/terms"].tolist(), rel=1e-5)
        return
    tolerance = 1e-7 if reconstruction == "wmse" else 1e-8
    assert list(terms.values().values()) == pytest.approx(GOLDEN[f"{name}/terms64"].tolist(), rel=tolerance)
    gradients = torch.autograd.grad(terms.total, list(passes.connector.parameters()), retain_graph=True)
    total = torch.stack([gradient.norm() for gradient in gradients]).norm()
    assert float(total) == pytest.approx(float(GOLDEN[f"{name}/grad_norm_total"]), rel=tolerance)


@pytest.mark.parametrize("direction", ["bidir", "unidir"])
def test_the_spread_of_bmse_is_trained_as_published(passes: Passes, direction: str) -> None:
    params = paper_params(reconstruction="bmse", direction=direction)
    spread = nn.Parameter(torch.tensor(FIRST_SPREAD, dtype=passes.batch.delta_BTK.dtype))
    (spread.grad,) = torch.autograd.grad(passes.terms(params, spread).total, [spread], retain_graph=True)
    make_optimizer(nn.Module(), spread, params).step()
    assert spread.item() == pytest.approx(float(GOLDEN[f"{direction}/bmse/sigma_after"]), abs=1e-6)


@pytest.mark.parametrize("direction", ["bidir", "unidir"])
def test_gradients_and_the_adamw_step_are_the_published_ones(direction: str) -> None:
    params = paper_params(reconstruction="focal", direction=direction)
    name = f"{direction}/focal_mse"
    connector = make_connector(torch.float64)
    step = TrainingStep(connector, params, ALONE)
    step(make_batch(torch.float64)).total.backward()
    parameters = dict(connector.named_parameters())
    names = [str(parameter) for parameter in GOLDEN[f"{name}/grad_names"]]
    assert sorted(names) == sorted(parameters)
    before = {key: parameters[key].detach().clone() for key in names}
    gradients = [parameters[key].grad for key in names]
    scale = float(GOLDEN[f"{name}/grad_norm_total"])
    norms = [float(gradient.norm()) for gradient in gradients if gradient is not None]
    sums = [float(gradient.sum()) for gradient in gradients if gradient is not None]
    np.testing.assert_allclose(norms, GOLDEN[f"{name}/grad_norms"], rtol=1e-8, atol=1e-12 * scale)
    np.testing.assert_allclose(sums, GOLDEN[f"{name}/grad_sums"], rtol=1e-8, atol=1e-9 * scale)

    make_optimizer(connector, step.spread, params).step()
    moved = [float((parameters[key].detach() - before[key]).norm()) for key in names]
    np.testing.assert_allclose(moved, GOLDEN[f"{name}/step_norms"], rtol=1e-5, atol=1e-8)
    state = connector.state_dict()
    statistics = [float(state[str(key)].double().sum()) for key in GOLDEN[f"{name}/bn_names"]]
    np.testing.assert_allclose(statistics, GOLDEN[f"{name}/bn_sums"], rtol=1e-9)


def test_three_steps_follow_the_published_loop() -> None:
    params = paper_params(reconstruction="focal", direction="bidir")
    connector, batch = make_connector(torch.float64), make_batch(torch.float64)
    step = TrainingStep(connector, params, ALONE)
    optimizer = make_optimizer(connector, step.spread, params)
    found = []
    for _ in range(3):
        optimizer.zero_grad()
        terms = step(batch)
        terms.total.backward()
        optimizer.step()
        found.append(list(terms.values().values())[:3])
    np.testing.assert_allclose(found, GOLDEN["bidir/focal_mse/three_steps"], rtol=1e-6)
