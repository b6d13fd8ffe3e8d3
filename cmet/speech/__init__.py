"""Speech-emotion encoders behind one protocol, and what their differences say about emotion (`directions`)."""

from cmet.speech.encoders import ENCODERS, SpeechEncoder, load_encoder

__all__ = ["ENCODERS", "SpeechEncoder", "load_encoder"]
