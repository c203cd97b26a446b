"""When another try is made, how soon, and when there have been enough."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from prefgen.engines.retry import LONGEST_WAIT_S, Attempts, PassingError, Policy, is_passing, wait_asked_s

NOW = 1_790_000_000.0


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_asked_again(status):
    assert is_passing(status)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
def test_what_will_not_change_is_never_asked_again(status):
    assert not is_passing(status)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "2"}, 2.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After": formatdate(NOW + 3, usegmt=True)}, 3.0),
        ({"Retry-After": formatdate(NOW - 3, usegmt=True)}, 0.0),
        ({"Retry-After-Ms": "250", "Retry-After": "1"}, 0.25),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-tokens": "120ms", "x-ratelimit-reset-requests": "1.5s"}, 1.5),
        (
            {
                "x-ratelimit-remaining-requests": "7",
                "x-ratelimit-reset-requests": "1h",
                "x-ratelimit-reset-tokens": "1s",
            },
            1.0,
        ),
        ({"x-ratelimit-reset-requests": str(NOW + 9)}, 9.0),
        ({"Retry-After": "soon"}, None),
        ({"x-ratelimit-reset-requests": "whenever"}, None),
        ({}, None),
    ],
)
def test_the_servers_wish_is_read_in_every_way_it_is_written(headers, wait_s):
    found = wait_asked_s(CIMultiDict(headers), now=NOW)
    assert found == (None if wait_s is None else pytest.approx(wait_s, abs=1.0 if "GMT" in str(headers) else 1e-6))


@given(
    st.dictionaries(
        st.sampled_from(["retry-after-ms", "Retry-After", "x-ratelimit-reset-tokens"]), st.text(max_size=12)
    )
)
def test_no_header_gives_a_traceback_or_a_negative_wait(headers):
    assert (wait_asked_s(CIMultiDict(headers), now=NOW) or 0.0) >= 0.0


@given(st.floats(0, 1e6), st.integers(1, 40))
def test_the_servers_wish_is_obeyed_up_to_a_cap(asked_s, made):
    tries = Attempts()
    tries.made = made
    waited = Policy(6).wait_s(tries, PassingError("429", wait_s=asked_s))
    assert min(asked_s, LONGEST_WAIT_S) <= waited <= LONGEST_WAIT_S + 31


@given(st.integers(1, 50))
def test_a_request_gets_its_tries_and_no_more(most):
    tries, policy = Attempts(), Policy(most)
    for made in range(1, most + 1):
        tries.add(PassingError("500"))
        assert policy.gives_up(tries) == (made == most)


def test_waiting_grows_and_is_jittered():
    tries, policy = Attempts(), Policy(50)
    for _ in range(12):
        tries.add(PassingError("500"))
    waits = {policy.wait_s(tries, PassingError("500")) for _ in range(50)}
    assert len(waits) > 40
    assert 5 < max(waits) <= 30


def test_being_throttled_or_not_reaching_anybody_is_hardly_held_against_a_request():
    tries, policy = Attempts(), Policy(2)
    for _ in range(9):
        tries.add(PassingError("429", throttled=True))
        tries.add(PassingError("refused", unreached=True))
    assert not policy.gives_up(tries)
