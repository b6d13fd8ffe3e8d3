"""What a reader of a score must know of the judge behind it; readable without loading the judge."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from cmet.errors import UserError
from cmet.params import MAX_PX, ClipForm, JudgeParams
from cmet.records import read_values
from cmet.vocabulary import NEUTRAL, TARGET_EMOTIONS, order_problem

CARD = "judge.json"
HISTORY = "history.parquet"
WEIGHTS = "judge.safetensors"
"""Weights of a judge that was trained here; a released one keeps the name of its file."""

ALIGNMENT = "prepared crop; the paper aligns with dlib"
"""How faces lie in the frames that a judge sees."""

NOT_STATED = "not stated"


def trained_classes(has_neutral: bool) -> tuple[str, ...]:
    """The classes of a judge that is trained here: those of the paper, and `neutral` after them where it is wanted."""
    return (*TARGET_EMOTIONS, NEUTRAL) if has_neutral else TARGET_EMOTIONS


def _an_order(classes: list[str]) -> list[str]:
    problem = order_problem(classes)
    if problem:
        raise ValueError(problem)
    return classes


class JudgeFacts(BaseModel):
    """Who judged, as scores record it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    network: Literal["small", "resnet18"]
    source: Literal["trained here", "released checkpoint"]
    classes: Annotated[list[str], AfterValidator(_an_order)]
    """In the order of the logits."""
    has_neutral: bool
    """Whether it may answer `neutral`."""
    image_px: Annotated[int, Field(ge=1, le=MAX_PX)]
    num_frames: Annotated[int, Field(ge=1, le=10_000)]
    """Frames of a clip whose logits are averaged."""
    alignment: str
    weights: Annotated[str, Field(pattern=r"^[^/]+$")]
    """Name of the weights file beside the card."""
    sha256: str
    """Hash of the weights file; for a released checkpoint, of the file as published."""
    num_parameters: int
    begin_from: str | None
    """The checkpoint whose trunk it was fine-tuned from; null for drawn weights."""
    begin_from_sha256: str | None
    corpus: str | None
    """Corpora of the training clips; null for a released checkpoint, like everything that training records."""
    train_speakers: list[str]
    num_train_clips: int
    num_clips_per_class: dict[str, int]
    """Training clips of each class; a class without any is answered only by chance."""
    trained_on: str | None
    """What a released checkpoint was trained on, in words; null for a judge trained here."""
    params: JudgeParams | None
    """The `judge` section it was made with; null for a checkpoint that was opened on its own."""
    seed: int | None
    acc_train: float | None
    """Share of training clips it names correctly; null for a released checkpoint."""
    acc_val: float | None
    """Same for the validation speakers, for information only; null without such clips."""


class JudgeCard(JudgeFacts):
    """Everything a reader of a score must know of the judge behind it; lies beside the weights."""

    clips: ClipForm | None
    """How the clips it was trained on look and sound; null where unknown, as for a released judge."""
    versions: dict[str, str]
    """Versions of the libraries that trained it, by distribution; empty for a released one."""

    def expect_made_of(self, clips: ClipForm, folder: Path) -> None:
        """Make sure that the clips to judge are like those that it was trained on; one of which nobody says takes any.

        Args:
            clips: How the clips of the project are made.
            folder: Where the judge lies, for the message.

        Raises:
            UserError: They are made otherwise.
        """
        changes = self.clips.changes(clips) if self.clips else ""
        if changes:
            raise UserError(
                f"{folder}: this judge was trained on clips made with {changes}; run `dvc repro` to train one on the "
                "clips of this project, or prepare them in the same way"
            )

    def as_scored(self) -> JudgeFacts:
        """What stands beside scores: who judged. What it was made with is told by the judge itself."""
        return JudgeFacts(**{name: getattr(self, name) for name in JudgeFacts.model_fields})


def judge_name(card: JudgeCard) -> str:
    """A judge as a table names it; nobody takes our own for the paper's."""
    who = card.source if card.source == "released checkpoint" else f"stand-in of the project ({card.network})"
    return f"{who}, sha256 {card.sha256[:12]}"


def read_card(folder: Path) -> JudgeCard:
    """The card of a judge.

    Raises:
        UserError: There is no judge in the folder, or another version of this program made it.
    """
    path = folder / CARD
    if not path.exists():
        raise UserError(f"{folder}: no judge here; run 'cmet judge'")
    try:
        return JudgeCard.model_validate(read_values(path, "cmet judge"))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the whole file"
        raise UserError(
            f"{path}: not a judge's card that this version can read ({where}); run 'cmet judge' again"
        ) from error
