"""Results of other methods, as `cmet score` leaves them."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cmet.errors import UserError
from cmet.inputs.texts import read_json
from cmet.records import read_record
from cmet.scores.measured import ManifestNumbers
from cmet.scores.results import METRICS, RESULTS, read_results


@dataclass(frozen=True)
class ScoredManifest:
    """What came out of scoring a manifest."""

    results: pd.DataFrame
    metrics: ManifestNumbers


def read_scored(folder: Path) -> list[ScoredManifest]:
    """All results of `score_manifest` below a folder, by the names of theirs.

    Raises:
        UserError: One is damaged.
    """
    return [_read(path) for path in sorted(folder.glob(f"*/{RESULTS}"))]


def _read(path: Path) -> ScoredManifest:
    beside = path.with_name(METRICS)
    values = read_json(beside) if beside.is_file() else None
    if not isinstance(values, dict) or "manifest_sha256" not in values:
        raise UserError(f"{path.parent}: no results of `cmet score`; move the folder out of {path.parent.parent}")
    return ScoredManifest(read_results(path), read_record(beside, ManifestNumbers, "cmet score"))
