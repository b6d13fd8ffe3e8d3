"""The stages of dvc.yaml as they stand there, with every backbone and encoder that is registered."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml

from cmet.params import BackboneName, EncoderName
from cmet.stages.registry import STAGES

ROOT = Path(__file__).parents[1]
VERSIONS = "versions.yaml"
VARIANTS: dict[str, tuple[str | None, ...]] = {
    "project": (None,),
    "encoder": get_args(EncoderName),
    "backbone": get_args(BackboneName),
}


@dataclass(frozen=True)
class Written:
    """A stage of dvc.yaml."""

    name: str
    deps: tuple[str, ...]
    """As written, with `${item.backbone}`."""
    params: frozenset[str]
    """Of params.yaml."""
    versions: frozenset[str]
    """Libraries, by the names they are imported by."""

    @property
    def variants(self) -> tuple[str | None, ...]:
        """Every backbone or encoder that the stage can work for."""
        return VARIANTS[STAGES[self.name].per]

    def code(self, variant: str | None) -> dict[str, Path]:
        """Paths of the package, by what is written, for a variant."""
        named = {
            dep: dep.replace("${item.backbone}", str(variant)).replace("${item.encoder}", str(variant))
            for dep in self.deps
        }
        return {dep: ROOT / path for dep, path in named.items() if path.startswith("cmet/")}


def written_stages() -> dict[str, Written]:
    """All of them, by name."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return {name: _written(name, stage) for name, stage in stages.items()}


def _written(name: str, stage: dict[str, Any]) -> Written:
    params = stage.get("params", [])
    versions = [library for entry in params if isinstance(entry, dict) for library in entry[VERSIONS]]
    own = [entry for entry in params if isinstance(entry, str)]
    return Written(name, tuple(stage["deps"]), frozenset(own), frozenset(versions))
