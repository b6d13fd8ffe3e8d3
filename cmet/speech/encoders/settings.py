"""How each speech encoder is set: what a model says of the one it hears with. Readable without loading any of them."""

from collections.abc import Mapping

from cmet.speech.encoders.encoder import SAMPLE_RATE_HZ
from cmet.weights.registry import CHECKPOINTS

Settings = Mapping[str, str | int]

FEATURE_SET, FEATURE_LEVEL = "eGeMAPSv02", "Functionals"
"""Of openSMILE, by its own names."""

GRANULARITY = "utterance"
"""One vector for a whole sound: FunASR's word."""

BUNDLES = {
    "hubert-base": ("HUBERT_BASE", 768),
    "hubert-large": ("HUBERT_LARGE", 1024),
    "wav2vec2-base": ("WAV2VEC2_BASE", 768),
    "wav2vec2-large": ("WAV2VEC2_LARGE", 1024),
    "wav2vec2-large-lv60k": ("WAV2VEC2_LARGE_LV60K", 1024),
    "wavlm-base": ("WAVLM_BASE", 768),
    "wavlm-base-plus": ("WAVLM_BASE_PLUS", 768),
    "wavlm-large": ("WAVLM_LARGE", 1024),
}
"""Our names: the bundle in torchaudio.pipelines and its width."""

_EMOTION2VEC = CHECKPOINTS["emotion2vec"].file

_COMPUTED: dict[str, dict[str, str | int]] = {
    "opensmile": {"feature_set": FEATURE_SET, "feature_level": FEATURE_LEVEL},
    "emotion2vec": {"model": _EMOTION2VEC, "layer": "last", "granularity": GRANULARITY},
    **{name: {"bundle": bundle, "layer": "last", "pooling": "mean"} for name, (bundle, _) in BUNDLES.items()},
}

SETTINGS: Mapping[str, Settings] = {
    **{name: settings | {"sample_rate_hz": SAMPLE_RATE_HZ} for name, settings in _COMPUTED.items()},
    "precomputed": {"model": _EMOTION2VEC, "vectors": "as released"},
}
"""By the name of the encoder."""
