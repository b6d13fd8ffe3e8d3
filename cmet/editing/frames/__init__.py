"""The pictures that an edit reads and puts back: in which order, whose face, and where in them it is."""
