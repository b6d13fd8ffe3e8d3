"""Cross-modal emotion transfer (C-MET): hear the emotion in a voice, give it to the face in a talking video.

The library does all the work and knows no orchestrator; `assets/` and `pipelines/` (Dagster) and `dvc.yaml` sit on
top of it and call nothing but `cmet.stages`.
"""
