"""Agents of torchrun that train together on this machine, as those of several machines would."""

import os
import re
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import yaml

from tests.connector_shards import TINY, write_shards

ROOT = Path(__file__).parents[1]
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
QUICK = "join_timeout=600,keep_alive_interval=1,keep_alive_max_attempt=2"
MODEL = "data/train/facemesh"


def write_untrained(root: Path, empty_store: Path) -> None:
    """A project with shards of a small world, and nothing trained."""
    shards = write_shards(root, num_sentences=1)
    for folder in ("data/shards", "data/expression/facemesh/model", "data/expression/facemesh/codes"):
        (root / folder).mkdir(parents=True)
    shards.rename(root / "data/shards/facemesh")
    shutil.copy(empty_store, root / "mlflow.db")
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    values["train"] = RECIPE
    (root / "params.yaml").write_text(yaml.safe_dump(values))


class TrainingNodes:
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

    def start_by_hand(self) -> subprocess.Popen[bytes]:
        """Start one by torchrun itself; it can meet nodes that have begun again."""
        (torchrun,) = re.findall(r"^torchrun .*", PAGE, re.MULTILINE)
        (needed,) = re.findall(r"`(TORCH_DISABLE_\w+=1)`", PAGE)
        return self.start(f"export {needed}", torchrun)

    def start_restartable(self) -> subprocess.Popen[bytes]:
        """Start one that begins again after the loss of another."""
        (said,) = re.findall(r"^(export PET_NNODES=2 .*)\n(cmet train .*)", PAGE, re.MULTILINE)
        return self.start(*said)

    def start_two(self) -> list[subprocess.Popen[bytes]]:
        """Start two such, of which the others meet at the first."""
        first = self.start_restartable()
        host, port = self.endpoint.split(":")
        while True:
            with suppress(ConnectionRefusedError), socket.create_connection((host, int(port))):
                return [first, self.start_restartable()]
            time.sleep(0.05)

    def said(self) -> str:
        """What all of them have said."""
        return "\n".join(log.read_text() for log in self.logs)
