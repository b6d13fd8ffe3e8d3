"""The output that a map has made before: a run begins with it, and does only those clips whose own inputs have changed.

What is taken over are whole packs, as links, and the record of each clip that is in them. Records tell what a clip was
made of, which the output itself cannot: times and inodes of files are a machine's. So they are kept beside it, with a
digest of the packs, and stand for nothing where the output is another one by now.
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmet.engine.attempts import Finished
from cmet.inputs.files import BadFile
from cmet.inputs.texts import parse_json
from cmet.outputs import fresh_file
from cmet.packs import Packs, index_digest


@dataclass(frozen=True)
class Earlier:
    """An output, and where the records of its clips are kept."""

    out: Path
    records: Path
    """The file; need not be there."""

    def keep(self, key: str, files: Path, finished: Iterable[Finished]) -> None:
        """Keep the records of all clips that are in packs, before these become the output.

        Args:
            key: Tells the code and the parameters by which they were made.
            files: What will be the output.
            finished: The clips, and perhaps others that are not in the packs.
        """
        names: dict[str, frozenset[str]] = {}

        def is_packed_there(path: str) -> bool:
            # a Path for each of a million takes long
            folder, _, name = path.rpartition("/")
            if folder not in names:
                names[folder] = frozenset(Packs(files / folder).names())
            return name in names[folder]

        kept = [one for one in finished if one["record"]["status"] == "ok" and all(map(is_packed_there, one["files"]))]
        digests = {folder: index_digest(files / folder) for folder, there in names.items() if there}
        with fresh_file(self.records) as unfinished, unfinished.open("w", encoding="utf-8") as stream:
            for value in ({"key": key, "packs": digests}, *kept):
                stream.write(json.dumps(value, sort_keys=True) + "\n")

    def begin(self, key: str, files: Path, records: Path) -> None:
        """Lay the packs of the output and the records of its clips where a map looks for what is done.

        Nothing is laid where the output is not the one whose records are kept, or was made by another key.

        Args:
            key: As of `keep`.
            files: Gets links to the packs.
            records: Gets the records, when the packs are there.
        """
        if not self.records.is_file():
            return
        with self.records.open("rb") as kept:
            folders = self._unchanged(key, kept.readline())
            if not folders:
                return
            for folder in folders:
                (files / folder).mkdir(parents=True, exist_ok=True)
                for pack in Packs(self.out / folder).packs:
                    _link(pack, files / folder / pack.name)
            with fresh_file(records) as unfinished, unfinished.open("wb") as stream:
                shutil.copyfileobj(kept, stream)

    def _unchanged(self, key: str, head: bytes) -> list[str]:
        """Folders of the output with packs, if they hold what they held when the records were kept."""
        try:
            said: Any = parse_json(head, self.records)
            match said:
                case {"key": str() as made_by, "packs": dict() as digests} if made_by == key:
                    is_same = all(
                        (self.out / folder).is_dir() and index_digest(self.out / folder) == digest
                        for folder, digest in digests.items()
                    )
                    return list(digests) if is_same else []
        except BadFile:  # cut short by a power failure, or packs that are damaged or missing
            return []
        return []


def _link(pack: Path, place: Path) -> None:
    """A pack is replaced and never written to, so that a link is as good as a copy, and takes no room."""
    try:
        place.hardlink_to(pack.resolve())
    except OSError:  # the cache of DVC is on another disk, or one that allows no links
        shutil.copyfile(pack, place)
