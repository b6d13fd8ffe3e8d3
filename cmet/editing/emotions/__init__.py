"""What is heard in recordings or named, what of the face it changes, and how emotions follow each other.

`speech` embeds recordings, `known` makes deltas of them, `likeness` says what they sound like, `transition` orders
them.
"""
