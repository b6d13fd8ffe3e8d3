"""Hypothesis without bounds on time, which depend on what else runs on a machine."""

from hypothesis import HealthCheck, assume, given, settings, strategies

__all__ = ["assume", "given", "strategies"]

settings.register_profile("no-clock", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no-clock")
