"""What edits are worth: results of judge and metrics, the numbers made of them, comparisons, figures and strips.

Who names an emotion belongs in `cmet.judge`; pages in `cmet.report`.
"""
