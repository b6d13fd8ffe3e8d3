"""Which neutral clip belongs to which emotional one, and the deltas between them (stage `deltas`).

How clips are found and filtered belongs in `cmet.corpora`; how pairs are packed for training in `cmet.shards`.
"""
