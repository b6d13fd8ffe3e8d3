import re
import time
from typing import Any

import pytest
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from ray.exceptions import RpcError

from cmet.engine import head
from cmet.engine.head import ClusterHead, LostCluster, RayNode


class Client:
    """Ray's client of a head, that answers what it is told to."""

    def __init__(self, answer: dict[bytes, GcsNodeInfo] | Exception) -> None:
        self.answer = answer

    def get_all_node_info(self, timeout: float) -> dict[bytes, GcsNodeInfo]:
        assert timeout == head.ANSWER_S
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def info(name: str, **changes: Any) -> GcsNodeInfo:
    address = {"node_manager_hostname": name, "node_manager_address": "10.0.0.1"}
    return GcsNodeInfo(**address | {"resources_total": {"CPU": 4.0, "GPU": 2.0}} | changes)


def test_nodes_that_are_alive_are_told() -> None:
    gone = info("c", state=GcsNodeInfo.DEAD)
    nodes = ClusterHead(
        Client({b"a": info("a"), b"b": info("b", resources_total={}), b"c": gone}), "10.0.0.1:6379", "61"
    ).nodes()
    assert nodes == {"61": RayNode("61", "node a (10.0.0.1)", 4, 2), "62": RayNode("62", "node b (10.0.0.1)", 0, 0)}


def test_a_silent_head_is_given_up_after_a_while_in_which_it_has_not_answered() -> None:
    client = Client({b"a": info("a")})
    found = ClusterHead(client, "10.0.0.1:6379", "61", answered_s=time.monotonic() - head.SILENT_S - 1)
    assert found.nodes()
    client.answer = RpcError("Timed out while waiting for GCS to become available.", 4)
    assert found.nodes() is None
    found.answered_s -= head.SILENT_S
    with pytest.raises(LostCluster, match=r"^the head of the Ray cluster at 10\.0\.0\.1:6379 does not answer$"):
        found.nodes()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (RpcError("RPC error: WrongClusterID: Perhaps", 16), "the head of the Ray cluster at h:1 was started anew"),
        ({b"b": info("b")}, "Ray has ended on this machine"),
        ({b"a": info("a", state=GcsNodeInfo.DEAD)}, "Ray has ended on this machine"),
    ],
)
def test_a_cluster_that_is_gone_is_told_at_once(answer: Any, said: str) -> None:
    with pytest.raises(LostCluster, match=f"^{re.escape(said)}$"):
        ClusterHead(Client(answer), "h:1", "61").nodes()
