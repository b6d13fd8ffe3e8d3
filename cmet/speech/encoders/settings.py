"""How each speech encoder is set: what a model says of the one it hears with. Readable without loading any of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from cmet.errors import UserError
from cmet.params import USUAL_SPEECH, SpeechForm
from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ
from cmet.weights.registry import CHECKPOINTS

Settings = Mapping[str, str | int]

FEATURE_SET, FEATURE_LEVEL = "eGeMAPSv02", "Functionals"
"""Of openSMILE, by its own names."""

GRANULARITY = "utterance"
"""One vector for a whole sound: FunASR's word."""

LAST = "last"
"""The last layer of a network, where nobody counts them."""


@dataclass(frozen=True)
class Layered:
    """A network of which any layer can be taken."""

    published: str
    """Its publisher's name: a bundle in torchaudio.pipelines, or a model of Whisper."""
    width: int
    num_layers: int
    usual_layer: int


def _bundle(published: str, width: int, num_layers: int) -> Layered:
    return Layered(published, width, num_layers, usual_layer=num_layers)


BUNDLES = {
    "hubert-base": _bundle("HUBERT_BASE", 768, 12),
    "hubert-large": _bundle("HUBERT_LARGE", 1024, 24),
    "wav2vec2-base": _bundle("WAV2VEC2_BASE", 768, 12),
    "wav2vec2-large": _bundle("WAV2VEC2_LARGE", 1024, 24),
    "wav2vec2-large-lv60k": _bundle("WAV2VEC2_LARGE_LV60K", 1024, 24),
    "wavlm-base": _bundle("WAVLM_BASE", 768, 12),
    "wavlm-base-plus": _bundle("WAVLM_BASE_PLUS", 768, 12),
    "wavlm-large": _bundle("WAVLM_LARGE", 1024, 24),
}
"""torchaudio's, by our names."""

WHISPERS = {
    f"whisper-{name}": Layered(name, width, num_layers, usual_layer=2)
    for name, width, num_layers in (("tiny", 384, 4), ("tiny.en", 384, 4), ("base", 512, 6), ("base.en", 512, 6))
}
"""OpenAI's, by our names."""

LAYERED = {**BUNDLES, **WHISPERS}

_EMOTION2VEC = CHECKPOINTS["emotion2vec"].file

_FIXED: dict[str, dict[str, str | int]] = {
    "opensmile": {"feature_set": FEATURE_SET, "feature_level": FEATURE_LEVEL},
    "emotion2vec": {"model": _EMOTION2VEC, "layer": LAST, "granularity": GRANULARITY},
    **{name: {"bundle": network.published} for name, network in BUNDLES.items()},
    **{name: {"model": f"whisper {network.published}"} for name, network in WHISPERS.items()},
}


def layer_of(name: str, form: SpeechForm) -> int:
    """The layer that is taken of one of `LAYERED`, counted from 1.

    Raises:
        UserError: It has fewer.
    """
    network = LAYERED[name]
    if form.layer is not None and form.layer > network.num_layers:
        raise UserError(f"speech.layer is {form.layer}, but {name} has {network.num_layers} layers")
    return form.layer or network.usual_layer


def settings_of(name: str, form: SpeechForm = USUAL_SPEECH) -> Settings:
    """How an encoder is set.

    Args:
        name: Of the encoder.
        form: What is taken of a network with layers; the others are always set in the same way.

    Raises:
        UserError: It has fewer layers.
    """
    if name == "precomputed":
        return {"model": _EMOTION2VEC, "vectors": "as released"}
    settings = _FIXED[name] | {"sample_rate_hz": SAMPLE_RATE_HZ}
    if name in LAYERED:
        layer = layer_of(name, form)
        # a bundle's last layer has no number in models that were trained before there was a choice
        is_last = name in BUNDLES and layer == LAYERED[name].num_layers
        settings |= {"layer": LAST if is_last else layer, "pooling": form.pooling}
    return settings


SETTINGS: Mapping[str, Settings] = {name: settings_of(name) for name in (*_FIXED, "precomputed")}
"""As they usually are, by the name of the encoder."""


def form_in(settings: Settings, name: str) -> SpeechForm:
    """What a model took of its encoder, as its settings say.

    Args:
        settings: Of the model.
        name: Of the encoder.

    Raises:
        UserError: No network can be set so.
    """
    if name not in LAYERED:
        return USUAL_SPEECH
    layer, pooling = settings.get("layer"), settings.get("pooling")
    try:
        return SpeechForm.model_validate({"layer": None if layer == LAST else layer, "pooling": pooling})
    except ValueError as error:
        raise UserError(
            f"a model that takes layer {layer} of {name} and pools by {pooling}: this version cannot; train it again"
        ) from error
