"""How many cores a small network is given."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

ONE_THREAD_BELOW = 256
"""Width of the network up to which a second core gains little, and costs many times the run where it is shared."""


@contextmanager
def fitting_threads(hidden: int) -> Iterator[None]:
    """Let torch use one core for a small network during the block."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1 if hidden < ONE_THREAD_BELOW else num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)
