"""Torch's optimizers without its compiler, which their methods import at the first call: a second and a half."""

from inspect import unwrap
from typing import TypeVar

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)


def uncompiled(kind: type[Kind]) -> type[Kind]:
    """The same optimizer for steps that nothing compiles: its methods without what keeps the compiler out of them."""
    methods = {name: unwrap(getattr(kind, name)) for name in ("add_param_group", "load_state_dict", "state_dict")}
    # that of a step switches gradients off besides
    methods |= {"step": torch.no_grad()(unwrap(kind.step)), "zero_grad": unwrap(kind.zero_grad)}
    return type(kind.__name__, (kind,), methods)
