"""Trainings for torchrun to start, one after the other: `python -m tests.distributed_training SHARDS RUNS`.

RUNS is a JSON list of `[OUT, PARAMS, STEP]`; the processes die when STEP is logged, if it is given.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from cmet.connector.processes import training_processes
from cmet.connector.training import Purpose, Untracked, train
from cmet.params import TrainParams
from cmet.shards import Shards
from tests.unit.connector.conftest import CLIPS


class Ending(Untracked):
    """Ends the process at a step."""

    def __init__(self, step: int | None) -> None:
        self.step = step

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        if step == self.step:
            os._exit(9)


def main(shards: Path, runs: list[tuple[str, dict[str, Any], int | None]]) -> None:
    with training_processes(torch.device("cpu")) as processes:
        for name, params, end_at in runs:
            out = Path(name)
            train(
                Shards(shards),
                out,
                TrainParams(**params),
                7,
                out.with_name(f"{out.name}.work"),
                Ending(end_at),
                processes,
                Purpose("facemesh", "opensmile", None, CLIPS),
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
