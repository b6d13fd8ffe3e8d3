"""What the stages `edits` and `timing` leave behind."""

EDITS = "edits.parquet"
PROTOCOL = "protocol.json"
"""Beside the edits: rows, speech and settings that all methods share."""
TIMING = "timing.json"
