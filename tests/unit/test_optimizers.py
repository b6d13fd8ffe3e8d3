"""Torch's optimizers without its compiler; the published steps of AdamW are in tests/golden."""

import sys

import pytest
import torch
from torch.optim import SGD

from cmet.optimizers import uncompiled


def test_steps_follow_the_formula_over_a_pause_and_import_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)
    weights = torch.nn.Parameter(torch.arange(4.0, dtype=torch.float64))
    expected, velocity, state = weights.detach().clone(), torch.zeros(4, dtype=torch.float64), None
    for _ in range(3):
        optimizer = uncompiled(SGD)([weights], lr=0.1, momentum=0.9, weight_decay=0.05)
        if state is not None:
            optimizer.load_state_dict(state)
        optimizer.zero_grad()
        (weights**2).sum().backward()
        optimizer.step()
        state = optimizer.state_dict()
        velocity = 0.9 * velocity + 2 * expected + 0.05 * expected
        expected = expected - 0.1 * velocity
    torch.testing.assert_close(weights.detach(), expected)
    assert torch.is_grad_enabled()
