"""The stage `train`."""

from shutil import rmtree
from typing import TYPE_CHECKING

from cmet.params import ClipForm, Params, SpeechForm
from cmet.places import Places

if TYPE_CHECKING:
    from cmet.connector.training import Tracker, TrainReport

KEPT_METRICS = ("delta_mse", "delta_cosine")
"""Validation metrics of the kept weights that stand beside the curves, whose last step may be of others."""


def train(places: Places, params: Params, backbone: str, tracker: "Tracker | None" = None) -> "TrainReport":
    """Train C-MET on the shards."""
    from cmet.connector.beginning import beginning_path
    from cmet.connector.processes import training_processes
    from cmet.connector.product import Model
    from cmet.connector.training import Purpose, Untracked, train_connector
    from cmet.expression.product import Faces
    from cmet.shards import Shards

    shards, fitted, named = Shards.open(places, backbone), Faces.open(places, backbone).model, params.train.begin_from
    beginning = beginning_path(named, places.root, places.weights) if named else None
    encoder, held_out, form = params.deltas.speech_encoder, params.held_out_emotion, ClipForm.of(params.clips)
    heard = SpeechForm.of(params.speech)
    inputs = [shards.path, fitted, *([beginning] if beginning else [])]
    model, tracker = Model(places.folder("train", backbone)), tracker or Untracked()
    with training_processes() as processes:
        work = processes.from_first(
            lambda: places.work("train", backbone, params.train, inputs, params.seed, held_out, encoder, heard, form)
        )
        report = train_connector(
            shards,
            model.folder,
            params.train,
            params.seed,
            work,
            tracker,
            processes,
            Purpose(backbone, encoder, held_out, form, fitted, beginning, heard),
        )
        if processes.is_first:
            kept = {name: value for name, value in report.validation.items() if name in KEPT_METRICS}
            values = {"step": float(report.kept_step)} | kept
            tracker.log_metrics(report.kept_step, {f"kept/{name}": value for name, value in values.items()})
            tracker.log_model(model.folder)
            # only now: until all is tracked, a failure may ask for the checkpoint
            rmtree(work)
    return report
