"""Batches from shards that do not fit in memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from cmet.connector.batches import ShardBatches
from cmet.connector.checkpoint import TrainingState
from cmet.connector.features import TrainingShards
from cmet.connector.network import Connector
from cmet.connector.processes import Processes
from cmet.connector.step import TrainingStep
from cmet.errors import UserError
from cmet.outputs import fresh_folder, write_json
from cmet.params import TrainParams
from cmet.shards import FORMAT, LISTING, PairSample, write_tar

MakeParams = Callable[..., TrainParams]
MakePairs = Callable[[str], list[PairSample]]
NUM_SHARDS = 5


@pytest.fixture
def many(tmp_path: Path, make_pairs: MakePairs) -> TrainingShards:
    """Five shards, each with the pairs of one speaker."""
    with fresh_folder(tmp_path / "shards") as unfinished:
        entries = [
            write_tar(unfinished, f"train/{number:06d}.tar", make_pairs(speaker)[::3])
            for number, speaker in enumerate("abcde")
        ]
        write_json(unfinished / LISTING, {"format": FORMAT, "splits": {"train": entries}})
    return TrainingShards(tmp_path / "shards", entries, [], frozenset())


def alone() -> Processes:
    return Processes(0, 1, torch.device("cpu"))


def speakers(batches: ShardBatches) -> set[str]:
    return {clip.split("-")[0] for clip in batches.sampler.bank.clip_ids}


def banks(batches: ShardBatches, num: int) -> Iterator[set[str]]:
    """Speakers of the next banks."""
    for number in range(num):
        while batches.number < number:
            batches.draw()
        yield speakers(batches)


def test_an_epoch_takes_every_shard_once_and_the_next_in_another_order(
    many: TrainingShards, make_params: MakeParams
) -> None:
    batches = ShardBatches(many, make_params(shards_in_memory=2), 7, alone())
    found = list(banks(batches, 6))
    for epoch in (found[:3], found[3:]):
        assert sorted(len(bank) for bank in epoch) == [1, 2, 2]
        assert set.union(*epoch) == set("abcde")
    assert found[:3] != found[3:]


def test_a_bank_is_used_for_as_many_samples_as_it_has_pairs(many: TrainingShards, make_params: MakeParams) -> None:
    batches = ShardBatches(many, make_params(shards_in_memory=1), 7, alone())
    num_pairs = many.pairs[0].n
    num_batches = 0
    while batches.number == 0:
        batches.draw()
        num_batches += 1
    # the last one is the first of the next bank
    assert num_batches - 1 == -(-num_pairs // 16)


def test_it_goes_on_where_it_was(many: TrainingShards, make_params: MakeParams) -> None:
    params = make_params(shards_in_memory=2)
    one = ShardBatches(many, params, 7, alone())
    for _ in range(9):
        one.draw()
    state = one.state()
    other = ShardBatches(many, params, 7, alone())
    other.set_state(state)
    for _ in range(6):
        assert all(torch.equal(a, b) for a, b in zip(one.draw(), other.draw(), strict=True))


def test_processes_share_the_shards_and_the_batch(
    many: TrainingShards, make_params: MakeParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    seen = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        batches = ShardBatches(many, make_params(shards_in_memory=9), 7, Processes(rank, 2, torch.device("cpu")))
        assert len(batches.draw().labels_B) == 16 // 2
        seen.append(speakers(batches))
        batches.following.result() if batches.following else None
    assert not seen[0] & seen[1]
    assert seen[0] | seen[1] == set("abcde")


@dataclass(frozen=True)
class Second(Processes):
    """The second of two processes, whose first is at another place."""

    first: dict[str, Any] = field(default_factory=dict)

    @property
    def is_first(self) -> bool:
        return True

    def of_all(self, value: Any) -> list[Any]:
        return [self.first if isinstance(value, dict) else value, value]

    def from_first(self, make: Callable[[], Any]) -> Any:
        """The checkpoint that the first process reads: this one reads it in its place."""
        return make()


def test_every_process_goes_on_where_itself_was(
    many: TrainingShards, make_params: MakeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    params, cpu = make_params(shards_in_memory=1), torch.device("cpu")
    batches = ShardBatches(many, params, 7, Processes(1, 2, cpu))
    first = batches.state()
    for _ in range(5):
        batches.draw()
    second = Second(1, 2, cpu, first)
    module = TrainingStep(Connector(params.network, 10, 12), params, Processes(0, 1, cpu))
    TrainingState.begin(module, batches, params).save(tmp_path / "checkpoint.pt", second)
    again = TrainingState.begin(module, ShardBatches(many, params, 7, Processes(1, 2, cpu)), params)
    again.load(tmp_path / "checkpoint.pt", second)
    for _ in range(4):
        assert all(torch.equal(a, b) for a, b in zip(batches.draw(), again.batches.draw(), strict=True))


def test_fewer_shards_than_processes_are_an_error(many: TrainingShards, make_params: MakeParams) -> None:
    with pytest.raises(UserError, match=r"5 training shard\(s\) are too few for 8 processes"):
        ShardBatches(many, make_params(shards_in_memory=1), 7, Processes(0, 8, torch.device("cpu")))


def test_a_shard_that_is_cut_while_training_is_named(many: TrainingShards, make_params: MakeParams) -> None:
    batches = ShardBatches(many, make_params(shards_in_memory=1), 7, alone())
    for entry in many.pairs:
        path = many.folder / entry.name
        cut = path.with_suffix(".cut")
        cut.write_bytes(path.read_bytes()[:100])
        # at once: the reader, which runs ahead, may be in the middle of it, and then reads on in the whole one
        cut.replace(path)
    with pytest.raises(UserError, match="changed since it was written"):
        for _ in range(40):
            batches.draw()
