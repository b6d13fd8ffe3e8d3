from pathlib import Path

import pytest

from cmet.doctor import libraries
from cmet.doctor.examination import examine

ROOT = Path(__file__).parents[2]


def test_every_probe_answers_and_the_libraries_of_the_sample_work(monkeypatch: pytest.MonkeyPatch) -> None:
    # other tests run on the machine
    monkeypatch.setattr(libraries, "LIMIT_S", 600)
    findings = examine(ROOT)
    assert [finding for finding in findings if finding.probe in libraries.PROBES and finding.status == "problem"] == []
    assert not any("the probe failed" in finding.found for finding in findings)
    assert {finding.probe for finding in findings} >= {
        "load",
        "memory",
        "disk",
        "packages",
        *libraries.PROBES,
        "weights",
    }
    assert all(finding.advice for finding in findings if finding.status != "ok")
