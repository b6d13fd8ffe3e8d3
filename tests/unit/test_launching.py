"""How processes end when they are told to."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import pytest

from cmet.errors import UserError
from cmet.launching import signals_held, wanted_launch

ROOT = Path(__file__).parents[2]

HANGING = """
import signal, threading
from cmet import launching

for number in launching.ENDING:
    signal.signal(number, lambda *_: None)
launching.GRACE_S = 0.1
launching.end_soon_after_signals()
lock = threading.Lock()
lock.acquire()
print("waiting", flush=True)
lock.acquire()
"""


def test_signals_wait_for_the_end_of_the_block() -> None:
    seen: list[int] = []

    def see(number: int, _frame: FrameType | None) -> None:
        seen.append(number)

    before = signal.signal(signal.SIGTERM, see)
    try:
        with signals_held() as is_told:
            assert not is_told()
            signal.raise_signal(signal.SIGTERM)
            assert is_told()
            assert not seen
        assert seen == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is see
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with signals_held() as is_told:
            signal.raise_signal(signal.SIGINT)
            assert not is_told()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("cause", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_waits_for_ever_ends_after_a_signal(cause: signal.Signals) -> None:
    command = [sys.executable, "-c", HANGING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.readline() == "waiting\n"
            os.kill(process.pid, cause)
            assert process.wait(60) == 128 + cause
            assert process.stderr.read() == "cmet: did not end within 0.1 s and was stopped\n"
        finally:
            process.kill()


def test_it_ends_although_nobody_reads_what_it_says() -> None:
    heard, told = os.pipe()
    with subprocess.Popen([sys.executable, "-c", HANGING], cwd=ROOT, stdout=subprocess.PIPE, stderr=told) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"waiting\n"
            os.close(told)
            os.close(heard)
            process.terminate()
            assert process.wait(60) == 128 + signal.SIGTERM
        finally:
            process.kill()


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Those of torchrun, none of which is set."""
    for name in [name for name in os.environ if name.startswith("PET_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return monkeypatch


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"PET_NNODES": "two"}, "PET_NNODES: 'two' is no number of nodes"),
        ({"PET_NNODES": "0"}, "PET_NNODES: '0' is no number of nodes"),
        ({"PET_NNODES": "2"}, "PET_NNODES: 2 nodes, but nothing says where they meet; set PET_RDZV_ENDPOINT="),
        ({"PET_NNODES": "2", "PET_MASTER_ADDR": "a"}, "PET_NNODES: 2 nodes, but nothing says where they meet"),
        ({"PET_NNODES": "3:2", "PET_RDZV_ENDPOINT": "a:1"}, "PET_NNODES, PET_RDZV_ENDPOINT: torchrun cannot use one"),
        ({"PET_MAX_RESTARTS": "often"}, "PET_MAX_RESTARTS: invalid int value: 'often'"),
        ({"PET_NPROC_PER_NODE": "many"}, "PET_NPROC_PER_NODE: torchrun cannot use one of them .*many"),
        ({"PET_RDZV_CONF": "soon"}, "PET_RDZV_CONF: torchrun cannot use one of them"),
    ],
)
def test_a_variable_that_torchrun_cannot_use_is_named(
    variables: pytest.MonkeyPatch, named: dict[str, str], said: str
) -> None:
    for name, value in named.items():
        variables.setenv(name, value)
    with pytest.raises(UserError, match=said):
        wanted_launch(32)


@pytest.mark.parametrize(
    ("named", "num_gpus", "expected"),
    [
        ({}, 0, None),
        ({}, 1, None),
        ({}, 4, (1, 1, 4)),
        ({}, 3, (1, 1, 2)),
        ({"PET_NPROC_PER_NODE": "2"}, 0, (1, 1, 2)),
        ({"PET_NPROC_PER_NODE": "1"}, 4, None),
        ({"PET_MAX_RESTARTS": "3"}, 0, (1, 1, 1)),
        ({"PET_NNODES": "2", "PET_RDZV_ENDPOINT": "a:1"}, 0, (2, 2, 1)),
        ({"PET_NNODES": "1:2", "PET_RDZV_ENDPOINT": "a:1"}, 8, (1, 2, 8)),
        ({"PET_NNODES": "2", "PET_MASTER_ADDR": "a", "PET_MASTER_PORT": "1", "PET_NODE_RANK": "1"}, 0, (2, 2, 1)),
    ],
)
def test_processes_and_machines_are_those_that_there_are_or_that_variables_ask_for(
    variables: pytest.MonkeyPatch, named: dict[str, str], num_gpus: int, expected: tuple[int, int, int] | None
) -> None:
    variables.setattr("torch.cuda.device_count", lambda: num_gpus)
    for name, value in named.items():
        variables.setenv(name, value)
    launch = wanted_launch(32)
    assert (launch and (launch.min_nodes, launch.max_nodes, launch.nproc_per_node)) == expected


def test_gpus_that_would_leave_a_rest_are_told(
    variables: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variables.setattr("torch.cuda.device_count", lambda: 3)
    wanted_launch(32)
    assert capsys.readouterr().err.startswith(
        "train: uses 2 of 3 GPUs, since a batch of 32 has no equal parts for more"
    )
