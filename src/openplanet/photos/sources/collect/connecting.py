"""One connection to one host: which host a URL means, whether its address may be asked, and an end by the clock.

A stranger's list, redirect or DNS answer decides none of these. The address that is checked is the one connected to,
so a name that changes its address in between (DNS rebinding) gains nothing.
"""

import ipaddress
import queue
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import parse_url

from openplanet.errors import InputError

_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # IPv6 addresses that stand for an IPv4 address
_ADDRESSES = 4  # of a host that are tried
Address = tuple[socket.AddressFamily, tuple[Any, ...]]


class FetchError(InputError):
    """A URL cannot be fetched; ``reason`` is its short form."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Site:
    """Whom a URL asks: ``host`` in one spelling whatever the list's, and what to ask for (``target``)."""

    scheme: str
    host: str
    port: int
    target: str


def site_of(url: str) -> Site:
    """Whom ``url`` asks, without user name, letter case, trailing dot or default port. Raises FetchError "bad url"."""
    try:
        url.encode()  # half an emoji has no bytes
        if any(c < " " or c == "\x7f" for c in url):
            raise ValueError("it holds control characters")
        parts = parse_url(url)
        scheme, host = parts.scheme, (parts.host or "").rstrip(".")
        if scheme not in _PORTS or not host:
            raise ValueError("it does not begin with http:// or https:// and a host")
        if "%" in host and not host.startswith("["):
            raise ValueError("its host holds a percent sign")
        host = _one_spelling(host)
        host.encode("idna")  # labels that are empty or too long; the socket would raise UnicodeError
        return Site(scheme, host, parts.port or _PORTS[scheme], parts.request_uri)
    except ValueError as error:
        raise FetchError(f"{url} is no http(s) URL: {error}", "bad url") from None


def _one_spelling(host: str) -> str:
    """127.1, 0x7f000001 and ::ffff:127.0.0.1 are all 127.0.0.1."""
    if host.startswith("["):
        address = ipaddress.IPv6Address(host[1:-1])
        return str(address.ipv4_mapped or address)
    with suppress(OSError):
        return socket.inet_ntoa(socket.inet_aton(host))
    return host


def names_itself(site: Site) -> bool:
    """Whether the host of ``site`` is written as an address, or as localhost: no DNS decides whom it means."""
    with suppress(ValueError):
        return bool(ipaddress.ip_address(site.host))
    return site.host == "localhost"


def is_public(address: str) -> bool:
    """Whether a numeric address belongs to the Internet: not private, loopback, link-local, shared or multicast."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


class Watch:
    """Ends a request when its ``seconds`` are over, or at ``cut``, whatever it waits for. A context manager.

    Time limits of sockets begin anew with every byte; this shuts the connection, and the reader sees its end.
    """

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._held: list[socket.socket] = []
        self._answers: queue.SimpleQueue[list[Address] | Exception | None] = queue.SimpleQueue()
        self._timer = threading.Timer(max(seconds, 0), self.cut)
        self._timer.daemon = True
        self._timer.start()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for held in self._held:
                held.close()
            self._held.clear()

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self._ends - time.monotonic()

    def cut(self) -> None:
        """End the request now; safe from any thread, and more than once."""
        with self._lock:
            self.over = True
            for held in self._held:
                with suppress(OSError):  # not connected any more
                    held.shutdown(socket.SHUT_RDWR)
        self._answers.put(None)

    def connect(self, site: Site, seconds: float, private: bool) -> socket.socket:
        """A connection to ``site``, each of its addresses tried for ``seconds``; ``private``: also to those.

        Raises FetchError "private address", and OSError where there is no connection.
        """
        addresses = self._resolve(site)
        allowed = [each for each in addresses if private or is_public(each[1][0])]
        if not allowed:
            where = f"{site.host} is at {addresses[0][1][0]}, an address that is not public"
            raise FetchError(f"{where}: only the list itself can name such a one", "private address")
        problem = OSError("it has no address")
        for family, address in allowed[:_ADDRESSES]:
            made = socket.socket(family, socket.SOCK_STREAM)
            try:
                self._hold(made)
                made.settimeout(seconds)
                made.connect(address)
            except OSError as error:
                made.close()
                problem = error
            else:
                if self.over:  # cut before there was a connection to shut
                    made.close()
                    raise TimeoutError("its time is over")
                return made
        raise problem

    def _hold(self, made: socket.socket) -> None:
        with self._lock:
            if self.over:
                raise TimeoutError("its time is over")
            self._held.append(made.dup())  # a handle of our own: TLS takes the other one over

    def _resolve(self, site: Site) -> list[Address]:
        """Addresses of the host. The system's resolver has no time limit: it is left behind in its thread."""

        def ask() -> None:
            try:
                found = socket.getaddrinfo(site.host, site.port, type=socket.SOCK_STREAM)
                self._answers.put([(family, address) for family, *_, address in found])
            except (OSError, ValueError) as error:
                self._answers.put(error)

        threading.Thread(target=ask, daemon=True).start()
        answer = self._answers.get()
        if answer is None:
            raise TimeoutError("its time is over")
        if isinstance(answer, Exception):
            raise OSError(f"{site.host} has no address: {answer}") from answer
        return answer


class _Plain(HTTPConnection):
    """urllib3's connection over a socket that is connected already."""

    ready: socket.socket

    def _new_conn(self) -> socket.socket:
        return self.ready


class _Tls(HTTPSConnection):
    ready: socket.socket

    def _new_conn(self) -> socket.socket:
        return self.ready


@cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()


def open_connection(site: Site, watch: Watch, connect: float, read: float, private: bool) -> HTTPConnection:
    """A connection to ``site`` for one request, TLS included; ``connect``, ``read``: seconds of each wait.

    Raises FetchError "private address" (``private`` is false), and OSError or urllib3's HTTPError.
    """
    made = watch.connect(site, connect, private)
    made.settimeout(read)
    host = f"[{site.host}]" if ":" in site.host else site.host
    connection: _Plain | _Tls
    if site.scheme == "https":
        connection = _Tls(host, site.port, timeout=read, ssl_context=_certificates())
    else:
        connection = _Plain(host, site.port, timeout=read)
    connection.ready = made
    try:
        connection.connect()
    except BaseException:
        connection.close()
        made.close()
        raise
    return connection
