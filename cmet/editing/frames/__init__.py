"""The pictures that an edit reads and puts back: in which order, whose face and whose lips, and where the face is."""
