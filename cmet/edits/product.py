"""What the stages `edits` and `timing` leave behind, for one backbone."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from cmet.errors import UserError
from cmet.outputs import content_digest
from cmet.packs import Packs
from cmet.places import Places, at_hand
from cmet.records import read_record
from cmet.vocabulary import METHODS

TABLE = "edits.parquet"
PROTOCOL = "protocol.json"
TIMED = "timed.json"
TIMING = "timing.json"
TIMING_SCRIPT = "timing.js"
"""The same for the page of the report, which may read no other kind of file from a disk."""


@dataclass(frozen=True)
class DrivingSpeech:
    """Clip ids whose mean embeddings make a speech delta."""

    emotional: tuple[str, ...]
    neutral: tuple[str, ...]


@dataclass(frozen=True)
class EditsProtocol:
    """All that decides which clips are edited from which speech; connector and backbone are no part of it."""

    name: str
    """Of the pools, and the beginning of `sha256`."""
    sha256: str
    """Of everything below but `pools_sha256`."""
    pools_sha256: str
    """Of the speech alone."""
    pools: str
    num_speech_clips: int
    pool_seed: int | None
    """None where the pools need no draw."""
    identity_frame: int
    rows: str
    """Which are planned, as params.yaml names them."""
    clips: list[tuple[str, str, str]]
    """Row, source and target; empty for a clip that is not there."""
    speech: dict[str, DrivingSpeech]
    """By emotion and level, such as `angry 3`."""


@dataclass(frozen=True)
class MethodTiming:
    """How long one method takes."""

    seconds_per_video: float
    """Mean over the videos."""
    sd: float | None
    """Of the sample; None for one video."""
    parts: dict[str, float]
    """Mean seconds by part."""
    num_videos: int
    seconds_of_video: float
    """Mean length of the videos."""


@dataclass(frozen=True)
class Timed:
    """What was timed, the same on every machine: DVC keeps this and no seconds."""

    model_sha256: str
    """Of the Connector's weights."""
    backbone: str
    speech_encoder: str
    rows: list[str]
    """Those of the warm-up first."""
    warm_up: int
    """How many of them the clock did not count."""
    settings_sha256: str
    """Of the sections `edits` and `inference` of params.yaml."""


@dataclass(frozen=True)
class TimingFacts:
    """How long it took, and on what."""

    timed_sha256: str
    """Of the file with `Timed`."""
    methods: dict[str, MethodTiming]
    device: str
    """Where the networks of the backbone ran."""
    cpu: str
    num_cores: float
    threads: int
    warm_up: int
    """Videos before the clock counted."""
    speech_encoder: str
    speech: str
    """Where its embeddings came from, in words."""
    includes: list[str]
    excludes: list[str]


@dataclass(frozen=True)
class Edits:
    """Clips that every method has made of the same rows."""

    folder: Path

    @classmethod
    def open(cls, places: Places, backbone: str) -> "Edits":
        """The edits of a project.

        Raises:
            UserError: There are none yet.
        """
        return cls(places.written("edits", PROTOCOL, backbone).parent)

    @cached_property
    def protocol(self) -> EditsProtocol:
        """Rows, speech and settings that all methods share.

        Raises:
            UserError: Another version wrote them in another form.
        """
        return read_record(at_hand(self.folder / PROTOCOL), EditsProtocol, "cmet edits")

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row per clip, methods in the order of `METHODS`.

        Raises:
            UserError: There is no table, it is empty, or the methods did not edit the same rows.
        """
        return _read(self.folder)

    def video(self, name: str) -> Path:
        """A clip by what the table calls it (column `video`), as a path into a pack."""
        method, _, file = name.rpartition("/")
        return self._packs[method].path(file)

    @cached_property
    def _packs(self) -> dict[str, Packs]:
        return {method: Packs(self.folder / method) for method in METHODS}


@dataclass(frozen=True)
class Timing:
    """How long edits take on this machine; no output that DVC keeps, so a clone may have none."""

    folder: Path

    @classmethod
    def open(cls, places: Places, backbone: str) -> "Timing":
        """The timing of a project's edits.

        Raises:
            UserError: The stage has not run, or not here with this model and these settings.
        """
        timing = cls(places.measured("timing", backbone))
        timed = timed_sha256(places, backbone)
        is_there = timing.file.is_file()
        if not is_there or timing.facts.timed_sha256 != timed:
            why = "measured before the model or a setting was changed" if is_there else "not measured on this machine"
            raise UserError(f"{places.named(timing.folder)}: {why}; run `cmet timing --backbone {backbone}`")
        return timing

    @cached_property
    def facts(self) -> TimingFacts:
        """What `time_edits` wrote: methods, machine and conditions.

        Raises:
            UserError: Another version wrote it in another form.
        """
        return read_record(self.file, TimingFacts, "cmet timing")

    @property
    def file(self) -> Path:
        """The seconds as a file."""
        return self.folder / TIMING

    @property
    def methods(self) -> dict[str, MethodTiming]:
        """Seconds and their parts, by method."""
        return self.facts.methods

    @property
    def seconds(self) -> dict[str, float]:
        """Mean seconds per video, by method."""
        return {method: timed.seconds_per_video for method, timed in self.methods.items()}


def timed_sha256(places: Places, backbone: str) -> str:
    """Digest of what the stage `timing` has timed, which tells seconds of these edits from those of others.

    Raises:
        UserError: The stage has not run.
    """
    return content_digest(places.written("timing", TIMED, backbone))


def sample_id(protocol: str, row_id: str | None, method: str) -> str:
    """Name of one clip of one method under a protocol, or of all of them."""
    return ".".join(part for part in (protocol, row_id, method) if part is not None)


def sample_ids(clips: pd.DataFrame) -> list[str]:
    """Names of clips, from the columns protocol, row_id and method."""
    return [sample_id(*names) for names in clips[["protocol", "row_id", "method"]].itertuples(index=False)]


def _read(folder: Path) -> pd.DataFrame:
    path = at_hand(folder / TABLE)
    if not path.is_file():
        raise UserError(f"{folder}: no {TABLE}; run 'cmet edits'")
    try:
        edits = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as a Parquet table: {error}; run 'cmet edits' again") from error
    if edits.empty:
        raise UserError(f"{folder}: {TABLE} has no rows, so there is nothing to score; see the counts of 'cmet edits'")
    rows = {str(method): frozenset(part["row_id"]) for method, part in edits.groupby("method")}
    if len(set(rows.values())) > 1 or edits.duplicated(["row_id", "method"]).any():
        counts = ", ".join(f"{method} {len(ids)}" for method, ids in sorted(rows.items()))
        raise UserError(
            f"{folder}: every method must edit the same rows, each once, but there are {counts}; run 'cmet edits' again"
        )
    rank = edits["method"].map({method: place for place, method in enumerate(METHODS)}).fillna(len(METHODS))
    return edits.assign(rank=rank).sort_values(["rank", "method", "row_id"]).drop(columns="rank").reset_index(drop=True)
