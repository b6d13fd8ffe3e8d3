"""What the stage `clips` leaves behind."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cmet.errors import UserError
from cmet.packs import Packs, has_file, unpack_file
from cmet.params import ClipForm
from cmet.places import Places, at_hand

if TYPE_CHECKING:  # processes that prepare or edit clips need no table, whose library is most of what they would hold
    import pandas as pd

TABLE = "clips.parquet"
VIDEO, SOUND = "video", "audio"
MARGIN = 0.1
"""How far a prepared picture reaches past the boxes of the face, as a share of them on each side (`increase`)."""


@dataclass(frozen=True)
class Clips:
    """Prepared clips: the manifest with the facts of each, a picture and a sound of those that are usable."""

    folder: Path
    corpus: Path | None = None
    """Folder of the raw corpus, where the paths of the manifest begin; only some encoders read from there."""
    form: ClipForm | None = None
    """How they look and sound, which the parameters say; None for whoever need not know."""

    @classmethod
    def open(cls, places: Places, form: ClipForm | None = None) -> "Clips":
        """The prepared clips of a project.

        Raises:
            UserError: They are not there yet.
        """
        return cls(places.written("clips", TABLE).parent, places.corpus_folder, form)

    @property
    def path(self) -> Path:
        """The table as a file."""
        return at_hand(self.folder / TABLE)

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row per clip, quarantined ones too."""
        import pandas as pd

        return pd.read_parquet(self.path)

    @property
    def usable(self) -> "pd.DataFrame":
        """The rows that are not quarantined."""
        return self.table[self.table.status == "ok"]

    def video(self, clip_id: str) -> Path:
        """The picture of a clip, as a path into a pack."""
        return self._pictures.path(video_name(clip_id))

    def sound(self, clip_id: str) -> Path:
        """The sound of a clip, over the same span, as a path into a pack."""
        return self._sounds.path(sound_name(clip_id))

    def raw_sound(self, row: "pd.Series | Mapping[Hashable, str | float | None]") -> Path:
        """The raw file that a clip's sound comes from."""
        assert self.corpus is not None
        path = below(self.corpus, row["audio"]) or below(self.corpus, row["video"])
        return Path(str(path))

    def write_out(self, clip_id: str, folder: Path) -> list[Path]:
        """Write the picture and the sound of a clip into a folder as plain files, and return where they are.

        Raises:
            UserError: There is neither.
        """
        found = [path for path in (self.video(clip_id), self.sound(clip_id)) if has_file(path)]
        if not found:
            reasons = self.table.loc[self.table.clip_id == clip_id, "reason"].to_list()
            why = f"it was quarantined ({reasons[0]})" if reasons else "the table has no such clip"
            raise UserError(f"{self.path}: nothing was prepared of {clip_id}: {why}")
        return [unpack_file(path, folder) for path in found]

    @property
    def sounds(self) -> list[Path]:
        """Files that decide what is heard."""
        return [self.folder / SOUND, self.path]

    @property
    def pictures(self) -> list[Path]:
        """Files that decide what is seen."""
        return [self.folder / VIDEO, self.path]

    @cached_property
    def _pictures(self) -> Packs:
        return Packs(self.folder / VIDEO)

    @cached_property
    def _sounds(self) -> Packs:
        return Packs(self.folder / SOUND)


def video_name(clip_id: str) -> str:
    """The file with the picture of a clip, among those of all clips."""
    return f"{clip_id}.mp4"


def sound_name(clip_id: str) -> str:
    """The file with the sound of a clip, likewise."""
    return f"{clip_id}.wav"


def below(root: Path, path: str | float | None) -> str | None:
    """A path of a table below its root; None where it is missing, which a column without any says by NaN."""
    return str(root / path) if isinstance(path, str) and path else None
