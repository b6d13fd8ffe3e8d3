"""A download that is killed again and again: never a broken file at its place, never from the start again."""

import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from tests.weight_server import Served, WeightServer, serving

NUM_KILLS = 30
SIZE_MIB = 48
BYTES_PER_S = 3 << 20
POLL_S = 0.02
FILE = "Audio2Lip.pt"

GET = f"""
import sys
from dataclasses import replace
from cmet import cli
from cmet.weights.registry import CHECKPOINTS
from cmet.weights.routes import Download, HubRoute, WebRoute
where, folder = sys.argv[1:]
route = HubRoute("someone/weights", "{FILE}") if where == "hub" else WebRoute(where)
published = CHECKPOINTS["audio2lip"]
CHECKPOINTS["audio2lip"] = replace(published, network=None, downloads=(Download("{FILE}", (route,)),))
sys.argv = ["cmet", "weights", "get", "audio2lip", "--folder", folder, "--accept-licence"]
cli.main()
"""
"""`cmet weights get` with a server of ours."""


@dataclass(frozen=True)
class Killed:
    """What was seen of downloads that were killed many times."""

    num_kills: int
    num_rounds: int
    """Times that the file became whole."""
    num_broken: int
    """Times that there was anything else at its place than the whole file."""
    num_from_elsewhere: int
    """Times that a process began elsewhere than where the one before had been killed."""
    sent_share: float
    """Bytes that the server has sent, of those of the file in all rounds."""


def killed_while_downloading(scratch: Path, is_hub: bool, num_kills: int, size_mib: int, seed: int = 0) -> Killed:
    """Kill `cmet weights get` at random moments of a slow download, and watch what it asks its server for."""
    stream = io.BytesIO()
    torch.save({"weights": torch.rand(size_mib << 18)}, stream)
    content = stream.getvalue()
    folder = scratch / ("hub" if is_hub else "plain")
    place, part = folder / "edtalk" / FILE, folder / "edtalk" / f".{FILE}.part"
    draw = random.Random(seed)
    killed = rounds = broken = elsewhere = 0
    with serving() as server:
        server.repos[f"someone/weights/{FILE}"] = server.files[f"/{FILE}"] = Served(content)
        while killed < num_kills or part.exists():
            server.bytes_per_s = BYTES_PER_S if killed < num_kills else None
            held = part.stat().st_size if part.exists() else 0
            before = len(contents_asked(server))
            process = start(server, folder, is_hub)
            while process.poll() is None and len(contents_asked(server)) == before and held < len(content):
                time.sleep(POLL_S)
            if killed < num_kills:
                # on average, as many kills as asked for fill the time of one download
                time.sleep(draw.uniform(0, 2 * len(content) / BYTES_PER_S / num_kills))
            if killed < num_kills and process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
            process.wait()
            asked = contents_asked(server)[before:]
            elsewhere += bool(asked) and asked[0] != held
            if place.exists():
                broken += place.read_bytes() != content
                rounds += 1
                place.unlink()
            elif process.returncode != -signal.SIGKILL:
                sys.exit(f"cmet weights get failed:\n{(folder / 'log').read_text(encoding='utf-8')[-3000:]}")
        return Killed(killed, rounds, broken, elsewhere, server.num_sent / (rounds * len(content)))


def contents_asked(server: WeightServer) -> list[int]:
    """First bytes that were asked for of the content itself."""
    return [one.begins for one in server.gets(FILE) if "/resolve/" not in one.path]


def start(server: WeightServer, folder: Path, is_hub: bool) -> subprocess.Popen[bytes]:
    """One call of the command."""
    folder.mkdir(exist_ok=True)
    own = {"HF_ENDPOINT": server.url, "HF_HOME": str(folder / "home"), "NO_PROXY": "localhost,127.0.0.1"}
    with (folder / "log").open("ab") as log:
        command = [sys.executable, "-c", GET, "hub" if is_hub else f"{server.url}/{FILE}", str(folder)]
        return subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for is_hub in (True, False):
            print(killed_while_downloading(Path(name), is_hub, NUM_KILLS, SIZE_MIB))
