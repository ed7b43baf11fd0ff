"""Who is refused by load and by rate, and when to come again."""

import pytest

from openplanet.serve.limits import Gate, Limits, Rate, RefusedError, client_of


def test_a_clients_photos_come_back_at_the_rate() -> None:
    now = [0.0]
    rate = Rate(60, lambda: now[0])
    for _ in range(120):  # twice the rate in one go
        rate.check("a")
        rate.take("a")
    with pytest.raises(RefusedError) as refused:
        rate.check("a")
    assert (refused.value.status, refused.value.retry_after) == (429, 1)
    rate.check("b")
    now[0] = 1.0
    rate.check("a")
    for _ in range(10):  # an album's, on credit
        rate.take("a")
    with pytest.raises(RefusedError) as refused:
        rate.check("a")
    assert refused.value.retry_after == 10


def test_without_a_rate_nobody_is_refused() -> None:
    rate = Rate(None)
    for _ in range(1000):
        rate.check("a")
        rate.take("a")


def test_the_gate_refuses_what_is_one_too_many_and_lets_in_again() -> None:
    gate = Gate(Limits(requests=2, albums=1), lambda: 4.0)
    with gate.hold(), gate.hold(album=True):
        with pytest.raises(RefusedError) as refused, gate.hold():
            pass
        assert (refused.value.status, refused.value.retry_after) == (503, 8)
    with gate.hold(album=True), pytest.raises(RefusedError), gate.hold(album=True):
        pass
    assert (gate.requests, gate.albums) == (0, 0)


def test_bytes_count_when_they_have_come_and_until_their_request_ends() -> None:
    gate = Gate(Limits(held_bytes=100))
    with gate.hold() as one:
        one.take(60)
        with gate.hold() as other:
            other.take(40)
            with pytest.raises(RefusedError) as refused:
                other.take(1)
            assert refused.value.status == 503
            one.give(30)
            other.take(30)
        assert gate.bytes == one.bytes == 30
    assert gate.bytes == 0


def test_one_client_does_not_keep_the_others_out() -> None:
    gate = Gate(Limits(requests=3, client_requests=1))
    with gate.hold("a"):
        with pytest.raises(RefusedError) as refused, gate.hold("a"):
            pass
        assert refused.value.status == 429
        with gate.hold("b"):
            pass
    with gate.hold("a"):
        pass


@pytest.mark.parametrize(
    "address, client",
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::/64"), (None, ""), ("fe80::1%eth0", "fe80::/64")],
)
def test_a_household_of_ipv6_is_one_client(address: str | None, client: str) -> None:
    assert client_of(address) == client
