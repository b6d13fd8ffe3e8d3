"""How processes end when they are told to."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import pytest

from cmet.launching import signals_held

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
