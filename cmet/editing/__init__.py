"""Giving a video another emotion, heard from speech.

Here a face is cut out and put back, speech is embedded, and lengths are fitted. Predicting belongs to
`cmet.connector`, reading codes off pictures and drawing them to `cmet.backbones`.
"""
