"""Shards come back as they were written, or not at all."""

import hashlib
import io
import json
import pickle
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cmet.clips.product import Clips
from cmet.errors import UserError
from cmet.expression.product import Faces
from cmet.outputs import content_digest, write_json
from cmet.pairs.deltas import write_deltas
from cmet.pairs.product import TABLE, Pairs
from cmet.params import DeltasParams, ShardsParams
from cmet.shards import INDEX, LISTING, UNPAIRED, Shards, read_shards, read_unpaired, write_shards
from cmet.speech.product import Voices
from cmet.vocabulary import SPLITS
from tests.hostile import DEEP_JSON, Trap, npy
from tests.layouts import rename
from tests.packing import pack_arrays

DELTAS = DeltasParams(speech_encoder="opensmile", speech_scale="train-spread", speech_projection="none")
SMALL = ShardsParams(pairs_per_shard=4)
SPLIT_OF = {"a": "train", "b": "train", "c": "val", "d": "test"}
NUM_SENTENCES = 5

Inputs = tuple[Pairs, Voices, Faces]


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    """Pairs, embeddings and codes of four speakers in two emotions; disgusted is held out."""
    draw = np.random.default_rng(0)
    clips, voices, faces = Clips(tmp_path), Voices(tmp_path), Faces(tmp_path)
    table = pd.DataFrame(
        [
            (f"{speaker}-{emotion}-{sentence}", "sample", speaker, emotion, str(sentence), split, "ok")
            for speaker, split in SPLIT_OF.items()
            for emotion in ("neutral", "happy", "disgusted")
            for sentence in range(NUM_SENTENCES)
        ],
        columns=["clip_id", "corpus", "speaker", "emotion", "sentence", "split", "status"],
    )
    table["intensity"] = pd.array([None if emotion == "happy" else 1 for emotion in table["emotion"]], dtype="Int64")
    table.assign(view=None).to_parquet(clips.path)
    rows = draw.normal(size=(len(table), 6)).astype(np.float32)
    pd.DataFrame({"clip_id": table["clip_id"], "embedding": list(rows)}).to_parquet(voices.path)
    pack_arrays(faces.all_codes, {clip: draw.normal(size=(draw.integers(5, 9), 3)) for clip in table["clip_id"]})
    write_deltas(clips, voices, faces, DELTAS, "disgusted", tmp_path / "deltas")
    return Pairs(tmp_path / "deltas"), voices, faces


def test_the_held_out_emotion_reaches_the_test_split_only(inputs: Inputs, tmp_path: Path) -> None:
    report = write_shards(*inputs, SMALL, 7, tmp_path / "out")
    emotions = {split: sorted({pair.emotion for pair in read_shards(tmp_path / "out", split)}) for split in SPLITS}
    assert emotions == {"train": ["happy"], "val": ["happy"], "test": ["disgusted", "happy"]}
    assert report.pairs_per_split == {"train": 10, "val": 5, "test": 10}
    assert report.num_left_out == 15
    assert report.num_shards == 3 + 2 + 3


def test_of_the_held_out_emotion_the_means_over_training_speakers_are_kept(inputs: Inputs, tmp_path: Path) -> None:
    pairs, voices, faces = inputs
    write_shards(pairs, voices, faces, SMALL, seed=0, out=tmp_path / "s")
    rows = pairs.table
    rows = rows[(rows["emotion"] == "disgusted") & (rows["split"] == "train")]
    assert len(rows) == 2 * NUM_SENTENCES
    speech = {clip: pairs.scaling.apply(vector) for clip, vector in voices.vectors.items()}
    deltas_S = [speech[row.emotional_clip] - speech[row.neutral_clip] for row in rows.itertuples()]
    ((emotion, mean),) = Shards(tmp_path / "s").left_out.items()
    assert emotion == "disgusted"
    np.testing.assert_allclose(mean.speech, np.mean(deltas_S, axis=0), rtol=1e-5)
    np.testing.assert_allclose(mean.expression, np.mean(np.stack(rows["expression_delta"]), axis=0), rtol=1e-5)


def test_pairs_come_back_with_scaled_speech(inputs: Inputs, tmp_path: Path) -> None:
    write_shards(*inputs, SMALL, 7, tmp_path / "out")
    pairs = {pair.key: pair for pair in read_shards(tmp_path / "out", "train")}
    assert len(pairs) == 10
    pair = pairs["a-happy-2"]
    deltas, voices, faces = inputs
    assert pair.neutral_speech == pytest.approx(deltas.scaling.apply(voices.vectors["a-neutral-2"]))
    assert pair.speech_delta == pytest.approx(pair.emotional_speech - pair.neutral_speech, abs=1e-5)
    assert np.array_equal(pair.emotional_expression, faces.codes("a-happy-2"))
    assert (pair.speaker, pair.sentence, pair.emotion, pair.intensity) == ("a", "2", "happy", None)
    assert all(getattr(pair, name).dtype == np.float32 for name in ("speech_delta", "neutral_expression"))


def test_training_clips_in_no_pair_come_back_without_those_of_the_held_out_emotion(
    inputs: Inputs, tmp_path: Path
) -> None:
    _, voices, faces = inputs
    clips = Clips(tmp_path)
    table = pd.read_parquet(clips.path)
    # each of the fifth sentence is alone now
    alone = table["clip_id"].isin(["a-neutral-4", "c-neutral-4"])
    table.assign(sentence=table["sentence"].mask(alone, "9")).to_parquet(clips.path)
    write_deltas(clips, voices, faces, DELTAS, "disgusted", tmp_path / "fewer")
    pairs = Pairs(tmp_path / "fewer")
    report = write_shards(pairs, voices, faces, SMALL, 7, tmp_path / "out")
    found = {clip.key: clip for clip in read_unpaired(tmp_path / "out", Shards(tmp_path / "out").splits[UNPAIRED])}
    assert report.num_unpaired == len(found)
    assert found.keys() == {"a-neutral-4", "a-happy-4"}
    happy = found["a-happy-4"]
    assert (happy.speaker, happy.sentence, happy.emotion, happy.intensity) == ("a", "4", "happy", None)
    assert happy.speech == pytest.approx(pairs.scaling.apply(voices.vectors["a-happy-4"]))
    assert np.array_equal(happy.expression, faces.codes("a-happy-4"))
    assert (happy.speech.dtype, happy.expression.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("name", ["#1", "100%", "it's {a,b}::$x", "${x}", "file:a?b", "José 陽"])
def test_a_folder_of_any_name_holds_shards(inputs: Inputs, tmp_path: Path, name: str) -> None:
    write_shards(*inputs, SMALL, 7, tmp_path / name / "out")
    assert len(list(read_shards(tmp_path / name / "out", "train"))) == 10


def test_same_pairs_and_seed_give_the_same_bytes(inputs: Inputs, tmp_path: Path) -> None:
    for name, seed in (("one", 7), ("two", 7), ("other", 8)):
        write_shards(*inputs, SMALL, seed, tmp_path / name)
    assert content_digest(tmp_path / "one") == content_digest(tmp_path / "two")
    assert content_digest(tmp_path / "one") != content_digest(tmp_path / "other")


def test_index_names_the_shard_of_every_pair(inputs: Inputs, tmp_path: Path) -> None:
    write_shards(*inputs, SMALL, 7, tmp_path / "out")
    index = Shards(tmp_path / "out").index
    assert list(index.columns) == ["key", "split", "shard", "sha256"]
    train = index[index["split"] == "train"]
    assert train["key"].tolist() == [pair.key for pair in read_shards(tmp_path / "out", "train")]
    assert train["shard"].unique().tolist() == [f"train/00000{number}.tar" for number in range(3)]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_truncated_shard_is_named(inputs: Inputs, tmp_path: Path, share: float) -> None:
    write_shards(*inputs, SMALL, 7, tmp_path / "out")
    tar = tmp_path / "out" / "train" / "000001.tar"
    tar.write_bytes(tar.read_bytes()[: int(share * tar.stat().st_size)])
    with pytest.raises(UserError, match=r"000001.tar: changed since it was written"):
        list(read_shards(tmp_path / "out", "train"))


def test_a_shard_that_is_replaced_once_compared_is_not_read(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(*inputs, SMALL, 7, tmp_path / "out")
    pairs = [pair.key for pair in read_shards(tmp_path / "out", "train")]
    file_digest = hashlib.file_digest

    def then_replace(stream: io.FileIO, name: str) -> Any:
        found = file_digest(stream, name)
        cut = tmp_path / "cut.tar"
        cut.write_bytes(b"x" * 100)
        cut.replace(Path(stream.name))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(hashlib, "file_digest", then_replace)
        assert [pair.key for pair in read_shards(tmp_path / "out", "train")] == pairs
    with pytest.raises(UserError, match=r"000000.tar: changed since it was written"):
        list(read_shards(tmp_path / "out", "train"))


def test_a_missing_shard_and_an_unfinished_folder_are_named(inputs: Inputs, tmp_path: Path) -> None:
    write_shards(*inputs, SMALL, 7, tmp_path / "out")
    (tmp_path / "out" / "val" / "000000.tar").unlink()
    with pytest.raises(UserError, match=r"val/000000.tar: the shard is missing"):
        list(read_shards(tmp_path / "out", "val"))
    (tmp_path / "out" / LISTING).unlink()
    with pytest.raises(UserError, match="no shards.json, so no finished shards"):
        list(read_shards(tmp_path / "out", "train"))


def test_a_dot_in_a_clip_id_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    path = inputs[0].folder / TABLE
    pairs = pd.read_parquet(path)
    pairs["pair_id"] = pairs["pair_id"].str.replace("a-happy-2", "a.happy.2")
    pairs.to_parquet(path)
    with pytest.raises(UserError, match="1 clip id.s. contain a dot or a slash, first 'a.happy.2'"):
        write_shards(*inputs, SMALL, 7, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [INDEX, LISTING])
def test_a_file_is_called_by_one_name(
    inputs: Inputs, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    renamed, shards = rename(monkeypatch, "shards", name), Shards(tmp_path / "out")
    report = write_shards(*inputs, SMALL, 7, shards.folder)
    assert len(shards.index) == report.num_pairs
    assert sum(len(entries) for entries in shards.splits.values()) == report.num_shards
    assert shards.scaling.spread_S.tolist() == inputs[0].scaling.spread_S.tolist()
    assert (shards.folder / renamed).is_file()
    assert not (shards.folder / name).exists()


Members = dict[str, bytes]


def repacked(folder: Path, change: Callable[[Members], object], mode: str = "w") -> Path:
    """The first validation shard with other members, and with a listing that fits them."""
    tar = folder / "val/000000.tar"
    with tarfile.open(tar) as opened:
        members = {member.name: opened.extractfile(member).read() for member in opened}  # type: ignore[union-attr]
    change(members)
    with tarfile.open(tar, mode) as opened:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    listing = json.loads((folder / LISTING).read_text())
    sha256 = hashlib.sha256(tar.read_bytes()).hexdigest()
    listing["splits"]["val"][0] |= {"bytes": tar.stat().st_size, "sha256": sha256}
    write_json(folder / LISTING, listing)
    return tar


@pytest.mark.parametrize(
    "suffix", ["pyd", "pickle", "pkl", "pth", "pt", "npz", "neutral_speech.pyd", "json.gz", "dill"]
)
def test_no_member_of_a_shard_runs_code(inputs: Inputs, tmp_path: Path, suffix: str) -> None:
    write_shards(*inputs, SMALL, 7, tmp_path / "out")
    sign = tmp_path / "code was run"
    repacked(tmp_path / "out", lambda members: members.update({f"c-happy-0.{suffix}": pickle.dumps(Trap(sign))}))
    with suppress(UserError):
        list(read_shards(tmp_path / "out", "val"))
    assert not sign.exists()


def put(name: str, content: bytes) -> Callable[[Members], object]:
    """Put a content in the place of the first member with this suffix."""
    return lambda members: members.update({next(key for key in members if key.endswith(name)): content})


BAD_MEMBERS = {
    "objects": (
        put(".neutral_speech.npy", npy(np.array([{}], object))),
        "is an array of Python objects, expected one of",
    ),
    "archive": (put(".neutral_speech.npy", b"PK\3\4"), "neutral_speech.npy: is not a numpy array"),
    "huge": (
        put(".neutral_speech.npy", npy(np.zeros(3)).replace(b"(3,), }            ", b"(3000000000000,), }")),
        "its header promises 24,000,000,000,000 bytes of numbers, it holds 24",
    ),
    "other axes": (put(".neutral_expression.npy", npy(np.zeros(3, np.float32))), "expected float32 with 2 axes and"),
    "other width": (put(".emotional_speech.npy", npy(np.zeros(5, np.float32))), "with 1 axes and 6 speech features"),
    "no frames": (put(".neutral_expression.npy", npy(np.zeros((0, 3), np.float32))), "of shape .0, 3., expected"),
    "NaN": (put(".speech_delta.npy", npy(np.full(6, np.nan, np.float32))), "speech_delta: holds NaN or infinity"),
    "deep": (put(".json", DEEP_JSON.encode()), "json: nested too deeply"),
    "a list": (put(".json", b"[]"), "json: not the labels of a sample .corpus, speaker"),
    "a key twice": (put(".json", b'{"emotion": "happy", "emotion": "sad"}'), "the key emotion is given twice"),
    "a level in words": (put(".json", b'{"intensity": "3"}'), "not the labels of a sample"),
    "a member twice": (lambda members: members.update({"c-happy-9.JSON": b"", "c-happy-9.json": b""}), "lacks"),
    "lacks": (lambda members: members.popitem(), "lacks .'.*npy'."),
}


@pytest.mark.parametrize("case", BAD_MEMBERS)
def test_a_member_that_is_not_what_it_should_be_is_named(inputs: Inputs, tmp_path: Path, case: str) -> None:
    write_shards(*inputs, SMALL, 7, tmp_path / "out")
    change, problem = BAD_MEMBERS[case]
    repacked(tmp_path / "out", change)
    with pytest.raises(UserError, match=rf"val/000000.tar: .*{problem}.*; run 'cmet shards' again"):
        list(read_shards(tmp_path / "out", "val"))


def test_a_compressed_tar_is_not_unpacked(inputs: Inputs, tmp_path: Path) -> None:
    write_shards(*inputs, SMALL, 7, tmp_path / "out")
    repacked(tmp_path / "out", lambda members: members, mode="w:gz")
    with pytest.raises(UserError, match="val/000000.tar: damaged: .*; run 'cmet shards' again"):
        list(read_shards(tmp_path / "out", "val"))


@pytest.mark.parametrize("name", ["../val/000000.tar", "/val/000000.tar", "val/../../000000.tar", "pipe:touch sign"])
def test_a_listing_names_nothing_outside_its_folder(inputs: Inputs, tmp_path: Path, name: str) -> None:
    write_shards(*inputs, SMALL, 7, tmp_path / "out")
    listing = json.loads((tmp_path / "out" / LISTING).read_text())
    listing["splits"]["val"][0]["name"] = name
    write_json(tmp_path / "out" / LISTING, listing)
    with pytest.raises(UserError, match=f"shards.json: names {name}, which is no shard of it"):
        list(read_shards(tmp_path / "out", "val"))


def test_a_listing_without_a_split_is_named(inputs: Inputs, tmp_path: Path) -> None:
    write_json(tmp_path / LISTING, {"format": 2, "splits": {"train": []}})
    with pytest.raises(UserError, match="shards.json: lacks val, test, unpaired"):
        list(read_shards(tmp_path, "val"))
