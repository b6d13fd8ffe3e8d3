"""Trainings one after the other, in two processes that torchrun seems to have started: `SHARDS RUNS`, or `PROJECT`.

They are forked, since importing torch takes longer than these trainings.

Of a PROJECT it is the stage. RUNS is a JSON list of `[OUT, PARAMS, STEP]`. One with a STEP is interrupted in all
processes when that is logged, and its checkpoint is copied to `OUT.checkpoint`; the same training once more goes on
from there.
"""

import json
import os
import shutil
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # what shares gradients imports it

from cmet.connector.processes import training_processes
from cmet.connector.training import CHECKPOINT, Purpose, Untracked, train_connector
from cmet.params import TrainParams
from cmet.project import Project
from cmet.shards import Shards
from tests.connector_shards import CLIPS
from tests.small_line import run_untracked


class Interrupted(Exception):
    """The step has come."""


class Ending(Untracked):
    """Interrupts a training at a step."""

    def __init__(self, step: int | None) -> None:
        self.step = step

    def log_metrics(self, step: int, metrics: dict[str, float]) -> None:
        if step == self.step:
            raise Interrupted


def train_project(root: Path) -> None:
    """Run the stage, of which MLflow hears nothing."""
    run_untracked("train", Project.at(root / "params.yaml"), "facemesh")


def train_runs(shards: Path, runs: list[tuple[str, dict[str, Any], int | None]]) -> None:
    """Train the runs."""
    with training_processes(torch.device("cpu")) as processes:
        for name, params, end_at in runs:
            out = Path(name)
            work = out.with_name(f"{out.name}.work")
            purpose = Purpose("facemesh", "opensmile", None, CLIPS)
            try:
                train_connector(Shards(shards), out, TrainParams(**params), 7, work, Ending(end_at), processes, purpose)
            except Interrupted:
                if processes.is_first:
                    shutil.copy(work / CHECKPOINT, out.with_name(f"{out.name}.checkpoint"))


def forked(rank: int, port: int) -> int:
    """Start a process of two, and return its number."""
    child = os.fork()
    if child:
        return child
    where = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "TORCHELASTIC_RUN_ID": "test"}
    os.environ.update(where, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2")
    try:
        if len(sys.argv) == 2:
            train_project(Path(sys.argv[1]))
        else:
            train_runs(Path(sys.argv[1]), json.loads(sys.argv[2]))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    with socket.create_server(("localhost", 0)) as server:
        free = server.getsockname()[1]
    ranks = [forked(rank, free) for rank in range(2)]
    sys.exit(any([os.waitpid(rank, 0)[1] for rank in ranks]))
