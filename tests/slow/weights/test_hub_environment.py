"""What the client of the hub reads from the environment, when a process starts."""

import os
import subprocess
import sys
from pathlib import Path

from huggingface_hub import hf_hub_download

from tests.unit.weights.conftest import filled
from tests.weight_server import Served, WeightServer

CONTENT = filled("audio2lip")


def test_endpoint_token_cache_and_offline_mode_of_the_environment_are_honoured(
    server: WeightServer, tmp_path: Path
) -> None:
    server.repos["coldhyuk/C-MET/pretrained_weights/Audio2Lip.pt"] = Served(CONTENT)
    own = {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_secret", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "cmet", "weights", "get", "audio2lip", "--accept-licence", "--folder"]

    def run(folder: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | own | more
        return subprocess.run([*command, folder], env=environment, capture_output=True, text=True, cwd=tmp_path)

    done = run("first")
    assert done.returncode == 0, done.stderr
    assert {one.authorization for one in server.asked if "/resolve/" in one.path} == {"Bearer hf_secret"}
    assert run("second", HF_HUB_OFFLINE="1").returncode == 1
    hf_hub_download(
        "coldhyuk/C-MET", "pretrained_weights/Audio2Lip.pt", endpoint=server.url, cache_dir=tmp_path / "home/hub"
    )
    server.asked.clear()
    done = run("third", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "third/edtalk/Audio2Lip.pt").read_bytes() == CONTENT
    assert server.asked == []
