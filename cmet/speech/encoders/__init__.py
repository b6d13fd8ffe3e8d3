"""Encoders by name: a clip's sound in, one vector out. Comparing the vectors belongs to `cmet.speech.directions`."""
