"""The one seam for heavy work per clip: a resumable map over clips, on this machine or on a cluster.

What a map promises (jobs, records, quarantine, attempts, and that files appear whole) is in `clip_map` and `attempts`.
There are two ways to run one, `local` and `on_ray`, and both use the worker processes of `pool`, which may hang or die.
Nothing else in the code knows how many processes and machines there are; what a worker does belongs in other rooms.
"""
