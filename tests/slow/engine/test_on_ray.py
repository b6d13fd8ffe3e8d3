"""The whole line and maps over clips on a cluster of several nodes on this machine, of which some get lost."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from cmet.engine import on_ray
from cmet.engine.attempts import Job, Record
from cmet.engine.clip_map import ClipMap
from cmet.engine.node import NodeFacts, misfit
from cmet.engine.on_ray import check_cluster_address
from cmet.environment import known_versions
from cmet.errors import UserError
from cmet.outputs import content_digest
from tests.clip_jobs import Meeting, fail, misbehave
from tests.cluster_clips import LIMIT_S, NUM_CLIPS, Result, after_attempts, log_of, result, wait_until
from tests.ray_nodes import RayNodes
from tests.small_line import run_small_line

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.workers
CLIP_MAPS = ("sample", "clips", "speech", "expression", "edits", "evaluate: judge", "evaluate: landmarks")
"""What maps over clips, each once in the small line."""
GPUS = "--num-gpus=2"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayNodes]:
    """Two nodes with one core each; RAY_ADDRESS names them."""
    nodes = RayNodes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", nodes.address)
        try:
            nodes.start_two()
            yield nodes
        finally:
            import ray

            ray.shutdown()
            nodes.stop()


@pytest.fixture(scope="module")
def on_nodes(cluster: RayNodes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which every stage has run on the cluster, before anything else has."""
    folder = tmp_path_factory.mktemp("on-nodes")
    run_small_line(folder / "project", folder / "opened.json", RAY_ADDRESS=cluster.address)
    return folder / "project"


def outs() -> list[str]:
    """All that DVC records of the small line."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    written = [out for stage in stages for out in (*stage["outs"], *stage.get("metrics", []))]
    names = [out if isinstance(out, str) else next(iter(out)) for out in written]
    return [name.replace("${item.backbone}", "facemesh").replace("${item.encoder}", "opensmile") for name in names]


def digest(path: Path) -> str | bytes:
    return content_digest(path) if path.is_dir() else path.read_bytes()


@pytest.mark.slow
def test_the_whole_line_gives_the_same_bytes_as_this_machine_alone(small_line: Path, on_nodes: Path) -> None:
    alone = small_line / "project"
    assert len(outs()) > 2 * len(CLIP_MAPS)
    different = [out for out in outs() if digest(alone / out) != digest(on_nodes / out)]
    assert not different


@pytest.mark.slow
def test_every_map_over_clips_was_at_work_on_both_nodes(on_nodes: Path, cluster: RayNodes) -> None:
    for number in range(2):
        logs = (cluster.folder / str(number) / "tmp").glob("session_2*/logs/worker-*.out")
        assert sum(":actor_name:NodeWorkers" in log.read_text() for log in logs) == len(CLIP_MAPS)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """What comes of the clips on this machine alone."""
    folder = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        return result(folder, takes_s=0)


def test_two_nodes_and_one_that_joins_give_the_same_bytes_as_this_machine(
    cluster: RayNodes, expected: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with after_attempts(tmp_path, 2, lambda: cluster.start(GPUS)):
        assert result(tmp_path, 0, num_nodes=3) == expected
    assert len({node for node, _, _ in log_of(tmp_path)}) == 3
    assert len(log_of(tmp_path)) == NUM_CLIPS
    said = capsys.readouterr().err
    assert said.count(": five has something to say\n") == 1
    assert f"test: {NUM_CLIPS}/{NUM_CLIPS} in" in said


def test_every_gpu_of_a_node_is_handed_to_workers(cluster: RayNodes, tmp_path: Path) -> None:
    # the test before this one has let it join, unless it was left out
    if len(cluster.processes) < 3:
        cluster.join(GPUS)
    (tmp_path / "meeting").mkdir()
    clip_map = ClipMap(Meeting(tmp_path / "meeting", 6), tmp_path / "work", "test")
    records = clip_map.run([{"clip_id": str(number)} for number in range(6)], uses_networks=True)
    # two workers for each GPU of the third node, and one on each of the others, which have none
    assert sorted(record["gpu"] or "none" for record in records) == ["0", "0", "1", "1", "none", "none"]


def test_a_worker_that_is_killed_and_a_node_that_is_lost_lose_nothing(
    cluster: RayNodes, expected: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = tmp_path / "gate"

    def kill() -> None:
        os.kill(int(log_of(tmp_path)[-1][1]), signal.SIGKILL)

    def lose() -> None:
        cluster.lose(cluster.processes[-1])
        gate.touch()

    cluster.wait_until_ready()
    with after_attempts(tmp_path, 4, kill), after_attempts(tmp_path, 12, lose):
        assert result(tmp_path, 0.1, num_nodes=len(cluster.processes), gate=gate) == expected
    assert "that are done again" in capsys.readouterr().err
    assert len(log_of(tmp_path)) > NUM_CLIPS


def test_a_raylet_that_is_killed_loses_nothing(
    cluster: RayNodes, expected: Result, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raylet = cluster.raylet(cluster.processes[1])
    with after_attempts(tmp_path, 6, lambda: os.kill(raylet, signal.SIGKILL)):
        assert result(tmp_path, 0.1) == expected
    assert "that are done again" in capsys.readouterr().err


def test_clips_that_hang_or_crash_are_quarantined_as_on_this_machine(cluster: RayNodes, tmp_path: Path) -> None:
    jobs = [{"clip_id": f"clip{cause}", "value": cause} for cause in ("hang", "SIGSEGV", "SIGKILL", None)]
    records = ClipMap(misbehave, tmp_path, "test", time_limit_s=5).run(jobs)
    assert [record["reason"] for record in records] == [
        "timeout: took longer than 5 s",
        "decoder_crashed: the process died of SIGSEGV",
        "worker_killed: its worker was killed 3 times, at last with no other beside it; probably for lack of memory",
        None,
    ]


def test_an_error_of_the_work_says_where_it_was_raised(cluster: RayNodes, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"Awkward\('this and that'\)") as raised:
        ClipMap(fail, tmp_path, "test").run([{"clip_id": "a"}])
    assert 'raise Awkward("this", "that")' in str(raised.value.__cause__)


DRIVER = """
import sys
from pathlib import Path
from cmet.engine import head
from tests.cluster_clips import result
head.SILENT_S = float(sys.argv[3])
result(Path(sys.argv[1]), float(sys.argv[2]))
"""


def driver(folder: Path, takes_s: float, silent_s: float = 60, **variables: str) -> subprocess.Popen[str]:
    """The same map as a command of its own; a head that says nothing for so long is taken to be lost."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    command = [sys.executable, "-c", DRIVER, folder, str(takes_s), str(silent_s)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)


def test_a_command_that_is_ended_leaves_no_worker_and_goes_on(
    cluster: RayNodes, expected: Result, tmp_path: Path
) -> None:
    for cause in (signal.SIGKILL, signal.SIGINT):
        num_before = len(log_of(tmp_path))
        with driver(tmp_path, 0.3) as process:
            wait_until(lambda enough=num_before + 4: len(log_of(tmp_path)) >= enough)
            at_work = {int(number) for line in log_of(tmp_path)[num_before:] for number in line[:2]}
            process.send_signal(cause)
            process.communicate(timeout=LIMIT_S)
        wait_until(lambda pids=at_work: not any(map(psutil.pid_exists, pids)))
    before = len(log_of(tmp_path))
    assert result(tmp_path, 0.01) == expected
    # what was at hand is done again, and what was quarantined
    assert before < NUM_CLIPS
    assert NUM_CLIPS <= len(log_of(tmp_path)) <= NUM_CLIPS + 8


def test_a_process_without_the_token_is_told_so_in_one_sentence(cluster: RayNodes, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("f" * 64)
    own = {"PYTHONPATH": str(ROOT), "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"), "RAY_NUM_REDIS_GET_RETRIES": "1"}
    program = "import sys; from cmet.engine.on_ray import connect; connect(sys.argv[1])"
    command = [sys.executable, "-c", program, cluster.address]
    done = subprocess.run(command, env=os.environ | own, capture_output=True, text=True, check=False)
    assert f"UserError: RAY_ADDRESS is {cluster.address}: the cluster asks for its token" in done.stderr


def test_a_ray_of_its_own_gives_the_same_bytes(cluster: RayNodes, expected: Result, tmp_path: Path) -> None:
    with driver(tmp_path, 0, RAY_ADDRESS="local") as process:
        _, said = process.communicate()
    assert process.returncode == 0, said
    published = {path.relative_to(tmp_path / "out").as_posix(): path.read_bytes() for path in tmp_path.rglob("out/*/*")}
    assert published == expected[1]


def kill_node(job: Job, folder: Path) -> Record:
    os.kill(os.getppid(), signal.SIGKILL)
    return {}


def test_a_cluster_that_shrinks_to_nothing_is_one_sentence(
    cluster: RayNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "PATIENCE_S", 1)
    with pytest.raises(UserError, match="^test: no node of the Ray cluster is left to work on; finished"):
        ClipMap(kill_node, tmp_path, "test").run([{"clip_id": str(number)} for number in range(40)])


def test_a_head_that_is_killed_is_one_sentence_and_the_same_command_goes_on(
    cluster: RayNodes, expected: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last one on the cluster, which is gone."""
    import ray

    # a process that is connected would be ended by Ray, in a minute
    ray.shutdown()
    with driver(tmp_path, 0.3, silent_s=3) as process:
        wait_until(lambda: len(log_of(tmp_path)) >= 6)
        os.kill(cluster.gcs(), signal.SIGKILL)
        _, said = process.communicate(timeout=LIMIT_S)
    assert "UserError: test: the head of the Ray cluster at " in said
    assert f" does not answer; finished clips are kept in {tmp_path / 'work'}: run the stage again" in said
    begun = len(log_of(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS")
    assert result(tmp_path, 0) == expected
    assert 0 < len(log_of(tmp_path)) - begun < NUM_CLIPS


GOOD = {"marker": "text", "is_writable": True, "free_bytes": 1 << 40, "scratch": "/tmp/cmet-node-1"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({}, None),
        ({"marker": None}, "node a (10.0.0.3): /project is not the folder that it is here; all nodes need"),
        ({"marker": "other"}, "node a (10.0.0.3): /project is not the folder that it is here"),
        ({"is_writable": False}, "node a (10.0.0.3): /project cannot be written to"),
        ({"free_bytes": 1 << 28}, "node a (10.0.0.3): /tmp/cmet-node-1 has 0.2 GiB left for unfinished clips"),
        ({"time_s": -3600.0}, "node a (10.0.0.3): its clock is 60 minutes from the one here"),
        ({"versions": {"Python": "3.12.1"}}, "node a (10.0.0.3): Python is 3.12.1, but "),
        ({"versions": {"cmet": "0.0.1 (code 12345678)"}}, "node a (10.0.0.3): cmet is 0.0.1 (code 12345678), but 0.1"),
        ({"versions": {"numpy": None}}, "node a (10.0.0.3): numpy is not installed, but "),
    ],
)
def test_one_sentence_names_the_node_that_does_not_fit(answer: dict, reason: str | None) -> None:
    here = known_versions()
    there = {name: version for name, version in (here | answer.get("versions", {})).items() if version}
    facts = NodeFacts(**GOOD | answer | {"versions": there, "time_s": time.time() + answer.get("time_s", 0)})
    found = misfit("node a (10.0.0.3)", facts, here, Path("/project/.marker"), "text")
    assert found is None if reason is None else found.startswith(reason)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "^RAY_ADDRESS is 127.0.0.1:1, and no Ray cluster is there .*`ray start --head` prints"),
        ("nonsense", "^RAY_ADDRESS is nonsense, and no Ray cluster is there "),
        ("ray://head:10001", "^RAY_ADDRESS is ray://head:10001, an address of Ray Client; run the command on a node"),
    ],
)
def test_a_wrong_address_is_one_sentence(address: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_cluster_address(address)
