"""Pretrained checkpoints: which there are, where they lie, what a file is, and reading it without running its code.

Networks belong to `backbones/`, `connector/`, `judge/` and `scores/`; here are only their key sets. Nothing is
downloaded.
"""
