"""The processes that train together: one, or those that torchrun has started, each with its own device.

Everything is equal to one process with the same batch: every process draws the whole batch and takes its rows, batch
norm sees all rows (`synced_norm`), and losses are taken over the predictions of all. Only dropout is drawn by each
process for itself.
"""

import os
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
from cmet.launching import FIRST, die_with, is_under_torchrun

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
    """The processes of this run, connected for the length of the block.

    Args:
        device: Where to compute; a GPU where there is one by default, under torchrun that of the local rank.
    """
    has_gpu = torch.cuda.is_available() if device is None else device.type == "cuda"
    if not is_under_torchrun():
        yield Processes(FIRST, 1, device or torch.device("cuda" if has_gpu else "cpu"))
        return
    die_with(os.getppid())
    if has_gpu:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if has_gpu else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size(), device or torch.device("cpu"))
    finally:
        dist.destroy_process_group()
