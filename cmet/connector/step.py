"""One training step's passes and losses."""

import torch
from torch import nn

from cmet.connector.losses import FIRST_SPREAD, LossTerms, loss_terms
from cmet.connector.network import Connector, Prediction
from cmet.connector.processes import Processes
from cmet.connector.sampler import Batch
from cmet.params import TrainParams


class TrainingStep(nn.Module):
    """A connector and what is trained with it: from a batch to its losses."""

    def __init__(self, connector: Connector, params: TrainParams, processes: Processes) -> None:
        """Compile the passes where params asks for it."""
        super().__init__()
        self.connector = connector
        is_trained = params.reconstruction == "bmse"
        self.spread = nn.Parameter(torch.tensor(FIRST_SPREAD, device=processes.device), requires_grad=is_trained)
        """Sigma of `bmse`."""
        self.params = params
        self.processes = processes
        self.is_narrow = params.precision == "bfloat16" and processes.device.type == "cuda"
        self.both_passes = both_passes
        if params.compile:
            mode = "reduce-overhead" if processes.device.type == "cuda" else "default"
            self.both_passes = torch.compile(both_passes, mode=mode, dynamic=False)

    def forward(self, batch: Batch) -> LossTerms:
        """Losses over the rows of all processes, from the rows of this one."""
        with torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.is_narrow):
            passes = self.both_passes(self.connector, batch)
        forward, backward = (self._joined(prediction) for prediction in passes)
        delta_BTK, labels_B, first_labels_B = (
            self.processes.joined(rows) for rows in (batch.delta_BTK, batch.labels_B, batch.first_labels_B)
        )
        return loss_terms(forward, backward, delta_BTK, labels_B, first_labels_B, self.params, self.spread)

    def _joined(self, prediction: Prediction) -> Prediction:
        streams = (stream.float() if self.is_narrow else stream for stream in prediction)
        return Prediction(*(self.processes.joined(stream) for stream in streams))


def both_passes(connector: Connector, batch: Batch) -> list[Prediction]:
    """From emotion 1 to emotion 2, and back."""
    ahead = (batch.reference_BTK, batch.speech_B1S, batch.source_BTK)
    back = (-batch.reference_BTK, -batch.speech_B1S, batch.target_BTK)
    return connector.passes([ahead, back])
