"""The page for people who do not write code: one process that serves a browser on the same machine.

Here wishes become requests, and what came of them becomes something to look at. Editing itself belongs to
`cmet.editing`.
"""
