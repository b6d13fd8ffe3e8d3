"""Batch norm over the rows of all processes.

torch.nn.SyncBatchNorm does this on GPUs and refuses to run elsewhere; this one runs everywhere, so that what a GPU
would compute can be tested on a CPU.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather


class SyncedBatchNorm(nn.BatchNorm1d):
    """As nn.BatchNorm1d of (M, C), over the rows of all processes, equally many in each."""

    def forward(self, rows_MC: Tensor) -> Tensor:
        """Normalise; running statistics are those of all rows, too."""
        if not self.training:
            return super().forward(rows_MC)
        own_2C = torch.stack([rows_MC.mean(0), rows_MC.var(0, correction=0)])
        means_PC, variances_PC = torch.stack(all_gather(own_2C)).unbind(1)
        mean_C = means_PC.mean(0)
        variance_C = variances_PC.mean(0) + means_PC.var(0, correction=0)
        self._update(mean_C.detach(), variance_C.detach(), len(rows_MC) * dist.get_world_size())
        return (rows_MC - mean_C) * (self.weight * torch.rsqrt(variance_C + self.eps)) + self.bias

    @torch.no_grad()
    def _update(self, mean_C: Tensor, variance_C: Tensor, num: int) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean_C, self.momentum)
        self.running_var.lerp_(variance_C * num / (num - 1), self.momentum)


def synced(network: nn.Module) -> None:
    """Put a SyncedBatchNorm in place of every batch norm, with its parameters and buffers."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm1d):
                norm = SyncedBatchNorm(child.num_features, child.eps, child.momentum or 0.1)
                norm.load_state_dict(child.state_dict())
                setattr(parent, name, norm.to(child.weight.device))
