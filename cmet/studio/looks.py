"""What the page looks like: colours, and the parts that are plain HTML."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from re import sub
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cmet.editing.emotions.likeness import HeardEmotion
    from cmet.studio.models import MissingModel

ASK_FIRST = (
    "A made face can hurt the person it shows: edit only people who have agreed, and say that it is edited when you "
    "show it."
)

CSS = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def masthead() -> str:
    """The head of the page."""
    return (
        '<div class="masthead"><h1>Another emotion for a face</h1>'
        "<p>Give it a video of one person, and the emotion it should show: choose one, or let it hear a voice.</p>"
        f'<p class="ask">{escape(ASK_FIRST)}</p></div>'
    )


def fault(sentence: str) -> str:
    """What went wrong."""
    return f'<div class="said fault" role="alert">{_text(sentence)}</div>'


def notes(warnings: Sequence[str], others: Sequence[str] = ()) -> str:
    """What is to be said loudly, and what besides."""
    loud = "".join(f'<div class="said warning" role="alert">{_text(one)}</div>' for one in warnings)
    quiet = "".join(f"<li>{_text(one)}</li>" for one in others)
    return loud + (f'<ul class="said notes">{quiet}</ul>' if quiet else "")


def going(label: str, done: int, total: int | None) -> str:
    """How far work is."""
    share = 0.0 if not total else min(1.0, done / total)
    number = f"{share:.0%}" if total else ""
    return (
        f'<div class="going"><div class="track"><div class="fill" style="width:{100 * share:.1f}%"></div></div>'
        f'<div class="what"><span>{_text(label)}</span><span>{number}</span></div></div>'
    )


def heard(emotions: "Iterable[HeardEmotion]") -> str:
    """A bar of likeness to each emotion, for all recordings."""
    known = [one for one in emotions if one.likeness]
    return "".join(_bars(one.likeness, one.name if len(known) > 1 else "") for one in known)


def _bars(likeness: Mapping[str, float], name: str) -> str:
    title = f"What was heard in {name}" if name else "What was heard"
    rows = [
        f'<span>{escape(emotion)}</span><div class="track"><div class="fill{"" if number else " first"}" '
        f'style="width:{100 * max(0.0, cosine):.0f}%"></div></div><span class="number">{cosine:.2f}</span>'
        for number, (emotion, cosine) in enumerate(likeness.items())
    ]
    return f'<div class="heard"><span class="title">{_text(title)}</span>{"".join(rows)}</div>'


def absent(models: "Sequence[MissingModel]") -> str:
    """Models that are not here: entries of the list that cannot be chosen, each with what gets it."""
    entries = "".join(
        f'<div class="entry" role="radio" aria-checked="false" aria-disabled="true"><span class="name">'
        f'<span class="dot"></span>{escape(one.label)}</span><span class="way">{_text(one.way)}</span></div>'
        for one in models
    )
    return entries and f'<div class="absent" role="radiogroup" aria-label="Models that are not here">{entries}</div>'


def ask_for_password(user: str) -> str:
    """What stands above the fields where the page asks for a password."""
    return (
        f'<span style="display:block;max-width:44ch">The user is <b>{escape(user)}</b>; the password is the one that '
        "whoever started this page has set. After several wrong ones you have to wait a minute.</span>"
    )


def wait_page(left_s: float) -> str:
    """A page for somebody who has given too many wrong passwords; the browser leaves it by itself."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>cmet studio</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<style>body { font: 16px/1.5 system-ui, sans-serif; background: #f6f7f9; color: #1e293b; margin: 0; "
        "display: grid; place-items: center; min-height: 100vh } main { max-width: 44ch; padding: 24px }"
        "h1 { font-size: 22px }</style></head>"
        f"<body><main><h1>Too many wrong passwords</h1><p>Wait {left_s:g} seconds; then this page asks for the "
        "password again by itself.</p><p>Whoever started the page knows the password.</p></main></body></html>"
    )


def _text(sentence: str) -> str:
    """A sentence with what stands between backticks as code."""
    return sub(r"`([^`]+)`", r"<code>\1</code>", escape(sentence))
