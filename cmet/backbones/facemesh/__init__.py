"""The embedded backbone: MediaPipe landmarks, a linear expression basis, and a piecewise-affine warp.

Works on real faces on a CPU without any weights. It moves pixels and invents none: teeth that were not visible
do not appear.
"""
