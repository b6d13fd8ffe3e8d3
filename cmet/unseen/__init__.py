"""Unseen emotions: each left out of training in turn, and how much of its accuracy survives that.

What a training, an edit and a judge are belongs in `cmet.connector`, `cmet.edits`, `cmet.judge` and `cmet.scores`;
ablations of one experiment in `cmet.sweep`.
"""

from cmet.unseen.running import run_unseen

__all__ = ["run_unseen"]
