"""Everything that changes while a Connector is trained, and its way to disk and back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cmet.connector.losses import FIRST_SPREAD
from cmet.connector.network import Connector
from cmet.connector.sampler import Sampler
from cmet.outputs import fresh_file
from cmet.params import TrainParams


@dataclass(eq=False)
class TrainingState:
    """A run after `step` steps."""

    connector: Connector
    spread: nn.Parameter
    """Sigma of `bmse`."""
    optimizer: torch.optim.Optimizer
    sampler: Sampler
    step: int = 0
    history: list[tuple[int, str, float]] = field(default_factory=list)
    """Step, metric and value."""
    best_step: int = 0
    best_score: float = float("inf")
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def begin(cls, connector: Connector, sampler: Sampler, params: TrainParams) -> "TrainingState":
        """The state before the first step."""
        spread = nn.Parameter(torch.tensor(FIRST_SPREAD, device=connector.Norm.weight.device))
        return cls(connector, spread, make_optimizer(connector, spread, params), sampler)

    def record(self, metrics: dict[str, float]) -> None:
        """Keep metrics of the present step."""
        self.history += [(self.step, name, value) for name, value in metrics.items()]

    def keep_weights(self, score: float) -> None:
        """Keep a copy of the present weights if the score is the smallest so far."""
        if score < self.best_score:
            self.best_step, self.best_score = self.step, score
            self.best_weights = {name: tensor.clone() for name, tensor in self.connector.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write all of it, and the state of torch's global generators (dropout), atomically."""
        values: dict[str, Any] = {
            "connector": self.connector.state_dict(),
            "spread": self.spread.detach(),
            "optimizer": self.optimizer.state_dict(),
            "sampler": self.sampler.state(),
            "generator": torch.get_rng_state(),
            "device_generators": torch.cuda.get_rng_state_all(),
            "step": self.step,
            "history": self.history,
            "best": (self.best_step, self.best_score, self.best_weights),
        }
        with fresh_file(path) as unfinished:
            torch.save(values, unfinished)

    def load(self, path: Path) -> None:
        """Go on exactly where `save` was called."""
        values = torch.load(path, weights_only=True, map_location="cpu")
        self.connector.load_state_dict(values["connector"])
        self.spread.data.copy_(values["spread"])
        self.optimizer.load_state_dict(values["optimizer"])
        self.sampler.set_state(values["sampler"])
        torch.set_rng_state(values["generator"])
        torch.cuda.set_rng_state_all(values["device_generators"])
        self.step, self.history = values["step"], values["history"]
        self.best_step, self.best_score, self.best_weights = values["best"]


def make_optimizer(connector: Connector, spread: nn.Parameter, params: TrainParams) -> torch.optim.Optimizer:
    """AdamW over all parameters; the sigma of `bmse` is a group of its own."""
    groups: list[dict[str, Any]] = [{"params": list(connector.parameters())}]
    if params.reconstruction == "bmse":
        groups.append({"params": [spread]})
    return torch.optim.AdamW(groups, lr=params.learning_rate, weight_decay=params.weight_decay, fused=True)
