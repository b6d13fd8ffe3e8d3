"""Ablations: several variants of an experiment, each trained with several seeds and compared in one table.

What a training, an edit and a score are belongs in `cmet.connector`, `cmet.edits`, `cmet.judge` and `cmet.scores`.
"""

from cmet.sweep.running import run_sweep
from cmet.sweep.variants import read_variants

__all__ = ["read_variants", "run_sweep"]
