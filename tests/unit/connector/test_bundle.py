"""A model is looked at before it is used."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cmet.connector.bundle import SPEECH_LIMIT, load_bundle, save_bundle
from cmet.connector.card import CONFIG as CONFIG_FILE
from cmet.connector.card import WEIGHTS, BundleConfig
from cmet.connector.network import Connector
from cmet.errors import UserError
from cmet.outputs import write_json
from cmet.params import PAPER_CLIPS, NetworkParams, SpeechForm
from cmet.speech.encoders.settings import SETTINGS, settings_of
from cmet.speech.scaling import FILE as SPEECH_SCALING
from cmet.speech.scaling import FittedProjection, ProjectionFacts, SpeechScaling
from tests.hostile import DEEP_JSON, npy

CONFIG = BundleConfig(
    clips=PAPER_CLIPS,
    backbone="facemesh",
    speech_encoder="opensmile",
    speech_settings=dict(SETTINGS["opensmile"]),
    expression_width=6,
    speech_width=88,
    network=NetworkParams(hidden=32, num_layers=1, num_heads=1, feedforward=8, window=5, dropout=0.0),
    step=0,
    seed=0,
    held_out_emotion=None,
)


def test_likeness_is_the_cosine_with_each_trained_emotion() -> None:
    config = CONFIG.model_copy(
        update={"expression_deltas": {"happy": [1.0, 0, 0, 0, 0, 0], "sad": [-1.0, 1.0, 0, 0, 0, 0]}}
    )
    found = config.likeness(np.array([[-3.0, 3.0, 0, 0, 0, 0], [-1.0, 1.0, 0, 0, 0, 0]]))
    assert list(found) == ["sad", "happy"]
    assert found == pytest.approx({"sad": 1, "happy": -(0.5**0.5)})


def test_an_emotion_is_told_by_the_sound_it_had_in_training_within_its_range(model: Path) -> None:
    speech_deltas = {"happy": [1.0] * 87 + [9.0], "sad": [-1.0] * 88}
    write_json(model / CONFIG_FILE, CONFIG.model_copy(update={"speech_deltas": speech_deltas}).model_dump())
    bundle = load_bundle(model)
    np.testing.assert_array_equal(bundle.told_speech_delta("happy"), np.float32([1.0] * 87 + [3.0]))
    with pytest.raises(UserError, match="^bored: this model knows happy, sad$"):
        bundle.told_speech_delta("bored")


def test_a_model_that_records_no_sound_of_emotions_says_so_when_one_is_told(model: Path) -> None:
    with pytest.raises(UserError, match="this model does not record how emotions sound.*give recordings"):
        load_bundle(model).told_speech_delta("happy")


def test_nothing_is_like_what_is_not_known() -> None:
    assert CONFIG.likeness(np.ones((2, 6))) == {}
    known = CONFIG.model_copy(update={"expression_deltas": {"sad": [1.0, 0, 0, 0, 0, 0]}})
    assert known.likeness(np.zeros((2, 6))) == {"sad": 0}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with drawn weights."""
    with torch.random.fork_rng():
        weights = Connector(CONFIG.network, CONFIG.expression_width, CONFIG.speech_width).state_dict()
    save_bundle(tmp_path, weights, CONFIG, SpeechScaling.none(88), np.full(88, 3.0))
    return tmp_path


def test_a_model_of_another_layer_is_refused_and_one_that_is_followed_is_not(model: Path) -> None:
    form = SpeechForm(layer=3, pooling="mean-std")
    settings = dict(settings_of("whisper-base", form))
    says(speech_encoder="whisper-base", speech_settings=settings)(model)
    bundle = load_bundle(model)
    assert bundle.speech_form == form
    for accepted in (form, None):
        bundle.expect(backbone="facemesh", speech_encoder="whisper-base", speech_form=accepted)
    said = r"other settings of whisper-base \(layer 3, not 2 and pooling mean-std, not mean\); train it again"
    with pytest.raises(UserError, match=said):
        bundle.expect(
            backbone="facemesh", speech_encoder="whisper-base", speech_form=SpeechForm(layer=None, pooling="mean")
        )


def test_raw_embeddings_become_the_projected_delta_that_the_connector_hears(model: Path) -> None:
    facts = ProjectionFacts(rule="lda", num_speakers=3, accuracy={"none": 0.5, "lda": 0.75})
    matrix_PS = np.random.default_rng(0).normal(size=(4, 88)).astype(np.float32)
    config = CONFIG.model_copy(update={"speech_width": 4, "speech_projection": facts})
    weights = Connector(config.network, config.expression_width, 4).state_dict()
    scaling = replace(SpeechScaling.none(88), projection=FittedProjection(matrix_PS, facts))
    save_bundle(model, weights, config, scaling, np.full(4, 1e6))
    bundle = load_bundle(model)
    assert bundle.config.speech_projection == facts
    neutral, emotional = np.random.default_rng(1).normal(size=(2, 3, 88)).astype(np.float32)
    expected = matrix_PS @ (emotional.mean(axis=0) - neutral.mean(axis=0))
    np.testing.assert_allclose(bundle.scaled_speech_delta(neutral, emotional), expected, rtol=1e-3, atol=1e-4)
    SpeechScaling.none(88).save(model)
    with pytest.raises(UserError, match=r"expected 4 speech features, found a scaling of shape \(88,\)"):
        load_bundle(model)


def says(**changes: Any) -> Callable[[Path], object]:
    """Change what a model says of itself; a name with two underscores is that of a value in a section."""

    def change(folder: Path) -> None:
        values = json.loads((folder / CONFIG_FILE).read_text())
        for name, value in changes.items():
            *section, key = name.split("__")
            (values[section[0]] if section else values)[key] = value
        (folder / CONFIG_FILE).write_text(json.dumps(values))

    return change


def holds(file: str, **changes: Tensor) -> Callable[[Path], object]:
    """Change tensors of a file."""
    return lambda folder: save_file(load_file(folder / file) | changes, folder / file)


def is_now(file: str, content: str | bytes) -> Callable[[Path], object]:
    """Put something else into the place of a file."""
    return lambda folder: (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())


NAN_88 = torch.full((88,), torch.nan)
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "deltas nan": (says(expression_deltas={"sad": [float("nan")] * 6}), "expression_deltas.sad.0: Input should be a"),
    "deltas inf": (says(expression_deltas={"sad": [float("inf")] * 6}), "expression_deltas.sad.0: Input should be a"),
    "few deltas": (says(expression_deltas={"sad": [1.0, 2.0]}), "expression_deltas of sad: expected 6 values"),
    "few speech deltas": (says(speech_deltas={"sad": [1.0, 2.0]}), "speech_deltas of sad: expected 88 values"),
    "deltas no numbers": (says(expression_deltas={"sad": [{}] * 6}), "expression_deltas.sad.0: Input should be a"),
    "a list": (is_now(CONFIG_FILE, "[]"), "not the description of a trained model"),
    "a number": (is_now(CONFIG_FILE, "3"), "not the description of a trained model"),
    "deep": (is_now(CONFIG_FILE, DEEP_JSON), "config.json: nested too deeply; train the model again"),
    "empty": (is_now(CONFIG_FILE, ""), "no trained model here, config.json is empty"),
    "not UTF-8": (is_now(CONFIG_FILE, b"\xff"), "config.json: not in UTF-8"),
    "a key twice": (is_now(CONFIG_FILE, '{"format": 3, "format": 3}'), "the key format is given twice"),
    "format": (says(format=[1]), "a model of format .1., but"),
    "a section that is a list": (says(network=[1]), "network: Input should be"),
    "a million layers": (says(network__num_layers=10**6), "network.num_layers: Input should be less than or equal"),
    "many layers": (says(network__num_layers=128), "config.json tells of .* weights or more, but .* holds"),
    "wide": (says(network__hidden=16384), "config.json tells of .* weights or more, but .* holds"),
    "hears much": (says(speech_width=65536), "config.json tells of .* weights or more, but .* holds"),
    "window": (says(network__window=10**9), "network.window: Input should be less than or equal to 512"),
    "step": (says(step=10**400), "step: "),
    "weights nan": (holds(WEIGHTS, **{"Norm.bias": torch.full((32,), torch.nan)}), "NaN or infinity in 1 .* Norm.bias"),
    "weights inf": (holds(WEIGHTS, **{"Norm.bias": torch.full((32,), -torch.inf)}), "NaN or infinity in 1 tensor"),
    "beyond float32": (
        holds(WEIGHTS, **{"Norm.bias": torch.full((32,), 1e300, dtype=torch.float64)}),
        "NaN or infinity in 1 tensor",
    ),
    "other shape": (holds(WEIGHTS, **{"Norm.bias": torch.zeros(31)}), "Error.* in loading state_dict"),
    "weights are text": (is_now(WEIGHTS, "hello"), "the trained model is damaged"),
    "limit nan": (is_now(SPEECH_LIMIT, npy(NAN_88.numpy())), "speech_limit.npy: holds values that are no limits"),
    "limit negative": (is_now(SPEECH_LIMIT, npy(np.full(88, -1.0))), "speech_limit.npy: holds values that are no"),
    "limit of truths": (is_now(SPEECH_LIMIT, npy(np.ones(88, bool))), "speech_limit.npy: holds values that are no"),
    "a long name": (says(backbone="a" * 10**6), "backbone: String should have at most 200 characters"),
    "limit short": (is_now(SPEECH_LIMIT, npy(np.ones(3))), "a limit of shape .3,."),
    "limit of objects": (is_now(SPEECH_LIMIT, npy(np.array([{}] * 88))), "an array of Python objects"),
    "scaling nan": (holds(SPEECH_SCALING, centre=NAN_88), "speech_scaling.safetensors: holds values that scale"),
    "scaling zero": (holds(SPEECH_SCALING, spread=torch.zeros(88)), "speech_scaling.safetensors: holds values that"),
    "scaling limit": (holds(SPEECH_SCALING, limit=torch.tensor([torch.nan])), "holds values that scale nothing"),
    "no scaling limit": (holds(SPEECH_SCALING, limit=torch.zeros(0)), "no speech scaling here"),
    "scaling shapes": (holds(SPEECH_SCALING, spread=torch.ones(3)), "holds values that scale nothing"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_model_with_wrong_values_is_refused_in_a_sentence(model: Path, case: str) -> None:
    load_bundle(model)
    change, problem = BROKEN[case]
    change(model)
    with pytest.raises(UserError, match=problem) as error:
        load_bundle(model)
    assert len(str(error.value)) < 500


def test_a_model_that_knows_no_limit_is_read(model: Path) -> None:
    np.save(model / SPEECH_LIMIT, np.full(88, np.inf, np.float32))
    assert np.isinf(load_bundle(model).speech_limit_S).all()


def test_weights_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    weights = Connector(CONFIG.network, CONFIG.expression_width, CONFIG.speech_width).state_dict()
    weights["Norm.bias"][0] = torch.nan
    with pytest.raises(UserError, match="the weights to keep hold values that are not numbers .1 tensor.*Norm.bias"):
        save_bundle(tmp_path, weights, CONFIG, SpeechScaling.none(88), np.full(88, 3.0))
    assert not list(tmp_path.iterdir())
