"""The stages of dvc.yaml as Dagster assets, with previews and checks.

No science here: a number that has to be computed from clips comes from `cmet`.
"""
