"""The built-in sample corpus: rendered actors who speak with feeling, so that everything runs without a download.

An emotion is a point of affect (`affect.py`); face (`look.py`, `motion.py`, `face.py`) and voice (`voice.py`) both
follow from the point by fixed maps, and `corpus.py` writes the clips. Reading the tree is not done here: the
adapter of MEAD does that.
"""
