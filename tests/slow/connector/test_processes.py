"""Several processes train as one would."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from cmet.connector.card import WEIGHTS
from cmet.connector.losses import LossTerms
from cmet.connector.processes import Processes
from cmet.connector.product import Model
from cmet.connector.training import Purpose, Untracked, train_connector
from cmet.errors import UserError
from cmet.outputs import content_digest
from cmet.params import NetworkParams, TrainParams
from cmet.shards import Shards
from tests.connector_shards import CLIPS, write_shards

ROOT = Path(__file__).parents[3]
MakeParams = Callable[..., TrainParams]
# dropout is drawn by each process for itself
NETWORK = NetworkParams(hidden=32, num_layers=1, num_heads=2, feedforward=32, window=5, dropout=0.0)
PURPOSE = Purpose("facemesh", "opensmile", None, CLIPS)


def two_processes(shards: Path, *runs: tuple[Path, TrainParams, int | None]) -> subprocess.CompletedProcess[str]:
    """Train in two processes, one run after the other; each may be interrupted at a step."""
    described = json.dumps([[str(out), params.model_dump(mode="json"), end_at] for out, params, end_at in runs])
    command = [sys.executable, "-m", "tests.distributed_training", str(shards), described]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=300
    )


def alone(shards: Path, out: Path, params: TrainParams) -> None:
    one, work = Processes(0, 1, torch.device("cpu")), out.with_name(f"{out.name}.work")
    train_connector(Shards(shards), out, params, 7, work, Untracked(), one, PURPOSE)


@dataclass(frozen=True)
class Trained:
    """Folders of what two processes have trained, and how."""

    shards: Path
    plain: Path
    plain_params: TrainParams
    whole: Path
    broken: Path
    left: Path
    """Interrupted at step 4 of the plain one, after a checkpoint."""
    ended: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, make_params: MakeParams) -> Trained:
    """Of one launch: starting takes longer than these trainings."""
    folder = tmp_path_factory.mktemp("trained")
    shards = write_shards(folder, num_sentences=1)
    # with the loss that compares every row with all targets of the batch
    plain = make_params(
        network=NETWORK, num_steps=6, validate_every=3, reconstruction="bmse", learning_rate=1e-4, batch_size=32
    )
    # with dropout: each process goes on with its own generator
    broken = make_params(num_steps=4, checkpoint_every=2, validate_every=2, ema_decay=0.9)
    runs = (
        (folder / "plain", plain, None),
        (folder / "whole", broken, None),
        (folder / "broken", broken, 3),
        (folder / "broken", broken, None),
        (folder / "left", plain, 4),
    )
    ended = two_processes(shards, *runs)
    return Trained(shards, folder / "plain", plain, folder / "whole", folder / "broken", folder / "left", ended)


def test_two_processes_have_the_loss_curve_of_one(trained: Trained, tmp_path: Path) -> None:
    assert trained.plain.is_dir(), trained.ended.stderr
    alone(trained.shards, tmp_path / "one", trained.plain_params)
    one, two = (Model(folder).history for folder in (tmp_path / "one", trained.plain))
    assert one[["step", "metric"]].equals(two[["step", "metric"]])
    is_train = one["metric"].str.startswith("train/")
    assert is_train.sum() == 4 * 6
    np.testing.assert_allclose(two["value"][is_train], one["value"][is_train], rtol=1e-5)
    # the optimizer moves biases before a batch norm by rounding noise alone, which validation sees
    is_loss = one["metric"].isin([f"val/{name}" for name in LossTerms._fields])
    np.testing.assert_allclose(two["value"][is_loss], one["value"][is_loss], rtol=1e-2)
    weights, others = (load_file(folder / WEIGHTS) for folder in (tmp_path / "one", trained.plain))
    for name in (name for name in weights if "running_var" in name):
        torch.testing.assert_close(others[name], weights[name], rtol=1e-4, atol=1e-6)


def test_one_process_goes_on_where_two_were_interrupted_on_the_same_loss_curve(trained: Trained) -> None:
    alone(trained.shards, trained.left, trained.plain_params)
    whole, left = (Model(folder).history for folder in (trained.plain, trained.left))
    is_train = whole["metric"].str.startswith("train/")
    np.testing.assert_allclose(left["value"][is_train], whole["value"][is_train], rtol=1e-5)


def test_two_processes_go_on_to_the_same_bytes(trained: Trained) -> None:
    assert not trained.ended.returncode, trained.ended.stderr
    state = torch.load(trained.broken.with_name("broken.checkpoint"), weights_only=True)
    assert state["step"] == 2
    assert not torch.equal(*state["generators"])
    assert content_digest(trained.broken) == content_digest(trained.whole)


def test_a_batch_that_cannot_be_shared_is_an_error(shards: Path, tmp_path: Path, make_params: MakeParams) -> None:
    three = Processes(0, 3, torch.device("cpu"))
    with pytest.raises(UserError, match="train.batch_size: 16 is not a multiple of 3 processes"):
        train_connector(
            Shards(shards), tmp_path / "out", make_params(), 7, tmp_path / "work", Untracked(), three, PURPOSE
        )


LAUNCHES = """
import json, os, sys
from cmet.launching import run_under_torchrun, wanted_launch

os.environ["PET_NPROC_PER_NODE"] = "2"
for restarts, words in json.loads(sys.argv[1]):
    os.environ["PET_MAX_RESTARTS"] = str(restarts)
    sys.argv = ["cmet", *words]
    code = run_under_torchrun(wanted_launch(2))
    print("exit code", code, file=sys.stderr, flush=True)
"""


def test_torchrun_starts_the_command_in_each_process_passes_its_exit_code_on_and_tries_no_user_error_again() -> None:
    # importing torchrun takes longer than what it starts here
    launches = (0, ["weights", "--nonsense"]), (3, ["summary", "--params", "nowhere.yaml"])
    command = [sys.executable, "-c", LAUNCHES, json.dumps(launches)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert not done.returncode
    plain, restartable, rest = done.stderr.split("exit code 2\n")
    # the first that ends may take the other with it
    assert 1 <= plain.count("No such option: --nonsense") <= 2
    assert 1 <= restartable.count(f"cmet: {ROOT}/nowhere.yaml: ") <= 2
    assert rest == ""
