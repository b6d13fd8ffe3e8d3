"""How the pipeline runs under Dagster: definitions, the DVC resource, jobs and sensor.

What an asset shows belongs in `assets`; what a stage does belongs in `cmet`.
"""
