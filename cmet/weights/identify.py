"""Which registered checkpoint a file is, by its keys and shapes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cmet.errors import UserError
from cmet.inputs.texts import shown
from cmet.weights.containers import FileKind, UnreadableWeights, kind_of, not_finite, state_dicts
from cmet.weights.registry import CHECKPOINTS, NETWORKS, Checkpoint, Network, checkpoint_named, find_weight

if TYPE_CHECKING:
    from torch import Tensor

LIKENESS = 0.5
"""Share of keys above which a file is called a checkpoint of a network, though an incomplete one."""


@dataclass(frozen=True)
class Match:
    """The keys in one place of a file against those of a network."""

    network: Network
    place: str
    """Where in the file's dict the tensors are."""
    num_matching: int
    """Keys of the right shape."""
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[str, ...]
    """Keys of another shape: `key: 10x512, expected 20x512`."""

    @property
    def fits(self) -> bool:
        """Whether the network loads from this."""
        return not (self.missing or self.unexpected or self.reshaped)

    @property
    def likeness(self) -> float:
        """Share of keys in common, 0 to 1; a wrong shape counts half."""
        common = self.num_matching + len(self.reshaped)
        total = common + len(self.missing) + len(self.unexpected)
        return (self.num_matching + len(self.reshaped) / 2) / total

    @property
    def differences(self) -> str:
        """What does not fit, counted, with the first few."""
        total = self.num_matching + len(self.reshaped) + len(self.missing)
        parts = []
        if self.missing:
            parts.append(f"{len(self.missing)} of {total} keys missing{_first(self.missing)}")
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} unexpected{_first(self.unexpected)}")
        if self.reshaped:
            parts.append(f"{len(self.reshaped)} of another shape{_first(self.reshaped)}")
        return ", ".join(parts)


def _first(keys: Sequence[str], num: int = 3) -> str:
    return f" ({', '.join(map(shown, keys[:num]))}{', ...' if len(keys) > num else ''})"


def match(network: Network, place: str, shapes: Mapping[str, tuple[int, ...]]) -> Match:
    """Compare the shapes found in a file with those of a network."""
    found = {key: shape for key, shape in shapes.items() if not network.skips(key)}
    reshaped = [key for key, shape in network.shapes.items() if key in found and found[key] != shape]
    return Match(
        network=network,
        place=place,
        num_matching=len(network.shapes.keys() & found.keys()) - len(reshaped),
        missing=tuple(key for key in network.shapes if key not in found and network.needs(key)),
        unexpected=() if network.ignores_others else tuple(key for key in found if key not in network.shapes),
        reshaped=tuple(f"{key}: {_size(found[key])}, expected {_size(network.shapes[key])}" for key in reshaped),
    )


def _size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a number"


@dataclass(frozen=True)
class Identification:
    """What a file is."""

    path: Path
    kind: FileKind
    size_bytes: int
    sha256: str
    problem: str | None
    """Why it cannot be read."""
    num_tensors: int
    not_finite: tuple[str, ...]
    """Keys whose tensors hold NaN or infinity."""
    matches: tuple[Match, ...]
    """One per network, the best first."""
    expected: Checkpoint | None
    """What the caller, or else the name of the file, says it is."""

    @property
    def best(self) -> Match | None:
        """The network that has most in common with the file, or None where no network has any key of it."""
        return self.matches[0] if self.matches and self.matches[0].likeness > 0 else None

    @property
    def wanted(self) -> Match | None:
        """The comparison that decides: with the expected network, or else with the best one."""
        if self.expected is None or self.expected.network is None:
            return self.best
        return next((found for found in self.matches if found.network == self.expected.network), None)

    @property
    def has_documented_size(self) -> bool:
        """Whether the size is the published one, as far as one is published."""
        return self.expected is None or self.expected.size_bytes in (None, self.size_bytes)

    @property
    def loads(self) -> bool:
        """Whether it can be used for what it is."""
        if self.problem or self.not_finite or not self.has_documented_size:
            return False
        if self.expected is not None and self.expected.network is None:
            return True
        return self.wanted is not None and self.wanted.fits

    @property
    def sentence(self) -> str:
        """What the file is and whether it loads, for people."""
        if self.problem:
            return f"this file {self.problem}"
        said = self._compared()
        if not self.has_documented_size:
            assert self.expected is not None
            published = f"the published file has {self.expected.size_bytes:,}"
            said += f"; {self.size_bytes:,} bytes, but {published}: damaged, or another file"
        if self.not_finite and self.best is not None:
            share = f"{len(self.not_finite)} of its {self.best.num_matching} tensors{_first(self.not_finite)}"
            said = f"NaN or infinity in {share}, though {said}"
        return said

    def _compared(self) -> str:
        best, wanted = self.best, self.wanted
        known = best is not None and best.likeness >= LIKENESS
        if self.expected is not None and self.expected.network is None:
            said = f"{self.num_tensors} tensor(s); no key set of {self.expected.name} is recorded to compare with"
            return f"{said}; this is {_name(best.network)}" if known and best and best.fits else said
        if wanted is not None and wanted.fits:
            return f"this is {_name(wanted.network)}, all {wanted.num_matching} keys match"
        if best is None or wanted is None:
            return f"not a known checkpoint: none of its keys belongs to one ({self.num_tensors} in all)"
        if wanted != best and known:
            return f"this is {_name(best.network)}, not {_name(wanted.network)}: {wanted.differences}"
        if wanted.likeness >= LIKENESS:
            return f"this is {_name(wanted.network)}, but {wanted.differences}"
        return f"not a known checkpoint; compared with {_name(wanted.network)}: {wanted.differences}"


def _name(network: Network) -> str:
    files = (checkpoint.file for checkpoint in CHECKPOINTS.values() if checkpoint.network == network)
    return f"{network.title} ({' or '.join(files)})"


def identify(path: Path, name: str | None = None) -> Identification:
    """Say what a file is.

    Args:
        path: Any file.
        name: The registered checkpoint it should be; the one with this file name when None.

    Raises:
        UserError: There is no such file, it cannot be opened, or the name is unknown.
    """
    return _examine(path, name)[0]


def load_weights(name: str, folder: Path | None = None) -> "dict[str, Tensor]":
    """The tensors of a registered checkpoint by key, as its network has them, for `load_state_dict`.

    Args:
        name: A checkpoint whose key set is registered.
        folder: Where to look; `weights_folder()` when None.

    Raises:
        UserError: It is missing, or as `load_file_as` has it.
    """
    _network_of(name)
    return load_file_as(find_weight(name, folder), name)


def load_file_as(path: Path, name: str) -> "dict[str, Tensor]":
    """The tensors of a registered checkpoint from any file, by key, as its network has them.

    Keys that the published loader passes over are left out; optional ones are there where the file has them.

    Args:
        path: The file, whatever its name.
        name: A checkpoint whose key set is registered.

    Raises:
        UserError: It cannot be read, is another checkpoint or holds values that are not finite; the message says how
            to get the right one.
    """
    network = _network_of(name)
    found, places = _examine(path, name)
    if not found.loads or found.wanted is None:
        raise UserError(f"{path}: {found.sentence}; delete it and run `cmet weights get {name}`")
    return {key: tensor for key, tensor in places[found.wanted.place].items() if key in network.shapes}


def _network_of(name: str) -> Network:
    network = checkpoint_named(name).network
    if network is None:
        raise UserError(f"{name}: its key set is not recorded; expected one of {', '.join(NETWORKS)}")
    return network


def _examine(path: Path, name: str | None) -> "tuple[Identification, Mapping[str, Mapping[str, Tensor]]]":
    expected = checkpoint_named(name) if name else next((c for c in CHECKPOINTS.values() if c.file == path.name), None)
    try:
        kind = kind_of(path)
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        size_bytes = path.stat().st_size
    except UnreadableWeights as error:
        raise UserError(f"{path}: {error}; name one file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    places: Mapping[str, Mapping[str, Tensor]] = {}
    problem = None
    try:
        places = state_dicts(path, kind)
    except UnreadableWeights as error:
        problem = str(error)
    matches = _matches(places)
    found = Identification(
        path=path,
        kind=kind,
        size_bytes=size_bytes,
        sha256=sha256,
        problem=problem,
        num_tensors=max(map(len, places.values()), default=0),
        not_finite=_not_finite(matches[0], places) if matches else (),
        matches=matches,
        expected=expected,
    )
    return found, places


def _matches(places: "Mapping[str, Mapping[str, Tensor]]") -> tuple[Match, ...]:
    """The best place per network, then the best network first."""
    found = []
    for network in NETWORKS.values():
        candidates = [
            match(network, place, {key: tuple(tensor.shape) for key, tensor in tensors.items()})
            for place, tensors in places.items()
        ]
        if candidates:
            found.append(max(candidates, key=lambda one: (one.likeness, one.place == network.place)))
    return tuple(sorted(found, key=lambda one: (-one.likeness, -one.num_matching)))


def _not_finite(found: Match, places: "Mapping[str, Mapping[str, Tensor]]") -> tuple[str, ...]:
    # only tensors of the right shape: a file can claim a shape that no memory holds
    tensors, shapes = places[found.place], found.network.shapes
    return tuple(
        not_finite({key: tensors[key] for key in shapes if key in tensors and tensors[key].shape == shapes[key]})
    )
