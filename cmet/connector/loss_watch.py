"""Noticing a loss that is no number, without waiting for the device at every step."""

from pathlib import Path

import torch
from torch import Tensor

from cmet.errors import UserError

BAD_BATCH = "bad_batch.txt"
NUM_NAMED = 3


class LossWatch:
    """Remembers the losses and clips of the steps since the last check."""

    def __init__(self, work: Path) -> None:
        """Begin with no steps; `work` is where the clips of a bad step are listed."""
        self.work = work
        self.seen: list[tuple[int, Tensor, Tensor, list[str]]] = []

    def see(self, step: int, loss: Tensor, clips_B4n: Tensor, clip_ids: list[str]) -> None:
        """Take a step's loss and the clips of its batch; nothing is computed yet."""
        # a compiled step writes its next loss to the same place
        self.seen.append((step, loss.detach().clone(), clips_B4n, clip_ids))

    def check(self) -> None:
        """Look at the losses seen, and forget them.

        Raises:
            UserError: One is no number; the message names the step and clips of its batch.
        """
        seen, self.seen = self.seen, []
        if not seen:
            return
        is_bad = ~torch.isfinite(torch.stack([loss for _, loss, _, _ in seen]))
        if not is_bad.any():
            return
        step, loss, clips_B4n, clip_ids = seen[int(is_bad.nonzero()[0, 0])]
        names = [clip_ids[clip] for clip in clips_B4n.unique().tolist()]
        listing = self.work / BAD_BATCH
        listing.parent.mkdir(parents=True, exist_ok=True)
        listing.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
        raise UserError(
            f"train: the loss is {loss.item()} at step {step}, in a batch of {len(names)} clips: "
            f"{', '.join(names[:NUM_NAMED])}{', ...' if len(names) > NUM_NAMED else ''} (all in {listing}). The last "
            "checkpoint before it is kept. Lower train.learning_rate, or look for extreme values in their features"
        )
