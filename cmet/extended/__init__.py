"""Emotions beyond the basic ones, given as folders of speech: what their speech says, and faces edited with it.

There is no video of the true emotion, so nothing here is compared with one. How a clip is edited belongs in
`cmet.editing`; scores against true clips in `cmet.scores`.
"""
