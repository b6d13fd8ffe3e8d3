"""The processes that train together: one, or those that torchrun has started, each with its own device.

Everything is equal to one process with the same batch: every process draws the whole batch and takes its rows, batch
norm sees all rows (`synced_norm`), and losses are taken over the predictions of all. Only dropout is drawn by each
process for itself.
"""

import os
import platform
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather
from torch.nn.parallel import DistributedDataParallel

from cmet.connector.synced_norm import synced
from cmet.environment import best_device
from cmet.errors import UserError
from cmet.launching import FIRST, LostProcess, die_with, is_under_torchrun

Value = TypeVar("Value")


@dataclass(frozen=True)
class Processes:
    """A process among `num` that train together."""

    rank: int
    num: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this one writes and tracks."""
        return self.rank == FIRST

    def from_first(self, make: Callable[[], Value]) -> Value:
        """What the first process makes, in all of them."""
        values: list[Any] = [make() if self.is_first else None]
        if self.num > 1:
            dist.broadcast_object_list(values, FIRST)
        made: Value = values[0]
        return made

    def of_all(self, value: Value) -> list[Value]:
        """The values of all processes, in the order of their ranks."""
        values: list[Any] = [value] * self.num
        if self.num > 1:
            dist.all_gather_object(values, value)
        return values

    def joined(self, rows: Tensor) -> Tensor:
        """The rows of all processes, in the order of their ranks, differentiable."""
        return torch.cat(all_gather(rows.contiguous())) if self.num > 1 else rows

    def own_rows(self, batch_size: int) -> tuple[int, int]:
        """First row of this process and the first of the next one."""
        share = batch_size // self.num
        return self.rank * share, (self.rank + 1) * share

    def sharing(self, step: nn.Module) -> nn.Module:
        """A module whose gradients are those over all processes; its parameters are the same objects."""
        if self.num == 1:
            return step
        devices = [self.device] if self.device.type == "cuda" else None
        # batch norm's statistics agree by themselves
        return DistributedDataParallel(step, device_ids=devices, broadcast_buffers=False)

    def synced(self, connector: nn.Module) -> None:
        """Let the batch norms of a network see the rows of all processes; names of parameters stay."""
        if self.num > 1:
            synced(connector)


@contextmanager
def training_processes(device: torch.device | None = None) -> Iterator[Processes]:
    """The processes of this run, connected for the length of the block, or as they are where they are connected.

    Args:
        device: Where to compute; a GPU where there is one by default, under torchrun that of the local rank.

    Raises:
        UserError: There are more processes on this machine than GPUs, or another process is gone.
    """
    if not is_under_torchrun():
        yield Processes(FIRST, 1, device or best_device())
    elif dist.is_initialized():
        yield Processes(dist.get_rank(), dist.get_world_size(), device or own_device())
    else:
        with connected(device):
            yield Processes(dist.get_rank(), dist.get_world_size(), device or own_device())


@contextmanager
def connected(device: torch.device | None = None) -> Iterator[None]:
    """Connect this process with the others that torchrun has started, for the length of the block.

    Args:
        device: As in `training_processes`.

    Raises:
        UserError: As `training_processes`.
    """
    die_with(os.getppid())
    device = device or own_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    # plain values go from memory to memory
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    except (RuntimeError, dist.DistError) as error:
        if not _LOST.search(str(error)):
            raise
        raise LostProcess(
            f"train: process {os.environ['RANK']} of {os.environ['WORLD_SIZE']} has lost the others; unless another "
            "message says why, one was killed or its machine is gone. The same command goes on from the last "
            "checkpoint, and by itself where PET_MAX_RESTARTS (or torchrun --max-restarts) allows it"
        ) from error
    finally:
        dist.destroy_process_group()


_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe|socket|timed? ?out", re.IGNORECASE)
"""What errors say when another process does not answer."""


def own_device() -> torch.device:
    """The GPU of this process among those of its machine, or the CPU where there is none.

    Raises:
        UserError: The machine has fewer GPUs than processes.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    number, num = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if number >= num:
        raise UserError(
            f"PET_NPROC_PER_NODE: {os.environ['LOCAL_WORLD_SIZE']} processes, but {platform.node()} has {num} GPU(s); "
            "start as many as there are GPUs"
        )
    return torch.device("cuda", number)
