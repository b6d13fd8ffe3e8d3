"""Silence for the C++ libraries that print whatever their log level is (MediaPipe writes lines per face mesh)."""

import faulthandler
import os
import sys


def silence_native_logs() -> None:
    """Send file descriptor 2 nowhere, while Python's own stderr and crash traces keep the terminal.

    For the entry of a process (the command line, a worker), never for a library call.
    """
    # names of files need not be UTF-8
    terminal = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    sys.stderr = terminal
    faulthandler.enable(terminal)
