"""Likelihoods as probabilities of options."""

from __future__ import annotations

import math

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from prefgen.judging.likelihood import read_likelihood
from prefgen.records import Response

LOGPROBS = st.lists(
    st.lists(st.floats(-30, 0), min_size=1, max_size=6), min_size=2, max_size=5
)  # of a few options, token by token


def told(logprobs: object, **facts: object) -> Response:
    return Response("req-x", orjson.dumps(logprobs).decode(), method="likelihood+forced", **facts)  # type: ignore[arg-type]


@given(LOGPROBS)
def test_p_is_the_softmax_of_the_scores(logprobs: list[list[float]]) -> None:
    for score, of in (("sum", sum), ("mean", np.mean)):
        found = read_likelihood(told(logprobs), len(logprobs), score)  # type: ignore[arg-type]
        wanted = np.exp(log_softmax([of(one) for one in logprobs]))
        assert found.p == pytest.approx(wanted, abs=1e-9)
        assert found.symbol is None or "ABCDE".index(found.symbol) == int(np.argmax(wanted))
        assert found.p_read is None


def test_a_gain_is_what_the_persona_adds() -> None:
    alone, asked = [[-1.0, -2.0], [-5.0]], [[-1.0, -1.0], [-4.5]]
    found = read_likelihood(told(asked), 2, "gain", told(alone))
    assert found.p == pytest.approx((math.e / (math.e + math.exp(0.5)), math.exp(0.5) / (math.e + math.exp(0.5))))
    assert (found.symbol, found.status) == ("A", "ok")
    nobody = read_likelihood(told(alone), 2, "gain", told(alone))
    assert (nobody.symbol, nobody.status, nobody.p) == (None, "tie", (0.5, 0.5))


def test_length_counts_in_a_sum_and_not_in_a_mean() -> None:
    said = told([[-1.0], [-1.0, -1.0, -1.0]])
    assert read_likelihood(said, 2, "sum").symbol == "A"
    assert read_likelihood(said, 2, "mean").status == "tie"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "null",
        "[]",
        "[[-1.0]]",
        "[[-1.0],[]]",
        "[[-1.0],-1.0]",
        '[[-1.0],["x"]]',
        "[[-1.0],[null]]",
        "{",
        "[[1],[2],[3]]",
    ],
)
def test_what_holds_no_likelihoods_of_all_options_is_unparsed(text: str) -> None:
    found = read_likelihood(Response("req-x", text), 2, "sum")
    assert (found.symbol, found.status, found.p) == (None, "unparsed", None)


def test_a_failure_stays_one_and_a_gain_needs_both() -> None:
    good, failed = told([[-1.0], [-2.0]]), Response("req-x", failure="HTTP 400: no")
    assert read_likelihood(failed, 2, "sum").status == "failed"
    assert read_likelihood(good, 2, "gain", failed).p is None
    assert read_likelihood(good, 2, "gain").p is None
