"""What training reads is checked before the first step."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cmet.connector.features import read_features
from cmet.errors import UserError
from cmet.outputs import fresh_folder, write_json
from cmet.params import TrainParams
from cmet.shards import FORMAT, LISTING, UNPAIRED, PairSample, write_tar
from cmet.speech.scaling import SpeechScaling

MakeParams = Callable[..., TrainParams]
MakePairs = Callable[[str], list[PairSample]]
CPU = torch.device("cpu")


def write(folder: Path, pairs: dict[str, list[PairSample]], unpaired: list[PairSample] = []) -> Path:  # noqa: B006
    with fresh_folder(folder / "shards") as unfinished:
        splits = {split: [write_tar(unfinished, f"{split}/000000.tar", rows)] for split, rows in pairs.items()}
        clips = [pair.clips()[0] for pair in unpaired]
        splits[UNPAIRED] = [write_tar(unfinished, f"{UNPAIRED}/000000.tar", clips)] if clips else []
        SpeechScaling.none(12).save(unfinished)
        write_json(unfinished / LISTING, {"format": FORMAT, "splits": {"val": [], "test": []} | splits})
    return folder / "shards"


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("damage", ["missing", "cut", "altered"])
def test_a_damaged_shard_is_named_before_training(
    shards: Path, make_params: MakeParams, split: str, damage: str
) -> None:
    tar = shards / split / "000000.tar"
    content = tar.read_bytes()
    if damage == "missing":
        tar.unlink()
    else:
        middle = len(content) // 2
        tar.write_bytes(content[:middle] if damage == "cut" else content[:middle] + b"x" + content[middle + 1 :])
    said = "the shard is missing" if damage == "missing" else "changed since it was written"
    with pytest.raises(UserError, match=f"{split}/000000.tar: {said}"):
        read_features(shards, make_params(), CPU)


def test_no_training_pairs_are_an_error(tmp_path: Path, make_pairs: MakePairs, make_params: MakeParams) -> None:
    shards = write(tmp_path, {"train": make_pairs("a"), "val": make_pairs("b")})
    listing = json.loads((shards / LISTING).read_text())
    listing["splits"]["train"] = []
    write_json(shards / LISTING, listing)
    for shards_in_memory in (None, 1):
        with pytest.raises(UserError, match="the training split holds no pairs"):
            read_features(shards, make_params(shards_in_memory=shards_in_memory), CPU)


def test_clips_without_a_partner_are_in_the_bank(
    tmp_path: Path, make_pairs: MakePairs, make_params: MakeParams
) -> None:
    shards = write(tmp_path, {"train": make_pairs("a")}, unpaired=make_pairs("b")[:1])
    features = read_features(shards, make_params(), CPU)
    assert features.bank is not None
    assert make_pairs("b")[0].neutral_clip in features.bank.clip_ids
    assert features.num_clips == len(features.bank.clip_ids) == 7 * 2 * 3 + 3 + 1
    assert features.facts.num_pairs == 7 * 2 * 3


def test_facts_are_the_same_whether_features_are_kept_or_stream(shards: Path, make_params: MakeParams) -> None:
    kept, streamed = (read_features(shards, make_params(shards_in_memory=number), CPU) for number in (None, 1))
    assert streamed.bank is None
    assert (kept.num_clips, kept.facts.num_pairs) == (streamed.num_clips, streamed.facts.num_pairs)
    assert np.array_equal(kept.facts.mean_delta_K, streamed.facts.mean_delta_K)
    assert np.array_equal(kept.facts.speech_limit_S, streamed.facts.speech_limit_S)


def test_clips_without_a_partner_have_codes_of_the_width_of_the_pairs(
    tmp_path: Path, make_pairs: MakePairs, make_params: MakeParams
) -> None:
    alone = make_pairs("b")[0]
    narrow = replace(alone, neutral_clip="x", neutral_expression=alone.neutral_expression[:, :7].copy())
    with pytest.raises(
        UserError, match=r"x has expression and speech of \(7, 12\) values, clips before it of \(10, 12"
    ):
        read_features(write(tmp_path, {"train": make_pairs("a")}, [narrow]), make_params(), CPU)
