"""What a reader of a score must know of the judge behind it; readable without loading the judge."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from cmet.errors import UserError
from cmet.params import JudgeParams

CARD = "judge.json"
HISTORY = "history.parquet"


class JudgeCard(BaseModel):
    """Everything a reader of a score must know of the judge behind it; lies beside the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: list[str]
    params: JudgeParams
    seed: int
    corpus: str
    train_speakers: list[str]
    num_train_clips: int
    num_parameters: int
    sha256: str
    """Of the weights file."""
    acc_train: float
    """Share of training clips it names rightly."""
    acc_val: float | None
    """Same for the validation speakers, which only informs; null without such clips."""


def read_card(folder: Path) -> JudgeCard:
    """The card of a trained judge.

    Raises:
        UserError: There is no judge in the folder.
    """
    if not (folder / CARD).is_file():
        raise UserError(f"{folder}: no judge here; run 'cmet judge'")
    return JudgeCard.model_validate_json((folder / CARD).read_text(encoding="utf-8"))
