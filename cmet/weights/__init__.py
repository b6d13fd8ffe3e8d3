"""Pretrained checkpoints: which there are, where they come from and lie, getting them, and reading one safely.

Networks belong to `backbones/`, `connector/`, `judge/` and `scores/`; here are only their key sets. Nothing is
downloaded but by `fetching`, when somebody asks for it.
"""
