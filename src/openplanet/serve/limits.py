"""What the server takes at most, and who is refused: by load (503) and by rate (429), each with when to come again."""

import ipaddress
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MOST_CLIENTS = 10_000  # whose rates are known; those longest away are forgotten
MB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes, times in seconds. Defaults suit one machine with a few people at it."""

    photo_bytes: int = 64 * MB
    photo_pixels: int = 120_000_000
    album_photos: int = 500
    album_bytes: int = 4096 * MB
    requests: int = 64
    """Taken at once, those that wait included; more are refused."""
    client_requests: int | None = None
    """Of them of one client, so that a slow one does not keep the others out. None: all."""
    albums: int = 2
    held_bytes: int = 512 * MB
    """Of bodies that are held at once, all together."""
    body_seconds: float = 20.0
    """A body may take that long, and a second more for each ``body_rate`` bytes that have come."""
    body_rate: float = 50_000.0
    answer_seconds: float = 120.0
    send_seconds: float = 60.0
    """By when a client must have taken a piece of an answer."""
    per_minute: float | None = None
    """Photos a minute and client; twice as many in one go. None: no limit."""


class RefusedError(Exception):
    """A request that is not answered: ``status`` of HTTP, why, and in how many seconds it may be tried again."""

    def __init__(self, status: int, why: str, retry_after: int | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.retry_after = status, why, retry_after


class Rate:
    """A bucket of tokens for each client: a photo takes one, and they come back at the rate."""

    def __init__(self, per_minute: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = None if per_minute is None else per_minute / 60
        self._most = 0.0 if per_minute is None else max(1.0, 2 * per_minute)
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when

    def check(self, client: str) -> None:
        """Raise RefusedError (429) where the client has no token left."""
        if self._per_second is None:
            return
        left = self._left(client)
        if left < 1:
            raise RefusedError(429, "too many photos in a short time", math.ceil((1 - left) / self._per_second))

    def take(self, client: str) -> None:
        """Take a token, on credit where there is none: the photos of an album are refused together or not at all."""
        if self._per_second is None:
            return
        self._known[client] = (self._left(client) - 1, self._clock())
        self._known.move_to_end(client)
        while len(self._known) > MOST_CLIENTS:
            self._known.popitem(last=False)

    def _left(self, client: str) -> float:
        tokens, at = self._known.get(client, (self._most, self._clock()))
        return min(self._most, tokens + (self._clock() - at) * (self._per_second or 0.0))


def client_of(address: str | None) -> str:
    """Whom a rate is counted for: an IPv4 address; of IPv6 the /64, which one household has."""
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return address or ""
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)


class Held:
    """What one request holds of the bytes that all may hold: those that have come, not those that are announced."""

    def __init__(self, gate: "Gate") -> None:
        self._gate, self.bytes = gate, 0

    def take(self, size: int) -> None:
        """Count bytes. Raises RefusedError (503) where they are too many for all together."""
        self._gate.take(size)
        self.bytes += size

    def give(self, size: int) -> None:
        """Count bytes no more."""
        self._gate.bytes -= size
        self.bytes -= size


class Gate:
    """Lets in as many requests, albums and bytes at once as the limits have, and refuses the rest at once."""

    def __init__(self, limits: Limits, seconds_a_request: Callable[[], float] = lambda: 0.1) -> None:
        """``seconds_a_request``: how long one takes now, for the time after which to come again."""
        self._limits, self._seconds = limits, seconds_a_request
        self.requests, self.albums, self.bytes = 0, 0, 0
        self._by_client = Counter[str]()

    @contextmanager
    def hold(self, client: str = "", album: bool = False) -> Iterator[Held]:
        """While inside, a request is counted. Raises RefusedError where it is one too many: for all (503), or for
        this client (429)."""
        most = self._limits
        if most.client_requests is not None and self._by_client[client] >= most.client_requests:
            raise RefusedError(429, "too many requests of yours at once", max(1, math.ceil(self._seconds())))
        if self.requests >= most.requests:
            raise self._busy()
        if album and self.albums >= most.albums:
            raise RefusedError(503, "the server is busy with other albums", 10)
        held = Held(self)
        self._count(1, album, client)
        try:
            yield held
        finally:
            self._count(-1, album, client)
            self._by_client += Counter()  # forgets who has none
            held.give(held.bytes)

    def take(self, size: int) -> None:
        """As ``Held.take``."""
        if self.bytes + size > self._limits.held_bytes:
            raise self._busy()
        self.bytes += size

    def _busy(self) -> RefusedError:
        return RefusedError(503, "the server is busy", max(1, math.ceil(self.requests * self._seconds())))

    def _count(self, sign: int, album: bool, client: str) -> None:
        self.requests, self.albums = self.requests + sign, self.albums + sign * album
        self._by_client[client] += sign
