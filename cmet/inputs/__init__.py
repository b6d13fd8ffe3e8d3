"""Files that somebody else may have written: read within bounds and without running anything, or refused in a sentence.

Tensors are read by `cmet.weights`, archives by `cmet.archives`, pictures and sound by `cmet.media`.
"""
