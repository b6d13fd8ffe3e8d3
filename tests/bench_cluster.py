"""Maps over clips on several nodes of one core each: how much faster, what it costs, and that nothing gets lost."""

import json
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cmet.engine.clip_map import ClipMap
from cmet.engine.head import SILENT_S
from tests.clip_jobs import burn, nothing
from tests.cluster_clips import LIMIT_S, NUM_CLIPS, Result, after_attempts, log_of, result, wait_until
from tests.ray_nodes import RayNodes

ROOT = Path(__file__).parents[1]
NUM_BUSY = 100
NUM_COMPARED = 400
NUM_EACH = 10
"""Interruptions of each kind."""


def drive(folder: Path, kind: str, num_clips: int, num_workers: int) -> None:
    """One map in this process; prints what was measured as JSON."""
    jobs = [{"clip_id": f"clip{number}", "log": str(folder / "log"), "busy_s": 0.2} for number in range(num_clips)]
    started = time.monotonic()
    ClipMap({"burn": burn, "nothing": nothing}[kind], folder / "work", kind).run(jobs, num_workers)
    wall_s = time.monotonic() - started
    lines = (folder / "log").read_text().splitlines() if kind == "burn" else []
    times = [[float(word) for word in line.split()] for line in lines]
    span_s = max(end for _, end in times) - min(begun for begun, _ in times) if times else wall_s
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"wall_s": wall_s, "span_s": span_s, "peak_mib": peak_mib}))


def driven(nodes: RayNodes | None, kind: str, num_clips: int, num_workers: int) -> dict[str, float]:
    """The same in a process of its own; without nodes on this machine."""
    own = nodes.environment | {"RAY_ADDRESS": nodes.address} if nodes else {"RAY_ADDRESS": ""}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.bench_cluster", folder, kind, str(num_clips), str(num_workers)]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | own, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def ray_nodes(num_nodes: int) -> Iterator[RayNodes]:
    """Nodes of one core each."""
    nodes = RayNodes()
    try:
        for _ in range(num_nodes):
            nodes.join()
        yield nodes
    finally:
        nodes.stop()


def speedups() -> tuple[float, float, float]:
    """How much faster two nodes are than one, two local workers than one; and two local workers than two nodes.

    Without start-up: from the begin of the first clip to the end of the last.
    """
    with ray_nodes(1) as nodes:
        one = driven(nodes, "burn", NUM_BUSY, 1)["span_s"]
        local_one = driven(None, "burn", NUM_BUSY, 1)["span_s"]
        nodes.join()
        two = driven(nodes, "burn", NUM_BUSY, 1)["span_s"]
        local_two = driven(None, "burn", NUM_BUSY, 2)["span_s"]
        many = driven(nodes, "burn", NUM_COMPARED, 1)["span_s"]
        local_many = driven(None, "burn", NUM_COMPARED, 2)["span_s"]
    return one / two, local_one / local_two, many / local_many


def driver(num_few: int, num_many: int) -> tuple[float, float]:
    """MiB that a driver takes more for many jobs that do nothing than for few, and jobs per second of the many."""
    with ray_nodes(2) as nodes:
        few, many = (driven(nodes, "nothing", number, 1) for number in (num_few, num_many))
    return many["peak_mib"] - few["peak_mib"], num_many / many["wall_s"]


def interruptions(scratch: Path, num_each: int, seed: int = 0) -> dict[str, int]:
    """How often the output was the same, with nothing left behind, after an interruption of each kind."""
    draw = random.Random(seed)
    os.environ["RAY_ADDRESS"] = ""
    expected = result(scratch / "expected", 0)
    counts: dict[str, int] = {}
    with ray_nodes(2) as nodes:
        os.environ |= nodes.environment | {"RAY_ADDRESS": nodes.address}
        kinds: dict[str, Callable[[Path], Result]] = {
            "worker killed": lambda folder: _disturbed(
                folder, draw, lambda: os.kill(int(log_of(folder)[-1][1]), signal.SIGKILL)
            ),
            "node joins": lambda folder: _joined(folder, draw, nodes),
            "node lost": lambda folder: _disturbed(folder, draw, lambda: nodes.lose(nodes.processes[-1])),
            "raylet killed": lambda folder: _disturbed(
                folder, draw, lambda: os.kill(nodes.raylet(nodes.processes[-1]), signal.SIGKILL)
            ),
            "driver killed": lambda folder: _killed(folder, draw),
            "head killed": lambda folder: _without_head(folder, draw, comes_back=False),
            "head killed, comes back": lambda folder: _without_head(folder, draw, comes_back=True),
        }
        for number in range(num_each):
            for kind, disturbed in kinds.items():
                if kind == "raylet killed":
                    nodes.start()
                nodes.wait_until_ready()
                folder = scratch / f"{kind.replace(' ', '-')}-{number}"
                is_same = disturbed(folder) == expected
                counts[kind] = counts.get(kind, 0) + is_same
    return counts


def _disturbed(folder: Path, draw: random.Random, act: Callable[[], object]) -> Result:
    folder.mkdir(parents=True)
    with after_attempts(folder, draw.randrange(1, NUM_CLIPS - 10), act):
        return result(folder, 0.3)


def _joined(folder: Path, draw: random.Random, nodes: RayNodes) -> Result:
    folder.mkdir(parents=True)
    # after the first five clips the map waits for the node
    with after_attempts(folder, draw.randrange(1, 6), nodes.start):
        return result(folder, 0.3, nodes.num_running + 1)


def _killed(folder: Path, draw: random.Random) -> Result:
    folder.mkdir(parents=True)
    with _command(folder, 0.3) as process:
        _wait_a_while(folder, draw)
        process.kill()
    return result(folder, 0.05)


def _without_head(folder: Path, draw: random.Random, comes_back: bool) -> Result:
    """A map whose cluster loses its head, and once more where there is a new one, or on this machine.

    Raises:
        AssertionError: The first did not end with a sentence, or the second began from the start.
    """
    folder.mkdir(parents=True)
    with ray_nodes(2) as nodes:
        # one that comes back has time for that before the map is done, or is given up
        times = {"takes_s": 1.0} if comes_back else {"takes_s": 0.3, "silent_s": 1.0}
        with _command(folder, **times, **nodes.environment, RAY_ADDRESS=nodes.address) as process:
            _wait_a_while(folder, draw)
            os.kill(nodes.gcs(), signal.SIGKILL)
            if comes_back:
                nodes.start_head_anew()
            _, said = process.communicate(timeout=LIMIT_S)
        how = "was started anew" if comes_back else "does not answer"
        assert f"{how}; finished clips are kept in " in said, said
        num_begun = len(log_of(folder))
        address = nodes.address if comes_back else ""
        with _command(folder, 0.05, **nodes.environment, RAY_ADDRESS=address) as process:
            _, said = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, said
    assert len(log_of(folder)) - num_begun < NUM_CLIPS
    found: Result = pickle.loads((folder / "result").read_bytes())
    return found


COMMAND = """
import pickle, sys
from pathlib import Path
from cmet.engine import head
from tests.cluster_clips import result
folder, takes_s, head.SILENT_S = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
(folder / "result").write_bytes(pickle.dumps(result(folder, takes_s)))
"""


def _command(folder: Path, takes_s: float, silent_s: float = SILENT_S, **variables: str) -> subprocess.Popen[str]:
    """The map in a process of its own, which leaves the result as a file."""
    command = [sys.executable, "-c", COMMAND, folder, str(takes_s), str(silent_s)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | variables, stderr=subprocess.PIPE, text=True)


def _wait_a_while(folder: Path, draw: random.Random) -> None:
    num_attempts = draw.randrange(1, NUM_CLIPS // 2)
    wait_until(lambda: len(log_of(folder)) >= num_attempts)
    time.sleep(draw.uniform(0, 0.3))


if __name__ == "__main__":
    drive(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
