"""A project: what one params.yaml describes, with the products that its stages have left."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cmet.params import Params, load_params, no_params
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.clips.product import Clips
    from cmet.connector.product import Model
    from cmet.corpora.product import Manifest
    from cmet.corpora.sample.product import Sample
    from cmet.edits.product import Edits, Timing
    from cmet.expression.product import Faces
    from cmet.judge.product import JudgeFolder
    from cmet.pairs.product import Pairs
    from cmet.report.product import Report
    from cmet.scores.product import Scores
    from cmet.shards import Shards
    from cmet.speech.product import DirectionsResult, Voices


@dataclass(frozen=True)
class Project:
    """A folder with params.yaml, and what was made in it.

    The products are opened when they are asked for, and say what to run where they are not there yet:
    `Project.at("params.yaml").scores("facemesh").metrics`.
    """

    places: Places
    params: Params

    @classmethod
    def at(cls, params: Path | str) -> "Project":
        """The project that a parameter file describes.

        Raises:
            ParamsError: As `load_params`.
        """
        # first: a name that leads round in a circle cannot be resolved
        loaded = load_params(Path(params).absolute())
        return cls.of(Path(params).resolve().parent, loaded)

    @classmethod
    def of(cls, root: Path, params: Params) -> "Project":
        """The project in a folder, by parameters that need not lie there."""
        corpus = (root / params.manifest.root).resolve()
        return cls(Places(root, corpus, root / params.weights), params)

    @classmethod
    def of_outputs(cls, root: Path) -> "Project":
        """What stages have left in a folder, whatever stands in params.yaml at the moment; it has no parameters."""
        return cls(Places(root, root, root), no_params())

    @property
    def root(self) -> Path:
        """The folder."""
        return self.places.root

    def with_stages_in(self, out: Path, stages: Iterable[str], variant: str, name: str) -> "Project":
        """The same project with some stages elsewhere, see `Places.with_stages_in`."""
        return replace(self, places=self.places.with_stages_in(out, stages, variant, name))

    def sample(self) -> "Sample":
        """The built-in corpus."""
        from cmet.corpora.sample.product import Sample

        return Sample.open(self.places)

    def manifest(self) -> "Manifest":
        """A row per clip of the raw corpus."""
        from cmet.corpora.product import Manifest

        return Manifest.open(self.places)

    def clips(self) -> "Clips":
        """The prepared clips."""
        from cmet.clips.product import Clips

        return Clips.open(self.places)

    def voices(self, encoder: str | None = None) -> "Voices":
        """Speech embeddings; those that deltas are made of by default."""
        from cmet.speech.product import Voices

        return Voices.open(self.places, encoder or self.params.deltas.speech_encoder)

    def directions(self) -> "DirectionsResult":
        """How often speech alone tells the emotion."""
        from cmet.speech.product import DirectionsResult

        return DirectionsResult.open(self.places)

    def faces(self, backbone: str) -> "Faces":
        """Expression codes, and the backbone they were read with."""
        from cmet.expression.product import Faces

        return Faces.open(self.places, backbone)

    def pairs(self, backbone: str) -> "Pairs":
        """Pairs of a neutral and an emotional clip."""
        from cmet.pairs.product import Pairs

        return Pairs.open(self.places, backbone)

    def shards(self, backbone: str) -> "Shards":
        """The pairs, packed for training."""
        from cmet.shards import Shards

        return Shards.open(self.places, backbone)

    def model(self, backbone: str) -> "Model":
        """The trained Connector."""
        from cmet.connector.product import Model

        return Model.open(self.places, backbone)

    def judge(self) -> "JudgeFolder":
        """Who names the emotion of a clip."""
        from cmet.judge.product import JudgeFolder

        return JudgeFolder.open(self.places)

    def edits(self, backbone: str) -> "Edits":
        """The edited test clips."""
        from cmet.edits.product import Edits

        return Edits.open(self.places, backbone)

    def timing(self, backbone: str) -> "Timing":
        """How long edits take."""
        from cmet.edits.product import Timing

        return Timing.open(self.places, backbone)

    def scores(self, backbone: str) -> "Scores":
        """What the edits are worth."""
        from cmet.scores.product import Scores

        return Scores.open(self.places, backbone)

    def report(self) -> "Report":
        """The page and its summary."""
        from cmet.report.product import Report

        return Report.open(self.places)
