"""Prepared clips: the face at one size and frame rate, its sound at one sample rate, both over the same span.

Finding clips belongs in `cmet.corpora`; decoding, cropping and writing in `cmet.media`.
"""
