"""Training on two machines: here each is an agent of torchrun on this one, with a process of its own."""

import os
import platform
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import yaml

from cmet.connector.product import Model
from cmet.outputs import content_digest
from cmet.project import Project
from cmet.stages.registry import run_stage
from cmet.tracking.store import open_store
from tests.connector_shards import TINY, write_shards

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/training-cluster.md").read_text(encoding="utf-8")
# dropout is drawn by each process for itself, and first windows give batch norms rows that hardly differ
RECIPE = TINY | {
    "network": TINY["network"].model_copy(update={"dropout": 0.0}).model_dump(),
    "num_steps": 30,
    "learning_rate": 1e-4,
    "validate_every": 15,
    "checkpoint_every": 4,
}
# a lost agent is noticed within two seconds instead of fifteen
QUICK = "join_timeout=60,keep_alive_interval=1,keep_alive_max_attempt=2"


class Nodes:
    """Agents that meet at one address, each with a log of its own."""

    def __init__(self, root: Path, **variables: str) -> None:
        with socket.create_server(("localhost", 0)) as server:
            self.endpoint = f"localhost:{server.getsockname()[1]}"
        self.root = root
        self.logs: list[Path] = []
        self.environment = os.environ | {"OMP_NUM_THREADS": "1"} | variables

    def start(self, before: str, command: str) -> subprocess.Popen[bytes]:
        """Start another one by commands of the documentation: the last one becomes the process."""
        said = f"{before}\nexec {command}".replace("node1:29400", self.endpoint).replace("edtalk", "facemesh")
        self.logs.append(self.root / f"node-{len(self.logs)}.log")
        with self.logs[-1].open("wb") as log:
            return subprocess.Popen(["bash", "-c", said], cwd=self.root, env=self.environment, stdout=log, stderr=log)

    def said(self) -> str:
        """What all of them have said."""
        return "\n".join(log.read_text() for log in self.logs)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A project with shards of a small world, and nothing trained."""
    root = tmp_path_factory.mktemp("nodes") / "bare"
    shards = write_shards(root, num_sentences=1)
    for folder in ("data/shards", "data/expression/facemesh/model", "data/expression/facemesh/codes"):
        (root / folder).mkdir(parents=True)
    shards.rename(root / "data/shards/facemesh")
    shutil.copy(empty_store, root / "mlflow.db")
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["train"] = RECIPE
    (root / "params.yaml").write_text(yaml.safe_dump(values))
    return root


@pytest.fixture(scope="module")
def undisturbed(bare: Path) -> Path:
    """The model of two nodes that torchrun has started by hand."""
    root = shutil.copytree(bare, bare.with_name("undisturbed"))
    nodes = Nodes(root)
    (torchrun,) = re.findall(r"^torchrun .*", PAGE, re.MULTILINE)
    started = [nodes.start("", torchrun) for _ in range(2)]
    assert [node.wait(120) for node in started] == [0, 0], nodes.said()
    return root / "data/train/facemesh"


def test_two_nodes_have_the_loss_curve_of_one_process(bare: Path, undisturbed: Path) -> None:
    root = shutil.copytree(bare, bare.with_name("alone"))
    run_stage("train", Project.at(root / "params.yaml"), "facemesh")
    one, two = (Model(folder).history for folder in (root / "data/train/facemesh", undisturbed))
    assert one[["step", "metric"]].equals(two[["step", "metric"]])
    is_train = one["metric"].str.startswith("train/")
    assert is_train.sum() == 4 * RECIPE["num_steps"]
    np.testing.assert_allclose(two["value"][is_train], one["value"][is_train], rtol=1e-5)


def test_a_node_that_is_killed_and_comes_back_leaves_the_same_bytes(bare: Path, undisturbed: Path) -> None:
    root = shutil.copytree(bare, bare.with_name("killed"))
    nodes = Nodes(root, PET_NPROC_PER_NODE="1", PET_RDZV_CONF=QUICK)
    (said,) = re.findall(r"^(export PET_NNODES=2 .*)\n(cmet train .*)", PAGE, re.MULTILINE)
    first = nodes.start(*said)
    wait_for_store(nodes.endpoint)
    second = nodes.start(*said)
    while not list(root.glob(".work/train-facemesh/*/checkpoint.pt")):
        assert first.poll() is None and second.poll() is None, nodes.said()
        time.sleep(0.01)
    time.sleep(random.random())
    second.kill()
    assert second.wait() < 0, "it was too late to kill it"
    again = nodes.start(*said)
    assert (first.wait(120), again.wait(120)) == (0, 0), nodes.said()
    assert "train: goes on from step" in nodes.said()
    assert content_digest(root / "data/train/facemesh") == content_digest(undisturbed)
    store = open_store(root)
    assert [run.info.status for run in store.client.search_runs([store.experiment])] == ["FINISHED"]


def wait_for_store(endpoint: str) -> None:
    """Wait until the first node, where the others meet, answers."""
    host, port = endpoint.split(":")
    while True:
        with suppress(ConnectionRefusedError), socket.create_connection((host, int(port))):
            return
        time.sleep(0.05)


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
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    missing, silent = done.stdout.splitlines()
    node = platform.node()
    assert missing.startswith(
        f"PET_NNODES: fewer than 2 nodes met at localhost:0 as {node} sees it, in time; start the"
    )
    assert silent.startswith(f"PET_RDZV_ENDPOINT: nobody answers at 127.0.0.2:9 as {node} sees it; it must name a node")
