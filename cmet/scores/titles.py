"""What people call the values of metrics."""

TITLES = {
    "fid/pairwise-mean": ("FID, pairwise mean", "lower"),
    "fid/distribution": ("FID, distribution", "lower"),
    "fvd/pairwise-mean": ("FVD, pairwise mean", "lower"),
    "fvd/distribution": ("FVD, distribution", "lower"),
    "sync_conf": ("sync confidence", "higher"),
    "identity_similarity": ("identity similarity", "higher"),
    "acc_fer": ("accuracy, judge of FER-2013", "higher"),
    "acc_fer/true": ("the same of the true clips", ""),
    "acc_fer/agreement": ("agreement of the two judges", ""),
    "lmd/mouth": ("M-LMD to the true clip", "lower"),
    "lmd/face": ("F-LMD to the true clip", "lower"),
    "lmd/lips_moved": ("lips moved from the source", ""),
}
"""What a table calls each value, and which way is better; neither way where it only informs."""
