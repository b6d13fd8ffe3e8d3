"""How the pipeline runs under Dagster: definitions, jobs and the sensor.

The assets and the DVC project behind them belong in `assets`; what a stage does belongs in `cmet`.
"""
