"""The result for a terminal, which waits for none of the libraries that draw the page."""

from cmet.report.summary import Summary
from cmet.scores.measured import MethodScores
from cmet.vocabulary import GROUND_TRUTH, in_order


def print_table(summary: Summary) -> str:
    """The result as plain text for a terminal."""
    percent = 100 * summary.confidence
    lines = []
    for name, backbone in summary.backbones.items():
        lines += [
            f"Accuracy of emotion, {name}",
            f"  {'method':<22}{'acc_emo':>8}   {f'{percent:.0f}% interval':<16}{'n':>5}",
        ]
        lines += [_table_line(method, scores) for method, scores in in_order(backbone.methods).items()]
        lines.append(_table_line("judge on true clips", backbone.ground_truth))
        if backbone.floor:
            lines.append(f"  {'best constant answer':<22}{100 * backbone.floor.acc_emo:>7.1f}%")
        held_out = backbone.held_out
        if held_out:
            chance = "" if held_out.chance is None else f" (chance {100 * held_out.chance:.1f}%)"
            lines.append(f"Held out of training: {held_out.emotion}{chance}")
            lines += [
                _table_line(method.replace(GROUND_TRUTH, "judge on true clips"), scores)
                for method, scores in in_order(held_out.methods).items()
            ]
    return "\n".join(lines)


def _table_line(name: str, scores: MethodScores) -> str:
    low, high = scores.interval
    failed = f"   ({scores.num_failed} failed, counted as wrong)" if scores.num_failed else ""
    interval = f"{100 * low:.1f} - {100 * high:.1f}"
    return f"  {name:<22}{100 * scores.acc_emo:>7.1f}%   {interval:<16}{scores.n:>5}{failed}"
