"""Where a project keeps what its stages make."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
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
    elsewhere: Mapping[tuple[str, str | None], Path] = field(default_factory=dict)
    """Output folders by stage and variant that are not in `data`."""
    workplace: Path | None = None
    """Where unfinished work waits and stages are locked, if not in `.work` itself."""

    @classmethod
    def at(cls, params: Path) -> "Project":
        """The project that a parameter file describes."""
        return cls(params.resolve().parent, load_params(params))

    def with_stages_in(self, out: Path, stages: Iterable[str], variant: str, name: str) -> "Project":
        """The same project with some stages of a variant in `out/<stage>`; the others stay where they are.

        Args:
            out: Their folder, in the project or not.
            stages: Names of the stages.
            variant: The backbone or encoder they work for.
            name: Tells the unfinished work from that of the project itself and of others like this one.
        """
        elsewhere = dict(self.elsewhere)
        elsewhere |= {(stage, variant): out.resolve() / stage for stage in stages}
        return replace(self, elsewhere=elsewhere, workplace=self.root / ".work" / name)

    def folder(self, stage: str, variant: str | None = None) -> Path:
        """Output of a stage, for one backbone or encoder."""
        if (stage, variant) in self.elsewhere:
            return self.elsewhere[stage, variant]
        if stage == "report":
            return self.root / "reports"
        return self.root / "data" / stage / (variant or "")

    def metrics_file(self, stage: str, variant: str | None = None) -> Path:
        """Counts and metrics of a stage."""
        if (stage, variant) in self.elsewhere:
            return self.elsewhere[stage, variant].with_name(f"{stage}.json")
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
        return work_folder(self._workplace, _step(stage, variant), params, inputs, *facts)

    def only_run(self, stage: str, variant: str | None = None) -> AbstractContextManager[None]:
        """A block in which no other process runs the stage."""
        step = _step(stage, variant)
        return only_run(self._workplace / f"{step}.lock", step)

    def digests(self, *inputs: Path) -> dict[str, str]:
        """Content hash of inputs by their path in the project; by the whole path where they lie outside."""
        return {self._called(path): content_digest(path) for path in inputs}

    def written(self, stage: str, name: str, variant: str | None = None) -> Path:
        """A file or folder that a stage has written.

        Raises:
            UserError: The stage has not run.
        """
        path = self.folder(stage, variant) / name
        if not path.exists():
            step = f"{stage}@{variant}" if variant else stage
            raise UserError(f"{self._called(path)}: not there yet; run `dvc repro {step}`")
        return path

    def table(self, stage: str, name: str, variant: str | None = None) -> pd.DataFrame:
        """A Parquet table that a stage has written.

        Raises:
            UserError: The stage has not run.
        """
        return pd.read_parquet(self.written(stage, name, variant))

    @property
    def _workplace(self) -> Path:
        return self.workplace or self.root / ".work"

    def _called(self, path: Path) -> str:
        return (path.relative_to(self.root) if path.is_relative_to(self.root) else path).as_posix()


def _step(stage: str, variant: str | None) -> str:
    return f"{stage}-{variant}" if variant else stage
