"""A batch whose process is killed or interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cmet.editing.batch.product import BATCH_LEDGER
from cmet.editing.result.provenance import read_provenance
from cmet.media.video import VideoFile, read_video, write_video
from cmet.outputs import is_unfinished
from tests.conftest import Command

LONG_S = 120
NUM_FRAMES = {"1": 5, "2": 50, "3": 5}
"""The second one takes long enough to be killed in."""

ARGUMENTS = ("edit", "--batch", "clips", "--emotion", "happy", "--out", "edited")


def begun(folder: Path) -> subprocess.Popen[str]:
    """`cmet edit --batch` in a process of its own; it stands still, one result is there, and another half written."""
    command = [sys.executable, "-m", "cmet", *ARGUMENTS]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + LONG_S
    while True:
        assert time.monotonic() < until
        process.send_signal(signal.SIGSTOP)
        # comes back once all its threads stand still
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        if (folder / "edited/1.mp4").exists() and any(map(is_unfinished, (folder / "edited").glob("*.mp4"))):
            return process
        process.send_signal(signal.SIGCONT)
        time.sleep(0.01)


@pytest.mark.slow
def test_what_a_killed_batch_has_made_is_whole_and_kept(real: Path, tmp_path: Path, cmet: Command) -> None:
    (tmp_path / "clips").mkdir()
    frames = read_video(real / "MEAD/FPS25/W009/front/neutral/level_1/038.mp4", range(max(NUM_FRAMES.values()))).frames
    for name, num_frames in NUM_FRAMES.items():
        write_video(tmp_path / f"clips/{name}.mp4", frames[:num_frames], 25)
    # killed last, since that alone leaves what was not finished
    for number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        process = begun(tmp_path)
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        _, said = process.communicate(timeout=LONG_S)
        assert process.returncode == code
        if number == signal.SIGINT:
            assert said.splitlines()[-1] == "cmet: interrupted; run the same command again to continue"
        left = sorted((tmp_path / "edited").glob("*.mp4"))
        whole = [file for file in left if not is_unfinished(file)]
        assert number == signal.SIGKILL or whole == left
        for file in whole:
            assert len(VideoFile(file)) == NUM_FRAMES[file.stem]
            assert read_provenance(file).emotions[0].name == "happy"
    # one that was whole when the end came, and not written down yet, is made again
    written_down = json.loads((tmp_path / "edited" / BATCH_LEDGER).read_text())
    assert "1.mp4" in written_down and written_down.keys() <= {file.name for file in whole}
    done = cmet(*ARGUMENTS, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["num_kept"] == len(written_down)
    assert document["num_made"] == 3 - len(written_down)
    assert not any(map(is_unfinished, (tmp_path / "edited").glob("*.mp4")))
