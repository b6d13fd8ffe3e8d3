"""The page, what its rows may be compared with, and the paper's own tables."""
