import pytest

from cmet.connector.meeting import ProcessFacts, disagreement

FIRST = ProcessFacts("a", {"Python": "3.11.7", "torch": "2.11.0", "device": "cuda"})


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (ProcessFacts("b", FIRST.values), None),
        (
            ProcessFacts("b", FIRST.values | {"torch": "2.10.0"}),
            "node b is not like a: torch 2.10.0 instead of 2.11.0; ",
        ),
        (ProcessFacts("b", FIRST.values | {"device": "cpu"}), "node b is not like a: device cpu instead of cuda; "),
        (ProcessFacts("b", FIRST.values | {"funasr": "1.2"}), "node b is not like a: funasr 1.2 instead of none; "),
        (
            ProcessFacts("b", {"Python": "3.11.7", "device": "cuda"}),
            "node b is not like a: torch missing instead of 2.11.0; ",
        ),
        (ProcessFacts("b", {}), "node b is not like a: Python missing instead of 3.11.7, torch missing"),
        (ProcessFacts("b", problem="params.yaml: no such file"), "node b: params.yaml: no such file"),
        (ProcessFacts("a", problem="params.yaml: no such file"), "params.yaml: no such file"),
    ],
)
def test_the_first_machine_that_is_not_like_the_first_is_named(other: ProcessFacts, said: str | None) -> None:
    found = disagreement([FIRST, other])
    assert found is None if said is None else found is not None and found.startswith(said)
