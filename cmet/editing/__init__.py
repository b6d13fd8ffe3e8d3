"""Giving a video another emotion, heard in speech or named.

One edit is an `EditRequest`, carried out by `video`, or by `parity` where the authors' procedure is followed exactly;
`choice` opens the model, an `Editor`, and `preview` shows single frames of what an edit would make. What these need has
rooms of its own: `wishes`, `emotions`, `frames` and `result`. `batch` makes many; they and those of the studio wait in
`queue`. What an edit did is in `reports`, what a person should know of it in `notes`.

Predicting belongs to `cmet.connector`, reading codes off pictures and drawing them to `cmet.backbones`.
"""
