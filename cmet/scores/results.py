"""Results as data: a table with one row per clip and metric, from which every number, figure and page is made."""

from pathlib import Path

import pandas as pd

from cmet.errors import UserError
from cmet.inputs.files import MISSING, oddity
from cmet.outputs import fresh_file
from cmet.vocabulary import TARGET_EMOTIONS

RESULTS = "results.parquet"
METRICS = "metrics.json"
"""The numbers made of the results."""

ACC_EMO = "acc_emo"
"""1 where the judge names the wanted emotion, else 0; 0, too, where there is no readable clip."""
LOGIT = "logit/"
"""Followed by a class of the judge: its mean logit over the frames."""

ROW = ["row_id", "speaker", "sentence", "emotion", "intensity", "source_clip", "target_clip"]
"""What is known of a row before anything is made; null for a value of a whole set."""
SET = ["corpus", "backbone", "method", "protocol", "judge", "is_held_out"]
"""What a value belongs to besides; `protocol` is a name and a hash, `judge` the SHA-256 of its weights."""
COLUMNS = ["sample_id", *SET, *ROW, "metric", "value", "answer", "reason"]
"""`sample_id` names protocol, row and method. `value` is NaN where there is none, and `reason` says why; `answer` is
the emotion that the judge named, in rows of `ACC_EMO`."""


def write_results(results: pd.DataFrame, path: Path) -> None:
    """Write results after checking them.

    Raises:
        UserError: As `check_results`.
    """
    check_results(results, path)
    with fresh_file(path) as unfinished:
        results[COLUMNS].astype({"intensity": "Int64"}).to_parquet(unfinished, index=False)


def read_results(place: Path | str) -> pd.DataFrame:
    """Results from a file, or from the folder that holds `RESULTS`.

    Raises:
        UserError: There are none, or as `check_results`.
    """
    place = Path(place)
    path = place / RESULTS if place.is_dir() else place
    odd = oddity(path)
    if odd is not None:
        raise UserError(
            f"{path}: {'no results' if odd == MISSING else odd}; `cmet evaluate` or `cmet score` writes them"
        )
    try:
        results = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as a Parquet table: {error}") from error
    check_results(results, path)
    return results


def check_results(results: pd.DataFrame, name: Path) -> None:
    """Refuse a table that no number may be made of.

    Raises:
        UserError: It is empty, lacks columns, has a clip's metric twice, an unknown emotion or several protocols.
    """
    missing = [column for column in COLUMNS if column not in results]
    if missing:
        raise UserError(f"{name}: not a table of results ({', '.join(missing)} missing); `cmet evaluate` writes one")
    if results.empty:
        raise UserError(f"{name}: no rows, so there is nothing to sum up")
    twice = results[results.duplicated(["sample_id", "metric", "is_held_out"])]
    if len(twice):
        first = twice.iloc[0]
        raise UserError(f"{name}: {len(twice)} value(s) appear twice, first {first.metric} of {first.sample_id}")
    if results.protocol.isna().any():
        raise UserError(f"{name}: {int(results.protocol.isna().sum())} row(s) name no protocol")
    if results.value[results.metric == ACC_EMO].isna().any():
        raise UserError(f"{name}: {ACC_EMO} without a value; a clip without an answer counts as 0")
    unknown = sorted(set(results.emotion.dropna()) - set(TARGET_EMOTIONS))
    if unknown:
        raise UserError(f"{name}: unknown emotion {', '.join(unknown)}; known are {', '.join(TARGET_EMOTIONS)}")
    protocols = sorted(results.protocol.unique())
    if len(protocols) > 1:
        raise UserError(f"{name}: rows of {len(protocols)} protocols are mixed: {', '.join(protocols)}")


def answers(results: pd.DataFrame) -> pd.DataFrame:
    """One row per clip and method: `predicted` (null without a readable clip), `correct` and `reason`."""
    judged = results[results.metric == ACC_EMO].drop(columns="metric")
    return judged.rename(columns={"answer": "predicted", "value": "correct"}).assign(
        correct=lambda rows: rows.correct.astype(bool)
    )


def values(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric that belong to a clip."""
    return results[(results.metric == metric) & results.row_id.notna()]
