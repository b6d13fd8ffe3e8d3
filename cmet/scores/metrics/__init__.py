"""What can be measured of an edited clip besides its emotion: one module per metric, networks beside their metric.

What a clip is compared with, and how its values are summed up, belongs in `cmet.scores`.
"""
