"""`cmet doctor`: what this machine can and cannot run."""

import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cmet.doctor.finding import Finding


def doctor(
    project: Annotated[Path, typer.Option("--project", help="Folder of the project.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what this machine can run and what to do about the rest; exit code 1 if the built-in sample cannot run."""
    from cmet.doctor.examination import can_run_sample, examine

    findings = examine(project)
    is_able = can_run_sample(findings)
    if as_json:
        print(json.dumps({"can_run_sample": is_able, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        print("\n".join(line for finding in findings for line in _lines(finding)))
        num_problems = sum(finding.status == "problem" for finding in findings)
        print()
        print(
            "The built-in sample can run: `make demo`."
            if is_able
            else f"The built-in sample cannot run: {num_problems} problem(s)."
        )
    raise typer.Exit(0 if is_able else 1)


def _lines(finding: "Finding") -> list[str]:
    head = f"{finding.status:<9}{finding.probe:<15}"
    text = textwrap.wrap(finding.found, 120, initial_indent=head, subsequent_indent=" " * 24)
    advice = textwrap.wrap(finding.advice, 120, initial_indent=" " * 24 + "-> ", subsequent_indent=" " * 27)
    return text + (advice if finding.status != "ok" else [])
