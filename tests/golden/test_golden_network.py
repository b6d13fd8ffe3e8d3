"""The Connector against the published one."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fill import fill, normal, sample

from cmet.connector.network import Connector
from cmet.params import NetworkParams

HERE = Path(__file__).parent
PAPER = NetworkParams(hidden=1024, num_layers=4, num_heads=4, feedforward=1024, window=5, dropout=0.0)


@pytest.mark.parametrize("width", [10, 30])
def test_state_dict_has_the_published_keys_shapes_and_order(width: int) -> None:
    expected = json.loads((HERE / f"keys_connector_{width}.json").read_text())
    connector = Connector(PAPER, width, 1024)
    state = connector.state_dict()
    assert sorted(state) == sorted(expected["state"])
    parameters = [name for name, entry in expected["state"].items() if entry["kind"] == "parameter"]
    assert [name for name, _ in connector.named_parameters()] == parameters
    for name, entry in expected["state"].items():
        assert (list(state[name].shape), str(state[name].dtype)) == (entry["shape"], f"torch.{entry['dtype']}")
    assert sum(parameter.numel() for parameter in connector.parameters()) == expected["parameters"]


@pytest.mark.parametrize("width", [10, 30])
def test_outputs_are_the_published_ones(width: int) -> None:
    golden = np.load(HERE / f"connector_{width}.npz")
    connector = Connector(PAPER, width, 1024)
    fill(connector)
    reference = normal("connector/ref", (4, 5, width), 0.3)
    speech = normal("connector/speech", (4, 1, 1024), 0.3)
    source = normal("connector/source", (4, 5, width), 1.0)
    connector.eval()
    with torch.no_grad():
        forward = connector(reference, speech, source)
        flipped = connector(-reference, -speech, source)
        trained = connector.train()(reference, speech, source)
    state = connector.state_dict()
    found = {
        "eval_out": forward.direction_BTD,
        "eval_ref_emb": sample(forward.reference_BTH),
        "eval_speech_emb": forward.speech_B1H,
        "eval_src_emb": sample(forward.source_BTH),
        "eval_flipped_out": flipped.direction_BTD,
        "eval_flipped_speech_emb": flipped.speech_B1H,
        "train_out": trained.direction_BTD,
        "train_ref_emb": sample(trained.reference_BTH),
        "train_src_emb": sample(trained.source_BTH),
        "train_bn_sums": [float(state[name].double().sum()) for name in golden["train_bn_names"]],
    } | {name: state[name.removeprefix("train_bn/")] for name in golden.files if name.startswith("train_bn/")}
    for name, values in found.items():
        expected = golden[name]
        tolerance = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(np.reshape(values, expected.shape), expected, atol=tolerance, rtol=0, err_msg=name)
