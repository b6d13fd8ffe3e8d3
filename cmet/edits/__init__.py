"""Edited test clips: which rows, which speech drives them, the methods, rendering, and how long an edit takes.

What a person edits belongs in `cmet.editing`; what is counted of the edits in `cmet.scores`.
"""
