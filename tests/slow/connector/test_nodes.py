"""Training on two machines: here each is an agent of torchrun on this one, with a process of its own."""

import os
import platform
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cmet.connector.product import Model
from cmet.outputs import content_digest
from cmet.project import Project
from cmet.tracking.store import open_store
from tests.small_line import run_untracked
from tests.training_nodes import MODEL, QUICK, RECIPE, TrainingNodes, write_untrained

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
LIMIT_S = 600


def checkpoint(root: Path) -> int | None:
    """When the last checkpoint was written; None before the first."""
    return max((path.stat().st_mtime_ns for path in root.glob(".work/train-facemesh/*/checkpoint.pt")), default=None)


def test_two_nodes_of_which_one_is_killed_and_comes_back_leave_the_bytes_of_two_and_the_loss_curve_of_one_process(
    empty_store: Path, tmp_path: Path
) -> None:
    root, undisturbed, alone = (tmp_path / name for name in ("killed", "undisturbed", "alone"))
    write_untrained(root, empty_store)
    for other in (undisturbed, alone):
        shutil.copytree(root, other)
    nodes = TrainingNodes(root, PET_NPROC_PER_NODE="1", PET_RDZV_CONF=QUICK)
    first, second = nodes.start_two()
    # by checkpoints and not by time: no machine is too quick
    for _ in range(random.randint(1, 4)):
        before = checkpoint(root)
        while checkpoint(root) == before:
            assert first.poll() is None and second.poll() is None, nodes.said()
            time.sleep(0.001)
    second.kill()
    assert second.wait() < 0, "it was too late to kill it"
    again = nodes.start_by_hand()
    assert (first.wait(LIMIT_S), again.wait(LIMIT_S)) == (0, 0), nodes.said()
    assert "train: goes on from step" in nodes.said()
    store = open_store(root)
    assert [run.info.status for run in store.client.search_runs([store.experiment])] == ["FINISHED"]

    two = [sys.executable, "-m", "tests.distributed_training", undisturbed]
    done = subprocess.run(two, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert content_digest(root / MODEL) == content_digest(undisturbed / MODEL)

    run_untracked("train", Project.at(alone / "params.yaml"), "facemesh")
    one, two = (Model(folder / MODEL).history for folder in (alone, root))
    assert one[["step", "metric"]].equals(two[["step", "metric"]])
    is_train = one["metric"].str.startswith("train/")
    assert is_train.sum() == 4 * RECIPE["num_steps"]
    np.testing.assert_allclose(two["value"][is_train], one["value"][is_train], rtol=1e-5)


MISSED = """
import os, sys
from cmet.errors import UserError
from cmet.launching import run_under_torchrun, wanted_launch

for endpoint, patience in zip(sys.argv[1::2], sys.argv[2::2]):
    os.environ.update(PET_NNODES="2", PET_RDZV_ENDPOINT=endpoint, PET_RDZV_CONF=patience)
    try:
        run_under_torchrun(wanted_launch(32))
    except UserError as error:
        print(error, flush=True)
"""


def test_a_node_that_does_not_come_and_one_that_does_not_answer_are_told() -> None:
    # nobody listens at port 9 of an address of this machine that torchrun does not take for its own
    cases = ("localhost:0", "join_timeout=1"), ("127.0.0.2:9", "read_timeout=1,is_host=0")
    command = [sys.executable, "-c", MISSED, *(word for case in cases for word in case)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S)
    missing, silent = done.stdout.splitlines()
    node = platform.node()
    assert missing.startswith(
        f"PET_NNODES: fewer than 2 nodes met at localhost:0 as {node} sees it, in time; start the"
    )
    assert silent.startswith(f"PET_RDZV_ENDPOINT: nobody answers at 127.0.0.2:9 as {node} sees it; it must name a node")
