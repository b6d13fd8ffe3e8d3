"""How far rounding takes a training: what two processes compute beside one, and what one does from other last digits.

`python -m tests.bench_rounding` prints the tables of docs/training-cluster.md, from shards of a small world;
`python -m tests.bench_rounding SHARDS` takes others. Every training is compared with one process from the same first
weights: two processes; one process after a single weight was moved to the next float32; and two processes with all of
it in float64, where next to nothing is left of rounding.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cmet.experiments import read_experiment
from cmet.params import TrainParams
from cmet.text_tables import text_table

# torch is imported inside the functions: processes that measure something else import this module too
if TYPE_CHECKING:
    from torch import nn

    from cmet.connector.sampler import Batch

ROOT = Path(__file__).parents[1]
NUM_STEPS = 30
SHOWN_STEPS = (1, 2, 5, 10, 15, 20, 25, 30)
SEED = 7
TESTS, SAMPLE = "that of the tests, batch 16", "the sample's, dropout off"

Curve = list[dict[str, float]]
"""The loss terms of each step."""


@dataclass(frozen=True)
class Run:
    """One way to train."""

    num_processes: int = 1
    is_double: bool = False
    is_moved: bool = False
    """Whether one of the first weights is the next float32."""


TWO, MOVED, DOUBLE = Run(2), Run(is_moved=True), Run(2, is_double=True)
COMPARED = {
    "two processes": (TWO, Run()),
    "one weight moved": (MOVED, Run()),
    "two, in float64": (DOUBLE, Run(is_double=True)),
}
"""By heading: a run, and the one it is compared with."""


@dataclass(frozen=True)
class Rounding:
    """Largest difference of a loss term in every step, by recipe and by heading."""

    differences: Mapping[str, Mapping[str, Sequence[float]]]

    def largest(self, recipe: str, heading: str) -> float:
        """Over all steps."""
        return max(self.differences[recipe][heading])

    def recipes_table(self) -> str:
        """All recipes, over all steps."""
        rows = [[name, *(f"{self.largest(name, heading):.0e}" for heading in COMPARED)] for name in self.differences]
        return text_table(["recipe", *COMPARED], rows, list(COMPARED))

    def steps_table(self) -> str:
        """Up to some of the steps of the sample's recipe."""
        of_sample = self.differences[SAMPLE]
        rows = [[f"{step}", *(f"{max(of_sample[name][:step]):.0e}" for name in COMPARED)] for step in SHOWN_STEPS]
        return text_table(["up to step", *COMPARED], rows, ["up to step", *COMPARED])


def recipes() -> dict[str, TrainParams]:
    """That of the tests, changes to it, and the sample's."""
    from tests.training_nodes import RECIPE

    off = RECIPE["network"]["dropout"]
    sample = read_experiment(ROOT / "experiments/sample.yaml")["train"]
    changes: dict[str, dict[str, Any]] = {
        TESTS: {},
        "batch 32": {"batch_size": 32},
        "`speech_draw: random`": {"speech_draw": "random"},
        "`mixup_share: 1.0`": {"mixup_share": 1.0},
        "`first_window_share: 0.85`": {"first_window_share": 0.85},
        SAMPLE: sample | {"network": sample["network"] | {"dropout": off}},
    }
    return {name: TrainParams(**(RECIPE | change)) for name, change in changes.items()}


def measure_rounding(scratch: Path, shards: Path | None = None) -> Rounding:
    """Train by every recipe in every way.

    Args:
        scratch: Folder for the shards of a small world.
        shards: Those to take in their place.
    """
    from tests.connector_shards import write_shards

    folder = shards or write_shards(scratch, num_sentences=1)
    curves: dict[Run, dict[str, Curve]] = {}
    for run in [run for pair in COMPARED.values() for run in pair]:
        if run not in curves:
            curves[run] = curves_of(run, folder)
    return Rounding(
        {
            recipe: {
                heading: [
                    max(abs(ours[term] - theirs[term]) for term in ours)
                    for ours, theirs in zip(curves[run][recipe], curves[other][recipe], strict=True)
                ]
                for heading, (run, other) in COMPARED.items()
            }
            for recipe in recipes()
        }
    )


def curves_of(run: Run, shards: Path) -> dict[str, Curve]:
    """Loss terms of all recipes, trained in processes of their own."""
    arguments = ["tests.bench_rounding", str(shards), str(run.is_double), str(run.is_moved)]
    start = [] if run.num_processes == 1 else ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    command = [sys.executable, "-m", *start, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Curve] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return found


def train_all(shards: Path, is_double: bool, is_moved: bool) -> None:
    """Train by every recipe in this process, or with those that torchrun has started; the first prints the curves."""
    import torch

    from cmet.connector.processes import training_processes

    torch.set_num_threads(1)
    with training_processes(torch.device("cpu")) as processes:
        curves = {name: _curve(shards, params, processes, is_double, is_moved) for name, params in recipes().items()}
        if processes.is_first:
            print(json.dumps(curves))


def _curve(shards: Path, params: TrainParams, processes: Any, is_double: bool, is_moved: bool) -> Curve:
    import torch

    from cmet.connector.batches import make_batches
    from cmet.connector.checkpoint import TrainingState
    from cmet.connector.features import read_features
    from cmet.connector.network import Connector
    from cmet.connector.step import TrainingStep

    features = read_features(shards, params, processes.device, is_shown=False)
    torch.manual_seed(SEED)
    connector = Connector(params.network, features.expression_width, features.speech_width)
    if is_moved:
        _move_one_weight(connector)
    processes.synced(connector)
    module = TrainingStep(connector.train(), params, processes)
    if is_double:
        module.double()
    state = TrainingState.begin(module, make_batches(features, params, SEED, processes), params)
    trained = processes.sharing(module)
    curve = []
    for _ in range(NUM_STEPS):
        batch = state.batches.draw()
        terms = trained(_double(batch) if is_double else batch)
        state.optimizer.zero_grad()
        terms.total.backward()
        state.optimizer.step()
        curve.append(terms.values())
    return curve


def _move_one_weight(connector: "nn.Module") -> None:
    """One that all that is predicted depends on becomes the next float32 above it."""
    import torch

    weight = connector.get_parameter("projector.projector.0.weight")
    with torch.no_grad():
        weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(torch.inf))


def _double(batch: "Batch") -> "Batch":
    return type(batch)(*(tensor.double() if tensor.is_floating_point() else tensor for tensor in batch))


def main() -> None:
    if len(sys.argv) == 4:
        shards, *flags = sys.argv[1:]
        train_all(Path(shards), *(flag == "True" for flag in flags))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure_rounding(Path(folder), *map(Path, sys.argv[1:]))
    print(found.recipes_table(), found.steps_table(), sep="\n\n")


if __name__ == "__main__":
    main()
