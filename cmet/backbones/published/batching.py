"""Many pictures at once."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

Item = TypeVar("Item")


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Consecutive items, `size` at a time; the last batch may be shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def filled(rows_B: Tensor, size: int) -> Tensor:
    """A whole batch, by repeating the last row, for compiled networks: another size would compile them again."""
    num_missing = size - len(rows_B)
    if not num_missing:
        return rows_B
    return torch.cat([rows_B, rows_B[-1:].expand(num_missing, *rows_B.shape[1:])])
