"""Encoders by name: a clip's sound in, one vector out. Comparing the vectors belongs to `cmet.speech.directions`."""

from cmet.speech.encoders.protocol import SAMPLE_RATE_HZ, SpeechEncoder
from cmet.speech.encoders.registry import ENCODERS, load_encoder

__all__ = ["ENCODERS", "SAMPLE_RATE_HZ", "SpeechEncoder", "load_encoder"]
