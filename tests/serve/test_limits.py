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
    gate = Gate(Limits(requests=2, albums=1, held_bytes=100), lambda: 4.0)
    with gate.hold(10), gate.hold(10, album=True):
        with pytest.raises(RefusedError) as refused, gate.hold(1):
            pass
        assert (refused.value.status, refused.value.retry_after) == (503, 8)
    with gate.hold(60):
        with pytest.raises(RefusedError), gate.hold(60):
            pass
        with gate.hold(10, album=True):
            pass
    with gate.hold(1000):  # one that alone is more than all is the limits of a body's to refuse
        pass
    assert (gate.requests, gate.albums, gate.bytes) == (0, 0, 0)


def test_one_client_does_not_keep_the_others_out() -> None:
    gate = Gate(Limits(requests=3, client_requests=1))
    with gate.hold(1, client="a"):
        with pytest.raises(RefusedError) as refused, gate.hold(1, client="a"):
            pass
        assert refused.value.status == 429
        with gate.hold(1, client="b"):
            pass
    with gate.hold(1, client="a"):
        pass


@pytest.mark.parametrize(
    "address, client",
    [("192.0.2.1", "192.0.2.1"), ("2001:db8::1", "2001:db8::/64"), (None, ""), ("fe80::1%eth0", "fe80::/64")],
)
def test_a_household_of_ipv6_is_one_client(address: str | None, client: str) -> None:
    assert client_of(address) == client
