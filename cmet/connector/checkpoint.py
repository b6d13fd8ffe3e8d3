"""Everything that changes while a Connector is trained, and its way to disk and back."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cmet.connector.batches import Batches
from cmet.connector.network import Connector
from cmet.connector.processes import Processes
from cmet.connector.step import TrainingStep
from cmet.errors import UserError
from cmet.inputs.texts import shown
from cmet.optimizers import uncompiled
from cmet.outputs import fresh_file
from cmet.params import TrainParams
from cmet.weights.containers import UnreadableWeights, kind_of, load_content, not_finite


@dataclass(eq=False)
class TrainingState:
    """A run after `step` steps."""

    module: TrainingStep
    optimizer: torch.optim.Optimizer
    batches: Batches
    average: AveragedModel | None
    """Exponential moving average of the weights, with the batch norms' own running statistics."""
    step: int = 0
    history: list[tuple[int, str, float]] = field(default_factory=list)
    """Step, metric and value."""
    best_step: int = 0
    best_score: float = float("inf")
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    num_stale: int = 0
    """Validations since the best one."""

    @classmethod
    def begin(cls, module: TrainingStep, batches: Batches, params: TrainParams) -> "TrainingState":
        """The state before the first step."""
        optimizer = make_optimizer(module.connector, module.spread, params)
        return cls(module, optimizer, batches, _average(module.connector, params.ema_decay))

    @property
    def validated(self) -> Connector:
        """What is validated and kept: the average where there is one."""
        connector = self.average.module if self.average else self.module.connector
        assert isinstance(connector, Connector)
        return connector

    def update_average(self) -> None:
        """Let the present weights into the average; the first time they become it."""
        if self.average:
            self.average.update_parameters(self.module.connector)

    def is_over(self, params: TrainParams) -> bool:
        """Whether there is no step left to do."""
        is_stale = params.patience is not None and self.num_stale >= params.patience
        return is_stale or self.step >= params.num_steps

    def record(self, metrics: dict[str, float]) -> None:
        """Keep metrics of the present step."""
        self.history += [(self.step, name, value) for name, value in metrics.items()]

    def keep_weights(self, score: float) -> None:
        """Keep a copy of the present weights if the score is the smallest so far."""
        self.num_stale += 1
        if score < self.best_score:
            self.num_stale = 0
            self.best_step, self.best_score = self.step, score
            self.best_weights = {name: tensor.clone() for name, tensor in self.validated.state_dict().items()}

    def save(self, path: Path, processes: Processes) -> None:
        """Write all of it, and the state of torch's generators (dropout), atomically; the first process does.

        Args:
            path: The file.
            processes: Each has generators of its own; all must call this.

        Raises:
            UserError: The disk is full or cannot be written to; what was at the path before is still there.
        """
        generators = processes.of_all(torch.get_rng_state())
        device_generators = processes.of_all(_device_generator(processes.device))
        batches = processes.of_all(self.batches.state())
        if not processes.is_first:
            return
        values: dict[str, Any] = {
            "connector": self.module.connector.state_dict(),
            "spread": self.module.spread.detach(),
            "average": self.average.state_dict() if self.average else None,
            "optimizer": self.optimizer.state_dict(),
            "batches": batches,
            "generators": generators,
            "device_generators": device_generators,
            "step": self.step,
            "history": self.history,
            "best": (self.best_step, self.best_score, self.best_weights),
            "num_stale": self.num_stale,
        }
        try:
            # given a path, torch.save writes its name into the file
            with fresh_file(path) as unfinished, unfinished.open("wb") as stream:
                torch.save(values, stream)
        except (OSError, RuntimeError) as error:
            # torch.save covers what the disk said by an error of its own
            said = error if isinstance(error, OSError) else error.__context__
            if not isinstance(said, OSError):
                raise
            kept = "the one before it is kept; " if path.is_file() else ""
            raise UserError(
                f"{path}: the checkpoint of step {self.step} could not be written ({said.strerror}); "
                f"{kept}free some space and run the same command again to continue"
            ) from error

    def load(self, path: Path, processes: Processes) -> bool:
        """Go on exactly where `save` was called, if there is a checkpoint.

        The first process reads it and hands it to the others: on a shared disk they may not see yet what another
        machine has written. Where the number of processes is another one, dropout and streaming shards go on with
        other draws.

        Returns:
            Whether there is one.

        Raises:
            UserError: The file is damaged, is of another training or holds weights that are not finite.
        """
        values = processes.from_first(lambda: _content(path))
        if values is None:
            return False
        try:
            self._take(values, processes)
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{path}: not a checkpoint that this training can go on from ({shown(str(error))}); delete it, and the "
                "same command begins anew"
            ) from error
        return True

    def _take(self, values: dict[str, Any], processes: Processes) -> None:
        self.module.connector.load_state_dict(values["connector"])
        self.module.spread.data.copy_(values["spread"])
        if self.average:
            self.average.load_state_dict(values["average"])
        self.optimizer.load_state_dict(values["optimizer"])
        is_same_num = len(values["generators"]) == processes.num
        self.batches.set_state(values["batches"][processes.rank if is_same_num else 0])
        if is_same_num:
            torch.set_rng_state(values["generators"][processes.rank])
            _set_device_generator(processes.device, values["device_generators"][processes.rank])
        self.step, self.history, self.num_stale = values["step"], values["history"], values["num_stale"]
        self.best_step, self.best_score, self.best_weights = values["best"]
        bad = not_finite(self.module.state_dict() | self.validated.state_dict() | self.best_weights)
        if bad:
            raise ValueError(f"NaN or infinity in {bad[0]}")


def _content(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        return load_content(path, kind_of(path))
    # as it is written for people who can download the file again, what is unreadable is not told here
    except UnreadableWeights as error:
        raise UserError(f"{path}: damaged; delete it, and the same command begins anew") from error


def make_optimizer(connector: nn.Module, spread: nn.Parameter, params: TrainParams) -> torch.optim.Optimizer:
    """AdamW over all parameters; the sigma of `bmse` is a group of its own."""
    groups: list[dict[str, Any]] = [{"params": list(connector.parameters())}]
    if params.reconstruction == "bmse":
        groups.append({"params": [spread]})
    return uncompiled(torch.optim.AdamW)(groups, lr=params.learning_rate, weight_decay=params.weight_decay, fused=True)


def _average(connector: Connector, decay: float | None) -> AveragedModel | None:
    return None if decay is None else AveragedModel(connector, multi_avg_fn=get_ema_multi_avg_fn(decay))


def _device_generator(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.zeros(0, dtype=torch.uint8)


def _set_device_generator(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda" and len(state):
        torch.cuda.set_rng_state(state, device)
