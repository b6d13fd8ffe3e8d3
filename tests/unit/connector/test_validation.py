"""Which pairs a validation measures."""

from collections.abc import Callable

import numpy as np

from cmet.connector.features import PairFacts, pooled_speech
from cmet.connector.validation import Validator
from cmet.params import TrainParams
from cmet.shards import PairSample
from tests.connector_shards import SPEECH_WIDTH, pairs_of


def validator(pairs: list[PairSample], params: TrainParams) -> Validator:
    facts = PairFacts()
    for pair in pairs_of("a"):
        facts.add(pair, pooled_speech(pairs))
    return Validator(pairs, facts, np.full(SPEECH_WIDTH, np.inf, np.float32), params)


def keys(found: Validator) -> list[str]:
    return [pair.key for pair in found.pairs]


def test_of_very_many_pairs_the_same_sample_is_measured_in_whatever_order_they_come(
    make_params: Callable[..., TrainParams],
) -> None:
    pairs, few = pairs_of("d", 10), make_params(max_validation_pairs=40)
    one, other = validator(pairs, few), validator(pairs[::-1], few)
    assert keys(one) == keys(other) == sorted(keys(one))
    assert len(set(keys(one))) == 40 < len(pairs)
    assert one.baselines == other.baselines
    # one more clip takes the place of one at most
    assert len({*keys(one), *keys(validator(pairs[1:], few))}) <= 41


def test_up_to_the_limit_all_pairs_are_measured(make_params: Callable[..., TrainParams]) -> None:
    pairs = pairs_of("d")
    params = make_params(max_validation_pairs=len(pairs))
    assert keys(validator(pairs, params)) == sorted(pair.key for pair in pairs)


def test_the_speech_that_is_pooled_is_that_of_all_pairs(make_params: Callable[..., TrainParams]) -> None:
    pairs = pairs_of("d", 10)
    found = validator(pairs, make_params(max_validation_pairs=14)).speech_deltas
    wanted = pooled_speech(sorted(pairs, key=lambda pair: pair.key))
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[group], wanted[group]) for group in wanted)
