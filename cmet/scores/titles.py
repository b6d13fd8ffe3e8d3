"""What people call the values of metrics."""

TITLES = {
    "fid/pairwise-mean": ("FID, pairwise mean", "lower"),
    "fid/distribution": ("FID, distribution", "lower"),
    "fvd/pairwise-mean": ("FVD, pairwise mean", "lower"),
    "fvd/distribution": ("FVD, distribution", "lower"),
    "sync_conf": ("sync confidence", "higher"),
    "identity_similarity": ("identity similarity", "higher"),
    "descriptor_similarity": ("similarity of descriptors", "higher"),
    "descriptor_distance": ("distance of descriptors", "lower"),
    "acc_fer": ("accuracy, judge of FER-2013", "higher"),
    "acc_fer/true": ("the same of the true clips", ""),
    "acc_fer/agreement": ("agreement of the two judges", ""),
    "acc_faceapi": ("accuracy, judge of face-api", "higher"),
    "acc_faceapi/true": ("the same of the true clips", ""),
    "acc_faceapi/agreement": ("agreement of the two judges", ""),
    "lmd/mouth": ("M-LMD to the true clip", "lower"),
    "lmd/face": ("F-LMD to the true clip", "lower"),
    "lmd/lips_moved": ("lips moved from the source", ""),
}
"""What a table calls each value, and which way is better; neither way where it only informs."""
