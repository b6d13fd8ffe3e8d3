"""Pairs packed in WebDataset tars, and read back with every byte checked.

Layout: `{train,val,test}/NNNNNN.tar`, `speech_scaling.safetensors`, `index.parquet`, and `shards.json`, written last.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import webdataset as wds
from tqdm import tqdm

from cmet.deltas import read_embeddings
from cmet.errors import UserError
from cmet.outputs import fresh_folder, write_json
from cmet.params import ShardsParams
from cmet.speech.scaling import SpeechScaling

# S speech features, T frames, K expression components

SPLITS = ("train", "val", "test")
FORMAT = 1
LABELS = ("speaker", "sentence", "emotion", "intensity", "neutral_clip", "emotional_clip")
ARRAYS = (
    "neutral_speech",
    "emotional_speech",
    "neutral_expression",
    "emotional_expression",
    "speech_delta",
    "expression_delta",
)


@dataclass(frozen=True, eq=False)
class PairSample:
    """One pair as it lies in a shard; speech is scaled (`cmet.speech.scaling`)."""

    key: str
    speaker: str
    sentence: str
    emotion: str
    intensity: int | None
    neutral_clip: str
    emotional_clip: str
    neutral_speech: np.ndarray
    """Shape (S,), float32, as all speech here."""
    emotional_speech: np.ndarray
    neutral_expression: np.ndarray
    """Shape (T, K), float32."""
    emotional_expression: np.ndarray
    """Shape (T', K), float32."""
    speech_delta: np.ndarray
    expression_delta: np.ndarray
    """Shape (K,), float32."""

    def to_sample(self) -> dict[str, Any]:
        """Fields by the suffix they have in a tar."""
        labels = {name: getattr(self, name) for name in LABELS}
        return {
            "__key__": self.key,
            "json": json.dumps(labels, sort_keys=True).encode(),
            **{f"{name}.npy": getattr(self, name) for name in ARRAYS},
        }


@dataclass(frozen=True)
class ShardsReport:
    """What was packed."""

    num_shards: int
    num_pairs: int
    num_left_out: int
    """Pairs of the held-out emotion of training and validation speakers."""
    num_bytes: int
    pairs_per_split: dict[str, int]


def write_shards(
    deltas: Path, embeddings: Path, codes: Path, params: ShardsParams, seed: int, out: Path
) -> ShardsReport:
    """Pack pairs into WebDataset tars, the same bytes for the same pairs and seed.

    Pairs of the held-out emotion go to the test shards only; those of other speakers are left out and counted.

    Args:
        deltas: Folder with pairs.parquet and the speech scaling.
        embeddings: embeddings.parquet the deltas were made of.
        codes: Folder of `<clip_id>.npy`, expression codes (T, K).
        params: The `shards` section of params.yaml.
        seed: Decides the order of the pairs inside a split.
        out: Folder that appears complete or not at all.
    """
    pairs = pd.read_parquet(deltas / "pairs.parquet").sort_values("pair_id", ignore_index=True)
    scaling = SpeechScaling.load(deltas)
    speech = {clip: scaling.apply(row) for clip, row in read_embeddings(embeddings).items()}
    is_left_out = pairs["is_held_out"] & (pairs["split"] != "test")
    kept = pairs[~is_left_out]
    _check_keys(kept["pair_id"])
    with fresh_folder(out) as folder:
        index: list[dict[str, Any]] = []
        table: dict[str, list[dict[str, Any]]] = {}
        with tqdm(total=len(kept), desc="shards", unit="pair", mininterval=1) as bar:
            for number, split in enumerate(SPLITS):
                rows = kept[kept["split"] == split]
                order = np.random.default_rng([seed, number]).permutation(len(rows))
                samples = _samples(rows.iloc[order], speech, codes)
                table[split] = []
                for batch in _batches(samples, params.pairs_per_shard):
                    shard = write_tar(folder, f"{split}/{len(table[split]):06d}.tar", batch)
                    table[split].append(shard)
                    index += [_index_row(sample.key, split, shard) for sample in batch]
                    bar.update(len(batch))
        scaling.save(folder)
        pd.DataFrame(index, columns=["key", "split", "shard", "sha256"]).to_parquet(folder / "index.parquet")
        write_json(folder / "shards.json", {"format": FORMAT, "splits": table})
    shards = [shard for split in SPLITS for shard in table[split]]
    return ShardsReport(
        num_shards=len(shards),
        num_pairs=len(kept),
        num_left_out=int(is_left_out.sum()),
        num_bytes=sum(shard["bytes"] for shard in shards),
        pairs_per_split={split: sum(shard["n"] for shard in table[split]) for split in SPLITS},
    )


def read_shards(folder: Path, split: str) -> Iterator[PairSample]:
    """The pairs of a split, in the order they were written.

    Raises:
        UserError: The folder holds no shards, or a shard is missing, changed or incomplete; the message names it.
    """
    for shard in read_manifest(folder)["splits"][split]:
        path = folder / shard["name"]
        _check_bytes(path, shard)
        num = 0
        # a truncated tar may end without an error and lose fields: count both
        for sample in wds.WebDataset(str(path), shardshuffle=False, empty_check=False).decode():
            yield _from_sample(sample, path)
            num += 1
        if num != shard["n"]:
            raise UserError(f"{path}: expected {shard['n']} pairs, read {num}; run 'cmet shards' again")


def read_manifest(folder: Path) -> dict[str, Any]:
    """What shards.json says.

    Raises:
        UserError: There is none, or it has another format.
    """
    path = folder / "shards.json"
    if not path.is_file():
        raise UserError(f"{folder}: no shards.json, so no finished shards; run 'cmet shards' first")
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if manifest.get("format") != FORMAT:
        raise UserError(f"{path}: expected format {FORMAT}, found {manifest.get('format')}; run 'cmet shards' again")
    return manifest


def _check_keys(keys: pd.Series) -> None:
    # WebDataset cuts a key at its first dot, silently
    bad = [key for key in keys if "." in key or "/" in key]
    if bad:
        raise UserError(f"shards: {len(bad)} clip id(s) hold a dot or a slash, first {bad[0]!r}")


def _samples(rows: pd.DataFrame, speech: dict[str, np.ndarray], codes: Path) -> Iterator[PairSample]:
    for row in rows.to_dict("records"):
        yield PairSample(
            key=row["pair_id"],
            speaker=str(row["speaker"]),
            sentence=str(row["sentence"]),
            emotion=row["emotion"],
            intensity=None if pd.isna(row["intensity"]) else int(row["intensity"]),
            neutral_clip=row["neutral_clip"],
            emotional_clip=row["emotional_clip"],
            neutral_speech=speech[row["neutral_clip"]],
            emotional_speech=speech[row["emotional_clip"]],
            neutral_expression=np.load(codes / f"{row['neutral_clip']}.npy").astype(np.float32),
            emotional_expression=np.load(codes / f"{row['emotional_clip']}.npy").astype(np.float32),
            speech_delta=speech[row["emotional_clip"]] - speech[row["neutral_clip"]],
            expression_delta=np.asarray(row["expression_delta"], np.float32),
        )


def _batches(samples: Iterator[PairSample], size: int) -> Iterator[list[PairSample]]:
    while batch := list(islice(samples, size)):
        yield batch


def write_tar(folder: Path, name: str, batch: list[PairSample]) -> dict[str, Any]:
    """Write one tar below a folder and return its entry of shards.json."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    # mtime=0: the default is the clock, and DVC would see new bytes after every run
    with wds.TarWriter(str(path), mtime=0) as tar:
        for sample in batch:
            tar.write(sample.to_sample())
    return {"name": name, "n": len(batch), "bytes": path.stat().st_size, "sha256": _sha256(path)}


def _index_row(key: str, split: str, shard: dict[str, Any]) -> dict[str, str]:
    return {"key": key, "split": split, "shard": shard["name"], "sha256": shard["sha256"]}


def _check_bytes(path: Path, shard: dict[str, Any]) -> None:
    if not path.is_file():
        raise UserError(f"{path}: the shard is missing; run 'cmet shards' again")
    if path.stat().st_size != shard["bytes"] or _sha256(path) != shard["sha256"]:
        raise UserError(
            f"{path}: not the bytes that were written (expected {shard['bytes']} bytes, "
            f"found {path.stat().st_size}); run 'cmet shards' again"
        )


def _from_sample(sample: dict[str, Any], path: Path) -> PairSample:
    expected = {"json", *(f"{name}.npy" for name in ARRAYS)}
    missing = sorted(expected - set(sample))
    if missing:
        raise UserError(f"{path}: pair {sample['__key__']} lacks {missing}; run 'cmet shards' again")
    return PairSample(key=sample["__key__"], **sample["json"], **{name: sample[f"{name}.npy"] for name in ARRAYS})


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
