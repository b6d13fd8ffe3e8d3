"""Shared fixtures: small media made on the spot, and the real data that lies beside a developer's checkout."""

import atexit
import gc
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from cmet import cli
from cmet.media.sound import write_sound
from cmet.media.video import write_video
from cmet.params import Params, load_params
from tests.ray_nodes import ray_settings
from tests.small_line import run_small_line

Command = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[1]
REAL = ROOT / "../shared/real"

# a judge is trained with two threads, and one that waits would keep a core that another process of tests could have;
# torch, which nobody has imported yet, reads it once
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Ray reads its settings once, when some test imports it
os.environ |= ray_settings()

# importing makes millions of objects, all of them to stay; at the end the process frees what there is
gc.disable()
atexit.register(gc.freeze)

# in a new environment, two processes that import in the same order compile the same files at the same time: every other
# process of tests begins with what the first comes to last
if os.environ.get("PYTEST_XDIST_WORKER", "gw0")[-1] in "13579":
    for name in ("ray", "hypothesis", "cmet.studio.gradio_without_stubs", "huggingface_hub", "playwright.sync_api"):
        with suppress(ImportError):
            importlib.import_module(name)


def pytest_collection_finish() -> None:
    gc.freeze()
    # tests make little that only a search finds
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.fixture(scope="session")
def params() -> Params:
    return load_params(ROOT / "params.yaml")


@pytest.fixture(scope="session")
def real() -> Path:
    if not REAL.is_dir():
        pytest.skip("the real data is not here")
    return REAL.resolve()


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """What a shell starts in the background, or `nohup`, may ignore signals, and so would every process of a test."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session", autouse=True)
def one_worker() -> Iterator[None]:
    """One worker process for each process of tests: those already fill the cores, and starting costs more than work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMET_WORKERS", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def own_tracking() -> Iterator[None]:
    """No test logs into the store of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def own_compiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Torch keeps what it compiles where the tests keep theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "compiled"))
        yield


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the test itself would have slept; it does not."""
    slept: list[float] = []
    own, sleep = threading.current_thread(), time.sleep
    monkeypatch.setattr(
        time, "sleep", lambda pause_s: (slept.append if threading.current_thread() is own else sleep)(pause_s)
    )
    return slept


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of tests share, each of which has one of its own in it."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def empty_store(shared: Path) -> Path:
    """A store of runs that has its tables, to be copied to `mlflow.db` of a project: making them takes seconds."""
    from mlflow import MlflowClient

    path = shared / "empty.db"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            MlflowClient(f"sqlite:///{unfinished}").search_experiments()
            unfinished.rename(path)
    return path


@pytest.fixture(scope="session")
def small_line(shared: Path) -> Path:
    """`project`, in which every stage has run, and `opened.json`; who changes the project works in a copy."""
    folder = shared / "small-line"
    opened = folder / "opened.json"
    with FileLock(folder.with_suffix(".lock")):
        if not opened.exists():
            run_small_line(folder / "project", opened)
    return folder


@pytest.fixture(scope="session")
def filled(shared: Path) -> Path:
    """Folder for filled weights; `write_filled_weights` puts in what is needed."""
    return shared / "filled"


@pytest.fixture
def cmet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process: a new one takes seconds to import what this one has."""

    def run(*args: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
        command = ["cmet", *map(str, args)]
        with monkeypatch.context() as patch:
            # those are for a process that is the command's alone
            patch.setattr(cli, "silence_native_logs", lambda: None)
            patch.setattr(cli, "end_soon_after_signals", lambda: None)
            patch.setattr(signal, "signal", lambda *_: None)
            patch.setattr(sys, "argv", command)
            patch.chdir(cwd)
            capsys.readouterr()
            with pytest.raises(SystemExit) as end:
                cli.main()
        said = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return subprocess.CompletedProcess(command, end.value.code, said.out, said.err)

    return run


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """One second of a 200 Hz tone."""
    path = tmp_path / "tone.wav"
    write_sound(path, 0.3 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 16_000), 16_000)
    return path


@pytest.fixture
def moving_square(tmp_path: Path, tone: Path) -> Path:
    """One second at 30 frames/s, 64x48: a bright square that moves by one pixel a frame; with sound."""
    frames = np.zeros((30, 48, 64, 3), np.uint8)
    for number, frame in enumerate(frames):
        frame[16:32, number : number + 16] = 220
    path = tmp_path / "square.mp4"
    write_video(path, frames, 30, tone)
    return path
