"""Where the training loop gets its batches: a bank of all features, or banks of some shards at a time."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import webdataset as wds

from cmet.connector.bank import FeatureBank
from cmet.connector.features import TrainingFeatures, TrainingShards
from cmet.connector.processes import Processes
from cmet.connector.sampler import Batch, Sampler
from cmet.errors import UserError
from cmet.params import TrainParams


class Batches(Protocol):
    """An endless row of batches that can be continued from any place."""

    sampler: Sampler

    def draw(self) -> Batch:
        """This process's rows of the next batch."""

    def state(self) -> dict[str, Any]:
        """The place in the row, for a checkpoint."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on at a place."""


def make_batches(features: TrainingFeatures, params: TrainParams, seed: int, processes: Processes) -> Batches:
    """The batches that params describes.

    Raises:
        UserError: As `Sampler`.
    """
    if features.bank is not None:
        return BankBatches(Sampler(features.bank, params, seed), params.batch_size, processes)
    return ShardBatches(features.shards, params, seed, processes)


class BankBatches:
    """Batches from one bank: every process draws all of each batch, which costs little, and takes its rows."""

    def __init__(self, sampler: Sampler, batch_size: int, processes: Processes) -> None:
        """Begin with the first batch of the sampler."""
        self.sampler = sampler
        self.batch_size = batch_size
        self.rows = processes.own_rows(batch_size)

    def draw(self) -> Batch:
        """This process's rows of the next batch."""
        return self.sampler.draw(self.batch_size).rows(*self.rows)

    def state(self) -> dict[str, Any]:
        """Of the sampler."""
        return {**self.sampler.state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on at a place."""
        self.sampler.set_state(state)


class ShardBatches:
    """Batches from banks of a few shards, each used for as many samples as banks have pairs on average.

    In every epoch the shards are put in another order and dealt out to the processes and to banks; pairs lie in
    shards in random order, so a bank is a random part of the corpus, and means are taken over the clips in it. The
    next bank is read while this one is used.
    """

    def __init__(self, shards: TrainingShards, params: TrainParams, seed: int, processes: Processes) -> None:
        """Read the first bank.

        Raises:
            UserError: There are more processes than shards, or as `Sampler`.
        """
        if len(shards.pairs) < processes.num:
            raise UserError(
                f"train.shards_in_memory: {len(shards.pairs)} training shard(s) are too few for {processes.num} "
                "processes; make more with a smaller shards.pairs_per_shard"
            )
        self.shards, self.params, self.seed, self.processes = shards, params, seed, processes
        self.reader = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self.following: Future[FeatureBank] | None = None
        self.num_banks = -(-(len(shards.pairs) // processes.num) // (params.shards_in_memory or len(shards.pairs)))
        # the same for all processes, so that they are in the same epoch
        self.num_samples = -(-sum(shard.n for shard in shards.pairs) // (processes.num * self.num_banks))
        self.number, self.num_drawn = -1, 0
        self.sampler = self._open(0)

    def draw(self) -> Batch:
        """This process's rows of the next batch."""
        if self.num_drawn >= self.num_samples:
            self.sampler = self._open(self.number + 1)
        size = self.params.batch_size // self.processes.num
        self.num_drawn += size
        return self.sampler.draw(size)

    def state(self) -> dict[str, Any]:
        """Number of the bank, samples drawn from it, and the sampler's state."""
        return {"number": self.number, "num_drawn": self.num_drawn, **self.sampler.state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on at a place; its bank is read again."""
        if state["number"] != self.number:
            self.sampler = self._open(state["number"])
        self.num_drawn = state["num_drawn"]
        self.sampler.set_state({name: state[name] for name in ("generator", "order", "place")})

    def _open(self, number: int) -> Sampler:
        is_next = self.following is not None and number == self.number + 1
        bank = self.following.result() if self.following and is_next else self._read(number)
        self.following = self.reader.submit(self._read, number + 1)
        self.number, self.num_drawn = number, 0
        seed = np.random.default_rng([self.seed, self.processes.rank, number]).integers(2**63)
        return Sampler(bank, self.params, int(seed))

    def _read(self, number: int) -> FeatureBank:
        own_pairs, own_unpaired = (self._own(entries, number) for entries in (self.shards.pairs, self.shards.unpaired))
        clips = self.shards.clips_of(self.shards.read(own_pairs, own_unpaired))
        return FeatureBank.from_clips(clips, self.processes.device)

    def _own(self, entries: list[Any], number: int) -> list[Any]:
        """The shards of a bank, out of those with pairs or those of unpaired clips."""
        epoch, place = divmod(number, self.num_banks)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(entries))
        own = list(wds.split_by_node([entries[place] for place in order]))
        return own[place :: self.num_banks]
