"""Which models the page offers: those that are here, and those that a command would get."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from cmet.connector.card import CONFIG, read_config
from cmet.editing.built_in import BUILT_IN
from cmet.editing.editor import HAVE_TYPICAL_UNIT
from cmet.errors import UserError
from cmet.params import PUBLISHED_CONNECTOR
from cmet.tracking.registered import aliased_models, fetched_model
from cmet.weights.extras import install_command, is_installed
from cmet.weights.registry import CHECKPOINTS, PURPOSES, weights_folder

TRAINED = Path("data/train")
"""Folder of a project with a model for each backbone."""

BUILT_IN_BACKBONE, PUBLISHED_BACKBONE = "facemesh", "edtalk"
OTHER_BACKBONES = ("pdfgc",)
"""Those that need a model of one's own besides their weights."""


@dataclass(frozen=True)
class OfferedModel:
    """A model that can edit now."""

    label: str
    """As the page lists it."""
    backbone: str
    folder: Path | None
    """Where it was trained to; None for the authors' checkpoint."""
    connector: Path | None = None
    """The authors' checkpoint."""
    emotions: tuple[str, ...] = ()
    """Those it can be told by name; none where it takes recordings only."""

    @property
    def shows_preview(self) -> bool:
        """Whether one frame can be drawn without the others."""
        return self.backbone == BUILT_IN_BACKBONE

    @property
    def finds_strength(self) -> bool:
        """Whether it knows which strength makes a typical change."""
        return self.backbone in HAVE_TYPICAL_UNIT


@dataclass(frozen=True)
class MissingModel:
    """A model that could be here."""

    label: str
    way: str
    """What to do for it; a command stands between backticks."""


class RegisteredModels:
    """Models that have an alias in MLflow. They are fetched once somebody has the page before them, not earlier."""

    def __init__(self, root: Path) -> None:
        """Those of a project."""
        self._root = root
        self._is_asking = Lock()
        self._found: tuple[list[OfferedModel], list[MissingModel]] | None = None

    def listed(self) -> tuple[list[OfferedModel], list[MissingModel]]:
        """Those that can edit now, and those that cannot, each with the reason."""
        with self._is_asking:
            if self._found is None:
                self._found = self._asked()
        return self._found

    def _asked(self) -> tuple[list[OfferedModel], list[MissingModel]]:
        offered: list[OfferedModel] = []
        missing: list[MissingModel] = []
        try:
            addresses = aliased_models(self._root)
        except UserError as error:
            return [], [MissingModel("MLflow", str(error))]
        for address in addresses:
            name = address.rpartition("/")[2]
            try:
                offered.append(_of_folder(fetched_model(address, self._root), f"{name}, in MLflow"))
            except UserError as error:
                missing.append(MissingModel(name, str(error)))
        return offered, missing


def offered_models(named: Path | None = None, trained: Path = TRAINED) -> list[OfferedModel]:
    """The models that are here, the one to begin with first; where none is named that is one that shows previews.

    Args:
        named: A model that was asked for; it comes first.
        trained: Where a project has its own.

    Raises:
        UserError: There is no model where one was asked for.
    """
    found: list[OfferedModel] = []
    for folder in sorted(trained.glob(f"*/{CONFIG}")):
        try:
            found.append(_of_folder(folder.parent, f"{folder.parent.name}, trained here"))
        except UserError:
            continue  # `cmet doctor` says what is wrong with it
    found.append(_of_folder(BUILT_IN, f"{BUILT_IN_BACKBONE}, built in"))
    connector = CHECKPOINTS[PUBLISHED_CONNECTOR].located(weights_folder())
    if connector is not None and _missing_published() is None:
        found.append(OfferedModel(f"{PUBLISHED_BACKBONE}, by the authors", PUBLISHED_BACKBONE, None, connector))
    found.sort(key=lambda model: not model.shows_preview)
    return found if named is None else [_of_folder(named, str(named)), *found]


def missing_models(offered: Sequence[OfferedModel]) -> list[MissingModel]:
    """The other models of the project, each with what gets it."""
    found, here = [], {model.backbone for model in offered}
    way = _missing_published()
    if way is not None:
        found.append(MissingModel(f"{PUBLISHED_BACKBONE}, by the authors", way))
    for name in OTHER_BACKBONES:
        if name not in here:
            files = [one for one, checkpoint in CHECKPOINTS.items() if checkpoint.home == name]
            found.append(MissingModel(name, _way(files) or f"train it with `dvc repro train@{name}`"))
    return found


def _of_folder(folder: Path, label: str) -> OfferedModel:
    config = read_config(folder)
    return OfferedModel(label, config.backbone, folder, emotions=tuple(sorted(config.speech_deltas)))


def _missing_published() -> str | None:
    """What gets the rest that the published edit needs; None where all is here."""
    if _way(PURPOSES["edit"]) is not None:
        return "get it with `cmet weights get --for edit`"
    return None if is_installed("emotion2vec") else f"install its ear with `{install_command('emotion2vec')}`"


def _way(names: Sequence[str]) -> str | None:
    """What gets those of the weights that are missing."""
    folder = weights_folder()
    missing = [name for name in names if CHECKPOINTS[name].located(folder) is None]
    return f"get it with `cmet weights get {' '.join(missing)}`" if missing else None
