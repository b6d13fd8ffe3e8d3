"""Pretrained checkpoints: which there are, where they lie, what a file is, and reading it without running its code.

Networks belong to `backbones/`, `connector/` and `evaluation/`; here are only their key sets. Nothing is downloaded.
"""

from cmet.weights.containers import whole_numbers
from cmet.weights.identify import Identification, Match, identify, load_file_as, load_weights
from cmet.weights.registry import CHECKPOINTS, NETWORKS, Checkpoint, Network, find_weight, weights_folder

__all__ = [
    "CHECKPOINTS",
    "NETWORKS",
    "Checkpoint",
    "Identification",
    "Match",
    "Network",
    "find_weight",
    "identify",
    "load_file_as",
    "load_weights",
    "weights_folder",
    "whole_numbers",
]
