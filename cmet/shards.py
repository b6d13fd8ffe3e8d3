"""Pairs packed in WebDataset tars, and read back with every byte checked.

Layout: `{train,val,test}/NNNNNN.tar` with pairs, `unpaired/NNNNNN.tar` with the training clips that are in no pair,
`speech_scaling.safetensors`, `index.parquet`, and `shards.json`, written last.
"""

import hashlib
import json
import os
import re
import tarfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from io import FileIO
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cmet.errors import UserError
from cmet.inputs.arrays import parse_array
from cmet.inputs.files import BadFile
from cmet.inputs.tars import open_tar
from cmet.inputs.texts import parse_json, shown
from cmet.outputs import fresh_folder, write_json
from cmet.pairs.sentences import neutral_sentence
from cmet.params import ShardsParams
from cmet.places import Places
from cmet.progress import progress
from cmet.records import read_record, read_values
from cmet.speech.scaling import SpeechScaling
from cmet.vocabulary import SPLITS

if TYPE_CHECKING:  # who only reads shards needs none of what they are made of
    from cmet.expression.product import Faces
    from cmet.pairs.product import Pairs
    from cmet.speech.product import Voices

# S speech features, T frames, K expression components

FORMAT = 2
UNPAIRED = "unpaired"
INDEX, LISTING = "index.parquet", "shards.json"
TAR_NAME = re.compile(r"\w+/\d+\.tar")
"""Path of a tar below the folder: none leads out of it."""

Fields = dict[str, str | bytes | np.ndarray]
"""A sample by the suffix that each part of it has in a tar."""


@dataclass(frozen=True)
class Shard:
    """A tar as shards.json lists it."""

    name: str
    """Its path below the folder."""
    n: int
    """Samples in it."""
    bytes: int
    sha256: str


@dataclass(frozen=True)
class MeanDelta:
    """Means over pairs of one emotion."""

    speech: list[float]
    """Shape (S,), scaled."""
    expression: list[float]
    """Shape (K,)."""


@dataclass(frozen=True)
class ShardList:
    """What shards.json holds."""

    format: int
    splits: dict[str, list[Shard]]
    left_out: dict[str, MeanDelta] = field(default_factory=dict)
    """Of the training speakers' pairs of the held-out emotion, which are in no shard: a model knows the emotion by
    them, and learns nothing from them."""


@dataclass(frozen=True, eq=False)
class ClipSample:
    """One clip as it lies in a shard; speech is scaled (`cmet.speech.scaling`)."""

    clip_id: str
    corpus: str
    speaker: str
    sentence: str
    emotion: str
    intensity: int | None
    speech: np.ndarray
    """Shape (S,), float32."""
    expression: np.ndarray
    """Shape (T, K), float32."""

    @property
    def key(self) -> str:
        """Its name in a tar."""
        return self.clip_id

    def to_sample(self) -> Fields:
        """Fields by the suffix they have in a tar."""
        return _fields(self, CLIP_LABELS, CLIP_ARRAYS)


CLIP_LABELS = ("corpus", "speaker", "sentence", "emotion", "intensity")
CLIP_ARRAYS = ("speech", "expression")


@dataclass(frozen=True, eq=False)
class PairSample:
    """One pair as it lies in a shard; speech is scaled (`cmet.speech.scaling`)."""

    key: str
    corpus: str
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

    def to_sample(self) -> Fields:
        """Fields by the suffix they have in a tar."""
        return _fields(self, LABELS, ARRAYS)

    def clips(self) -> tuple[ClipSample, ClipSample]:
        """The neutral and the emotional clip."""
        return (
            ClipSample(
                self.neutral_clip,
                self.corpus,
                self.speaker,
                neutral_sentence(self.corpus, self.sentence),
                "neutral",
                None,
                self.neutral_speech,
                self.neutral_expression,
            ),
            ClipSample(
                self.emotional_clip,
                self.corpus,
                self.speaker,
                self.sentence,
                self.emotion,
                self.intensity,
                self.emotional_speech,
                self.emotional_expression,
            ),
        )


LABELS = (*CLIP_LABELS, "neutral_clip", "emotional_clip")
ARRAYS = (
    "neutral_speech",
    "emotional_speech",
    "neutral_expression",
    "emotional_expression",
    "speech_delta",
    "expression_delta",
)


@dataclass(frozen=True)
class Shards:
    """What the stage `shards` leaves behind, for one backbone."""

    folder: Path

    @classmethod
    def open(cls, places: Places, backbone: str) -> "Shards":
        """The shards of a project.

        Raises:
            UserError: There are none yet.
        """
        return cls(places.written("shards", LISTING, backbone).parent)

    @property
    def path(self) -> Path:
        """The file that lists the tars with their digests, written last."""
        return self.folder / LISTING

    @property
    def index(self) -> pd.DataFrame:
        """A row per sample: key, split, shard and its SHA-256."""
        return pd.read_parquet(self.folder / INDEX)

    @property
    def splits(self) -> dict[str, list[Shard]]:
        """The tars of every split.

        Raises:
            UserError: As `read_listing`.
        """
        return read_listing(self.folder).splits

    @property
    def left_out(self) -> dict[str, MeanDelta]:
        """Means of the held-out emotion, by its name, as `ShardList` has them.

        Raises:
            UserError: As `read_listing`.
        """
        return read_listing(self.folder).left_out

    @property
    def scaling(self) -> SpeechScaling:
        """How the speech in them was scaled."""
        return SpeechScaling.load(self.folder)


@dataclass(frozen=True)
class ShardsReport:
    """What was packed."""

    num_shards: int
    num_pairs: int
    num_left_out: int
    """Pairs of the held-out emotion of training and validation speakers."""
    num_unpaired: int
    """Training clips that are in no pair, packed for themselves."""
    num_bytes: int
    pairs_per_split: dict[str, int]


def write_shards(
    deltas: "Pairs", voices: "Voices", faces: "Faces", params: ShardsParams, seed: int, out: Path
) -> ShardsReport:
    """Pack pairs into WebDataset tars, the same bytes for the same pairs and seed.

    Pairs of the held-out emotion go to the test shards only; those of other speakers are left out and counted, and of
    those of training speakers the means are kept.
    Training draws means over all clips of a speaker, so its clips without a partner are packed as well.

    Args:
        deltas: Pairs, the clips that are in none, and the speech scaling.
        voices: The embeddings that the deltas were made of.
        faces: Expression codes.
        params: The `shards` section of params.yaml.
        seed: Decides the order of the pairs inside a split.
        out: Folder that appears complete or not at all.
    """
    pairs = deltas.table.sort_values("pair_id", ignore_index=True)
    unpaired = deltas.unpaired_clips
    held_out = set(pairs.loc[pairs["is_held_out"], "emotion"])
    unpaired = unpaired[(unpaired["split"] == "train") & ~unpaired["emotion"].isin(held_out)]
    scaling = deltas.scaling
    speech = {clip: scaling.apply(row) for clip, row in voices.vectors.items()}
    is_left_out = pairs["is_held_out"] & (pairs["split"] != "test")
    kept = pairs[~is_left_out]
    _check_keys([*kept["pair_id"], *unpaired["clip_id"]])
    with fresh_folder(out) as folder:
        index: list[dict[str, str]] = []
        table: dict[str, list[Shard]] = {}
        with progress("shards", len(kept) + len(unpaired), "sample") as bar:
            for number, (split, rows) in enumerate(
                [*((split, kept[kept["split"] == split]) for split in SPLITS), (UNPAIRED, unpaired)]
            ):
                order = np.random.default_rng([seed, number]).permutation(len(rows))
                read = _clips if split == UNPAIRED else _pairs
                samples: Iterator[PairSample | ClipSample] = read(rows.iloc[order], speech, faces)
                table[split] = []
                for batch in _batches(samples, params.pairs_per_shard):
                    shard = write_tar(folder, f"{split}/{len(table[split]):06d}.tar", batch)
                    table[split].append(shard)
                    index += [_index_row(sample.key, split, shard) for sample in batch]
                    bar.update(len(batch))
        scaling.save(folder)
        pd.DataFrame(index, columns=["key", "split", "shard", "sha256"]).to_parquet(folder / INDEX)
        unseen = pairs[is_left_out & (pairs["split"] == "train")]
        write_json(folder / LISTING, ShardList(FORMAT, table, _mean_deltas(_pairs(unseen, speech, faces))))
    shards = [shard for entries in table.values() for shard in entries]
    return ShardsReport(
        num_shards=len(shards),
        num_pairs=len(kept),
        num_left_out=int(is_left_out.sum()),
        num_unpaired=len(unpaired),
        num_bytes=sum(shard.bytes for shard in shards),
        pairs_per_split={split: sum(shard.n for shard in table[split]) for split in SPLITS},
    )


def read_shards(folder: Path, split: str) -> Iterator[PairSample]:
    """The pairs of a split, in the order they were written.

    Raises:
        UserError: The folder holds no shards, or a shard is missing, changed or incomplete; the message names it.
    """
    return read_pairs(folder, read_listing(folder).splits[split])


def read_pairs(folder: Path, shards: Iterable[Shard]) -> Iterator[PairSample]:
    """The pairs of some shards.

    Raises:
        UserError: As `read_shards`.
    """
    for key, values in _read(folder, shards, LABELS, ARRAYS):
        yield PairSample(key, **values)


def read_unpaired(folder: Path, shards: Iterable[Shard]) -> Iterator[ClipSample]:
    """The training clips that are in no pair, out of shards of the split `UNPAIRED`.

    Raises:
        UserError: As `read_shards`.
    """
    for key, values in _read(folder, shards, CLIP_LABELS, CLIP_ARRAYS):
        yield ClipSample(key, **values)


def check_shards(folder: Path, splits: Sequence[str]) -> dict[str, list[Shard]]:
    """The shards of these splits, every byte of them compared with what was written.

    Raises:
        UserError: The folder holds no shards, or one is missing or changed; the message names it.
    """
    table = read_listing(folder).splits
    for split in splits:
        for shard in table[split]:
            _open_checked(folder / shard.name, shard).close()
    return {split: table[split] for split in splits}


def read_listing(folder: Path) -> ShardList:
    """What shards.json says.

    Raises:
        UserError: There is none, or it has another format.
    """
    path = folder / LISTING
    if not path.exists():
        raise UserError(f"{folder}: no shards.json, so no finished shards; run 'cmet shards' first")
    values = read_values(path, "cmet shards")
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise UserError(f"{path}: expected format {FORMAT}, found {shown(str(found))}; run 'cmet shards' again")
    listed = read_record(path, ShardList, "cmet shards")
    names = [shard.name for shards in listed.splits.values() for shard in shards]
    outside = next((name for name in names if not TAR_NAME.fullmatch(name)), None)
    missing = [split for split in (*SPLITS, UNPAIRED) if split not in listed.splits]
    if outside is not None or missing:
        what = f"lacks {', '.join(missing)}" if missing else f"names {shown(str(outside))}, which is no shard of it"
        raise UserError(f"{path}: {what}; run 'cmet shards' again")
    return listed


def _check_keys(keys: Sequence[str]) -> None:
    # WebDataset cuts a key at its first dot, silently
    bad = [key for key in keys if "." in key or "/" in key]
    if bad:
        raise UserError(f"shards: {len(bad)} clip id(s) contain a dot or a slash, first {bad[0]!r}")


def _clips(rows: pd.DataFrame, speech: dict[str, np.ndarray], faces: "Faces") -> Iterator[ClipSample]:
    for row in rows.to_dict("records"):
        yield ClipSample(
            clip_id=row["clip_id"],
            **_labels(row),
            speech=speech[row["clip_id"]],
            expression=faces.codes(row["clip_id"]).astype(np.float32),
        )


def _pairs(rows: pd.DataFrame, speech: dict[str, np.ndarray], faces: "Faces") -> Iterator[PairSample]:
    for row in rows.to_dict("records"):
        yield PairSample(
            key=row["pair_id"],
            **_labels(row),
            neutral_clip=row["neutral_clip"],
            emotional_clip=row["emotional_clip"],
            neutral_speech=speech[row["neutral_clip"]],
            emotional_speech=speech[row["emotional_clip"]],
            neutral_expression=faces.codes(row["neutral_clip"]).astype(np.float32),
            emotional_expression=faces.codes(row["emotional_clip"]).astype(np.float32),
            speech_delta=speech[row["emotional_clip"]] - speech[row["neutral_clip"]],
            expression_delta=np.asarray(row["expression_delta"], np.float32),
        )


def _mean_deltas(pairs: Iterable[PairSample]) -> dict[str, MeanDelta]:
    """Means of each emotion."""
    found: dict[str, list[PairSample]] = defaultdict(list)
    for pair in pairs:
        found[pair.emotion].append(pair)
    return {
        emotion: MeanDelta(_mean([pair.speech_delta for pair in same]), _mean([pair.expression_delta for pair in same]))
        for emotion, same in sorted(found.items())
    }


def _mean(vectors: list[np.ndarray]) -> list[float]:
    return np.stack(vectors).mean(axis=0, dtype=np.float64).tolist()


def _labels(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        "corpus": row["corpus"],
        "speaker": str(row["speaker"]),
        "sentence": str(row["sentence"]),
        "emotion": row["emotion"],
        "intensity": None if pd.isna(row["intensity"]) else int(row["intensity"]),
    }


def _batches(samples: Iterator[PairSample | ClipSample], size: int) -> Iterator[list[PairSample | ClipSample]]:
    while batch := list(islice(samples, size)):
        yield batch


def write_tar(folder: Path, name: str, batch: Sequence[PairSample | ClipSample]) -> Shard:
    """Write one tar below a folder and return it as shards.json lists it."""
    # imports torch, for which `Shards` need not wait
    from webdataset import TarWriter

    path = folder / name
    path.parent.mkdir(exist_ok=True)
    # mtime=0: the default is the clock, and DVC would see new bytes after every run
    # opened here: a path would be taken for an address
    with path.open("wb") as stream, TarWriter(stream, mtime=0) as tar:
        for sample in batch:
            tar.write(sample.to_sample())
    return Shard(name, len(batch), path.stat().st_size, _sha256(path))


def _index_row(key: str, split: str, shard: Shard) -> dict[str, str]:
    return {"key": key, "split": split, "shard": shard.name, "sha256": shard.sha256}


def _read(
    folder: Path, shards: Iterable[Shard], labels: Sequence[str], arrays: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Key of every sample, and its labels and arrays by name."""
    decoders = {"json": parse_json, **{f"{name}.npy": parse_array for name in arrays}}
    widths: dict[str, int] = {}
    for shard in shards:
        path = folder / shard.name
        # the same open file from here on: one that is put in its place meanwhile is not the one that was compared
        stream = _open_checked(path, shard)
        num = 0
        # a truncated tar may end without an error and lose fields: count both
        try:
            for key, members in _samples(path, stream, decoders):
                missing = sorted(decoders.keys() - members.keys())
                if missing:
                    raise BadFile(f"{path}: sample {key} lacks {missing}")
                found = {name: decode(members[name], f"{path}: {key}.{name}") for name, decode in decoders.items()}
                values = {name: found[f"{name}.npy"] for name in arrays}
                _check_shapes(values, widths, f"{path}: {key}")
                yield key, _checked_labels(found["json"], labels, f"{path}: {key}.json") | values
                num += 1
        except BadFile as error:
            raise UserError(f"{error}; run 'cmet shards' again") from error
        except (tarfile.TarError, ValueError) as error:
            raise UserError(f"{path}: damaged: {error.args[0]}; run 'cmet shards' again") from error
        if num != shard.n:
            raise UserError(f"{path}: expected {shard.n} samples, read {num}; run 'cmet shards' again")


def _samples(path: Path, stream: FileIO, names: Collection[str]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Key and bytes of the members of every sample that have one of these names.

    WebDataset's own reader would take the path for an address, look into compressed tars, and decode members of other
    names in its own way, some of them with pickle, which runs what they say.
    """
    from webdataset.tariterators import group_by_keys

    with open_tar(stream) as tar:
        # a sparse member is as large as it says
        plain = (member for member in tar if member.isreg() and not member.issparse())
        wanted = (member for member in plain if PurePosixPath(member.name).name.partition(".")[2] in names)
        files = ({"fname": member.name, "data": _bytes(tar, member), "__url__": str(path)} for member in wanted)
        for sample in group_by_keys(files):
            yield sample.pop("__key__"), sample


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member)
    assert stream is not None
    return stream.read()


def _check_shapes(values: dict[str, np.ndarray], widths: dict[str, int], name: str) -> None:
    """Refuse arrays of another kind or width than those before them, and such as hold NaN or infinity."""
    for part, array in values.items():
        what = "speech" if "speech" in part else "expression"
        num_axes = 2 if part.removeprefix("neutral_").removeprefix("emotional_") == "expression" else 1
        width = array.shape[-1] if array.ndim == num_axes and array.size else 0
        if array.dtype != np.float32 or not width or widths.setdefault(what, width) != width:
            expected = f"{num_axes} axes and {widths.get(what, 'some')} {what} features"
            raise BadFile(f"{name}.{part}: {array.dtype} of shape {array.shape}, expected float32 with {expected}")
        if not np.isfinite(array).all():
            raise BadFile(f"{name}.{part}: holds NaN or infinity")


def _checked_labels(found: Any, labels: Sequence[str], name: str) -> dict[str, Any]:
    wrong = [
        label
        for label in labels
        if not isinstance(found, dict)
        or label not in found
        or not isinstance(found[label], int | None if label == "intensity" else str)
    ]
    if wrong:
        raise BadFile(f"{name}: not the labels of a sample ({', '.join(wrong)})")
    return {label: found[label] for label in labels}


def _fields(sample: PairSample | ClipSample, labels: Sequence[str], arrays: Sequence[str]) -> Fields:
    values = {name: getattr(sample, name) for name in labels}
    return {
        "__key__": sample.key,
        "json": json.dumps(values, sort_keys=True).encode(),
        **{f"{name}.npy": getattr(sample, name) for name in arrays},
    }


def _open_checked(path: Path, shard: Shard) -> FileIO:
    """A shard, open at its beginning, every byte of it compared with what was written."""
    if not path.is_file():
        raise UserError(f"{path}: the shard is missing; run 'cmet shards' again")
    stream = FileIO(path)
    num_bytes = os.fstat(stream.fileno()).st_size
    if num_bytes != shard.bytes or hashlib.file_digest(stream, "sha256").hexdigest() != shard.sha256:
        stream.close()
        raise UserError(
            f"{path}: changed since it was written (expected {shard.bytes} bytes, "
            f"found {num_bytes}); run 'cmet shards' again"
        )
    stream.seek(0)
    return stream


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
