"""What a run of an ablation leaves in its folder, beside the outputs of stages."""

from dataclasses import dataclass
from pathlib import Path

from cmet.inputs.texts import read_json

MODEL = "model"
METRICS = "metrics.json"


@dataclass(frozen=True)
class AblationFolder:
    """A variant trained with a seed."""

    folder: Path

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.folder / MODEL

    @property
    def metrics_file(self) -> Path:
        """Its metrics as a file."""
        return self.folder / METRICS

    @property
    def metrics(self) -> dict[str, float]:
        """Its metrics, by the names they have in MLflow; `val/` are those of the weights that were kept."""
        return read_json(self.metrics_file)
