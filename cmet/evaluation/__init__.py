"""Measuring and showing: the judge of emotion, scores with their uncertainty, figures and the report.

How clips are edited belongs in `cmet.editing`; where numbers are kept for comparison in `cmet.tracking`.
"""
