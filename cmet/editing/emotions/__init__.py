"""What is heard in recordings or told by a name, what of the face it changes, and how emotions follow each other."""
