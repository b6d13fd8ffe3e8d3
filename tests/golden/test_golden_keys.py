"""The tensors of our networks have the names, shapes and order of the published ones."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from cmet.backbones.edtalk.audio2lip import Audio2Lip
from cmet.backbones.edtalk.generator import EDTalkGenerator
from cmet.backbones.pdfgc.appearance import AppearanceNetwork
from cmet.backbones.pdfgc.audio import AudioNetwork
from cmet.backbones.pdfgc.generator import PDFGCGenerator
from cmet.backbones.pdfgc.motion import MotionNetwork
from cmet.connector.network import Connector
from cmet.weights.registry import NETWORKS
from tests.golden.ours import DROPOUT_OFF

MAKERS: dict[str, Callable[[], nn.Module]] = {
    "connector_10": lambda: Connector(DROPOUT_OFF, 10, 1024),
    "connector_30": lambda: Connector(DROPOUT_OFF, 30, 1024),
    "edtalk_generator": EDTalkGenerator,
    "edtalk_audio2lip": Audio2Lip,
    "pdfgc_appearance": AppearanceNetwork,
    "pdfgc_motion": MotionNetwork,
    "pdfgc_audio": AudioNetwork,
    "pdfgc_generator": PDFGCGenerator,
}


@pytest.mark.parametrize("name", MAKERS)
def test_state_dict_has_the_published_keys_shapes_and_order(name: str) -> None:
    expected = json.loads((Path(__file__).parent / f"keys_{name}.json").read_text())
    with torch.device("meta"):
        network = MAKERS[name]()
    state = network.state_dict()
    assert sorted(state) == sorted(expected["state"])
    parameters = [key for key, entry in expected["state"].items() if entry["kind"] == "parameter"]
    assert [key for key, _ in network.named_parameters()] == parameters
    for key, entry in expected["state"].items():
        assert (list(state[key].shape), str(state[key].dtype)) == (entry["shape"], f"torch.{entry['dtype']}")
    assert sum(parameter.numel() for parameter in network.parameters()) == expected["parameters"]


@pytest.mark.parametrize("name", [name for name in MAKERS if name.startswith("pdfgc_")])
def test_the_registry_knows_the_shapes_that_are_read(name: str) -> None:
    with torch.device("meta"):
        state = MAKERS[name]().state_dict()
    registered = NETWORKS[name]
    assert registered.shapes == {key: tuple(state[key].shape) for key in state if not registered.skips(key)}
