"""The embedded backbone: MediaPipe landmarks, a linear expression basis, and a piecewise-affine warp.

Works on real faces on a CPU without any weights. It moves pixels and invents none: teeth that were not visible
do not appear.
"""

from cmet.backbones.facemesh.basis import ExpressionBasis, fit_basis
from cmet.backbones.facemesh.model import FaceMesh

__all__ = ["ExpressionBasis", "FaceMesh", "fit_basis"]
