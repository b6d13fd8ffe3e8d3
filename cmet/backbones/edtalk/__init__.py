"""EDTalk: a face from a source picture, moved by 20 lip, 6 pose and 10 expression coefficients, and lips from speech.

The published checkpoints load unchanged (`loading.py`). Nothing outside of this folder knows EDTalk's key names, its
picture size or the layout of its tensors. Editing, lengths and sound tracks belong to `cmet/editing/`.
"""
