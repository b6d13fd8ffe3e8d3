"""Where a project keeps what its stages make."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

from cmet.errors import UserError
from cmet.outputs import content_digest, only_run, work_folder
from cmet.params import Params, load_params
from cmet.weights import weights_folder


@dataclass(frozen=True)
class Project:
    """A folder with params.yaml; every stage owns the folder `data/<stage>[/<variant>]`."""

    root: Path
    params: Params

    @classmethod
    def at(cls, params: Path) -> "Project":
        """The project that a parameter file describes."""
        return cls(params.resolve().parent, load_params(params))

    def folder(self, stage: str, variant: str | None = None) -> Path:
        """Output of a stage, for one backbone or encoder."""
        if stage == "report":
            return self.root / "reports"
        return self.root / "data" / stage / (variant or "")

    def metrics_file(self, stage: str, variant: str | None = None) -> Path:
        """Counts and metrics of a stage."""
        return self.root / "data" / "metrics" / f"{_step(stage, variant)}.json"

    def corpus_root(self) -> Path:
        """The raw corpus: its folder, or a table of clips."""
        return (self.root / self.params.manifest.root).resolve()

    def corpus_folder(self) -> Path:
        """Where the paths of a manifest begin."""
        root = self.corpus_root()
        return root.parent if root.is_file() else root

    def weights(self) -> Path:
        """Folder of published checkpoints."""
        return weights_folder(self.root)

    def work(
        self, stage: str, params: BaseModel, inputs: list[Path], variant: str | None = None, *facts: object
    ) -> Path:
        """Where the unfinished work of a stage waits."""
        return work_folder(self.root / ".work", _step(stage, variant), params, inputs, *facts)

    def only_run(self, stage: str, variant: str | None = None) -> AbstractContextManager[None]:
        """A block in which no other process runs the stage."""
        step = _step(stage, variant)
        return only_run(self.root / ".work" / f"{step}.lock", step)

    def digests(self, *inputs: Path) -> dict[str, str]:
        """Content hash of inputs by their path in the project."""
        return {path.relative_to(self.root).as_posix(): content_digest(path) for path in inputs}

    def written(self, stage: str, name: str, variant: str | None = None) -> Path:
        """A file or folder that a stage has written.

        Raises:
            UserError: The stage has not run.
        """
        path = self.folder(stage, variant) / name
        if not path.exists():
            step = f"{stage}@{variant}" if variant else stage
            raise UserError(f"{path.relative_to(self.root)}: not there yet; run `dvc repro {step}`")
        return path

    def table(self, stage: str, name: str, variant: str | None = None) -> pd.DataFrame:
        """A Parquet table that a stage has written.

        Raises:
            UserError: The stage has not run.
        """
        return pd.read_parquet(self.written(stage, name, variant))


def _step(stage: str, variant: str | None) -> str:
    return f"{stage}-{variant}" if variant else stage
