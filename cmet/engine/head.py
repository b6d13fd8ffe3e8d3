"""The head of a Ray cluster: which nodes there are, and whether it is still there to say so.

Ray's own `ray.nodes()` waits for a head that is gone, and ends the process after a minute without a word of ours.
"""

import time
from dataclasses import dataclass, field
from typing import Any

ANSWER_S = 1.0
"""How long an answer of the head is waited for at a time."""

SILENT_S = 30.0
"""How long a head may be silent; after twice as long Ray ends this process."""


class LostCluster(Exception):
    """The cluster that this process is connected with is gone; the message says how, as a clause."""


@dataclass(frozen=True)
class RayNode:
    """A node of the cluster."""

    node_id: str
    name: str
    """For messages."""
    num_cores: int
    """That Ray may use."""
    num_gpus: int


@dataclass
class ClusterHead:
    """The head of the cluster that this process is connected with."""

    client: Any
    """Ray's own, for its head; it takes another cluster's head for no head."""
    address: str
    own_id: str
    """The node that this process is on."""
    answered_s: float = field(default_factory=time.monotonic)

    def nodes(self) -> dict[str, RayNode] | None:
        """The nodes that are alive, by their ids; None where the head does not answer, and may still do.

        Raises:
            LostCluster: It has not for too long, another one answers in its place, or Ray has ended on this machine.
        """
        from ray.exceptions import RayError

        try:
            infos = self.client.get_all_node_info(timeout=ANSWER_S)
        except RayError as error:
            if "WrongClusterID" in str(error):
                raise LostCluster(f"the head of the Ray cluster at {self.address} was started anew") from error
            if time.monotonic() - self.answered_s > SILENT_S:
                raise LostCluster(f"the head of the Ray cluster at {self.address} does not answer") from error
            return None
        self.answered_s = time.monotonic()
        alive = {node_id.hex(): info for node_id, info in infos.items() if info.state == info.ALIVE}
        if self.own_id not in alive:
            raise LostCluster("Ray has ended on this machine")
        return {node_id: _ray_node(node_id, info) for node_id, info in alive.items()}


def connected_head() -> ClusterHead:
    """That of the cluster that this process is connected with."""
    import ray
    from ray._private.worker import global_worker

    context = ray.get_runtime_context()
    worker: Any = global_worker
    return ClusterHead(worker.gcs_client, context.gcs_address, context.get_node_id())


def _ray_node(node_id: str, info: Any) -> RayNode:
    name = f"node {info.node_manager_hostname} ({info.node_manager_address})"
    resources = info.resources_total
    return RayNode(node_id, name, int(resources.get("CPU", 0)), int(resources.get("GPU", 0)))
