"""The words of an evaluation: methods in their order, chance, names of files."""

from cmet.params import TARGET_EMOTIONS

METHODS = ("neutral", "reference", "cmet", "oracle")
"""The methods in the order of every table."""

GROUND_TRUTH = "ground_truth"
"""The true emotional clips themselves, as if they were a method: the ceiling that the judge sets."""

CHANCE = 1 / len(TARGET_EMOTIONS)
PREDICTIONS = "predictions.parquet"
METRICS = "metrics.json"
