"""Raw corpora: one module per corpus turns file paths into labelled clips; `listing` walks, `scan` writes manifests.

Preparing the media belongs to `cmet.clips`; which clips an evaluation takes to `cmet.edits`.
"""
