"""A training for torchrun to start: `python -m tests.distributed_training SHARDS OUT PARAMS STEP`.

It dies when STEP is logged.
"""

import os
import sys
from pathlib import Path

import torch

from cmet.connector.processes import training_processes
from cmet.connector.training import Untracked, train
from cmet.params import TrainParams


class Ending(Untracked):
    """Ends the process at a step."""

    def __init__(self, step: str) -> None:
        self.step = step

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        if str(step) == self.step:
            os._exit(9)


def main(shards: Path, out: Path, params: TrainParams, end_at: str) -> None:
    with training_processes(torch.device("cpu")) as processes:
        train(
            shards,
            out,
            params,
            7,
            out.with_name(f"{out.name}.work"),
            Ending(end_at),
            processes,
            backbone="facemesh",
            speech_encoder="opensmile",
            held_out_emotion=None,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), TrainParams.model_validate_json(sys.argv[3]), sys.argv[4])
