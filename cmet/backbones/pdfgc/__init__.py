"""PD-FGC: a talking head whose mouth, expression, eyes and head pose have separate drivers (expression width 30).

Our own implementation; the published files load unchanged. `loading` reads them, `rendering` runs the networks in
batches, `model` is the backbone, `control` puts the drivers together. Cropping faces out of videos belongs in
`cmet.media`.
"""
