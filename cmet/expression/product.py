"""What the stage `expression` leaves behind, for one backbone."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cmet.inputs.arrays import parse_array
from cmet.inputs.files import BadFile
from cmet.packs import Packs, read_packed
from cmet.places import Places

TRACKS, CODES, MODEL = "tracks", "codes", "model"
QUARANTINE = "quarantine.csv"


@dataclass(frozen=True)
class Faces:
    """Expression codes of clips, what the backbone saw of them, and what it was fitted to."""

    folder: Path

    @classmethod
    def open(cls, places: Places, backbone: str) -> "Faces":
        """The faces of a project's clips.

        Raises:
            UserError: They are not there yet.
        """
        return cls(places.written("expression", CODES, backbone).parent)

    @property
    def model(self) -> Path:
        """What the backbone was fitted to, or which weights it used: the folder that `load_backbone` takes."""
        return self.folder / MODEL

    @property
    def all_codes(self) -> Path:
        """Folder of the codes of all clips."""
        return self.folder / CODES

    @property
    def all_tracks(self) -> Path:
        """Folder of the tracks of all clips."""
        return self.folder / TRACKS

    def codes(self, clip_id: str) -> np.ndarray:
        """Expression codes of a clip, shape (T, K), float32.

        Raises:
            BadFile: They are damaged, or not finite.
        """
        path = self._codes.path(array_name(clip_id))
        codes_TK = parse_array(read_packed(path), path)
        if codes_TK.dtype.kind != "f" or codes_TK.ndim != 2 or not codes_TK.size or not np.isfinite(codes_TK).all():
            raise BadFile(f"{path}: no expression codes, which are finite and of shape (frames, components)")
        return codes_TK

    def has_codes(self, clip_id: str) -> bool:
        """Whether a clip was encoded."""
        return array_name(clip_id) in self._codes

    def has_track(self, clip_id: str) -> bool:
        """Whether the backbone saw enough of a clip."""
        return array_name(clip_id) in self._tracks

    def track(self, clip_id: str) -> np.ndarray:
        """What the backbone saw of a clip, shape (T, ...), float32.

        Raises:
            BadFile: It is damaged.
        """
        path = self._tracks.path(array_name(clip_id))
        return parse_array(read_packed(path), path)

    @cached_property
    def _codes(self) -> Packs:
        return Packs(self.all_codes)

    @cached_property
    def _tracks(self) -> Packs:
        return Packs(self.all_tracks)


def array_name(clip_id: str) -> str:
    """The file with the codes of a clip, or its track, among those of all clips."""
    return f"{clip_id}.npy"
