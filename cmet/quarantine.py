"""Clips that cannot be used: their reasons counted, and how many a stage may lose."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from cmet.errors import UserError


def count_reasons(reasons: Iterable[str]) -> dict[str, int]:
    """Number of quarantined clips by reason code."""
    return dict(sorted(Counter(reason.split(":")[0] for reason in reasons).items()))


def check_rejected(stage: str, is_rejected: pd.Series, reasons: pd.Series, max_rejected: float) -> None:
    """Stop a stage that lost too many clips.

    Raises:
        UserError: With the count and the first few reasons.
    """
    share = float(is_rejected.mean()) if len(is_rejected) else 1.0
    if share > max_rejected or share == 1.0:
        counts = ", ".join(f"{number} {code}" for code, number in count_reasons(reasons[is_rejected]).items())
        first = "; ".join(f"{clip_id}: {reason}" for clip_id, reason in reasons[is_rejected].head(3).items())
        raise UserError(
            f"{stage}: {int(is_rejected.sum())} of {len(is_rejected)} clips rejected, but {stage}.max_rejected allows "
            f"{max_rejected:.0%}: {counts}; first {first}"
        )
