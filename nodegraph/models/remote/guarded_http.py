"""HTTP clients that reach only allowed hosts, so that no address makes this machine ask its own
network (server-side request forgery).

Each hop of a redirect is checked by its scheme, its host and the address that the host resolves to.
The connection goes to the checked address: a second resolution could give another one (DNS
rebinding). The environment's proxies are not used, because they would resolve hosts themselves.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib import import_module
from threading import Lock
from typing import Any

import httpx

from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidValue
from nodegraph.models.remote.download_plans import BlockedAddress, DownloadError

HOSTS = (
    *("huggingface.co", "*.huggingface.co", "hf.co", "*.hf.co"),
    *("civitai.com", "*.civitai.com"),
    "civitai-delivery-worker-prod.*.r2.cloudflarestorage.com",
)
"""Hugging Face and Civitai, with the hosts that their downloads are redirected to."""
ANY_HOST = "*"
_PATTERN = re.compile(r"[a-z0-9*]([a-z0-9.*-]*[a-z0-9*])?")
_PORTS = {"https": 443, "http": 80}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_CONNECT_SECONDS, _SECONDS = 10.0, 15.0
_LONGEST_HINT = 200

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class UnknownHost(DownloadError):
    """A host's name has no address now. Later it may have one: the network may be down."""


@dataclass(frozen=True, slots=True)
class HostRules:
    """The hosts and addresses that downloads may reach.

    Attributes:
        hosts: Host names in lower case; ``*`` stands for any characters.
        networks: Address ranges that are allowed although they are private or loopback, and which
            may be reached without TLS.
        setting: The setting that they come from, for messages.
        purpose: What is not allowed with other hosts, for messages.
    """

    hosts: tuple[str, ...] = HOSTS
    networks: tuple[Network, ...] = ()
    setting: str = "download_hosts"
    purpose: str = "downloads from"

    @classmethod
    def parse(
        cls,
        entries: Sequence[str] | None,
        setting: str = "download_hosts",
        purpose: str = "downloads from",
    ) -> HostRules:
        """Read a setting such as `download_hosts`: host names, addresses and address ranges.

        Args:
            entries: None for the default, `HOSTS`.
            setting, purpose: See the attributes.

        Raises:
            InvalidValue: An entry is neither.
        """
        if entries is None:
            return cls()
        hosts: list[str] = []
        networks: list[Network] = []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                host = entry.lower()
                if not _PATTERN.fullmatch(host):
                    raise InvalidValue(
                        f"an entry of `{setting}` is no host",
                        given=entry,
                        expected="a host name such as *.example.org, or an address range such as "
                        "10.0.0.0/8",
                    ) from None
                hosts.append(host)
        return cls(tuple(hosts), tuple(networks), setting, purpose)

    def with_any_host(self) -> HostRules:
        """The same rules, with all public hosts."""
        return replace(self, hosts=(*self.hosts, ANY_HOST))

    def addresses(self, scheme: str, host: str, port: int | None) -> list[str]:
        """Resolve a host to the addresses that may be connected to.

        Raises:
            BlockedAddress: The scheme, the host, or all of its addresses are not allowed.
            UnknownHost: The host has no address.
        """
        literal = self.check_name(scheme, host)
        resolved = [literal] if literal is not None else _resolve(host, port or _PORTS[scheme])
        allowed = [each for each in resolved if self._is_listed(each) or _is_public(each)]
        if not allowed:
            raise self._private(host, resolved[0])
        if scheme == "http" and not all(map(self._is_listed, allowed)):
            raise self._without_tls(host)
        return [str(each) for each in allowed]

    def check_name(self, scheme: str, host: str) -> Address | None:
        """The address that a host's name is; None for a name that must be resolved.

        Raises:
            BlockedAddress: The scheme, the name or the address is not allowed. A name that is
                allowed may still lead to an address that is not.
        """
        if scheme not in _PORTS:
            raise self._blocked(f"the scheme of {scheme}://{host} is not allowed", scheme, "https")
        literal = _parse_address(host)
        if literal is None and not any(fnmatchcase(host.lower(), each) for each in self.hosts):
            raise self._blocked(
                f"{self.purpose} {host} are not allowed", host, ", ".join(self.hosts) or "no host"
            )
        if literal is not None and not self._is_listed(literal) and ANY_HOST not in self.hosts:
            raise self._blocked(f"{self.purpose} {host} are not allowed", host, "a listed host")
        is_refused = literal is not None and not self._is_listed(literal)
        if is_refused and literal is not None and not _is_public(literal):
            raise self._private(host, literal)
        if scheme == "http" and (is_refused or not self.networks):
            raise self._without_tls(host)
        return literal

    def _private(self, host: str, address: Address) -> BlockedAddress:
        return self._blocked(
            f"{host} leads into a private network", str(address), "a public address"
        )

    def _without_tls(self, host: str) -> BlockedAddress:
        return self._blocked(
            f"{host} is addressed without TLS", f"http://{host}", f"https://{host}"
        )

    def _blocked(self, message: str, value: str, expected: str) -> BlockedAddress:
        return BlockedAddress(
            message,
            given=value,
            expected=expected,
            hint=f"An administrator can allow it with the setting `{self.setting}`.",
        )

    def _is_listed(self, address: Address) -> bool:
        inner = _unwrapped(address)
        return any(
            inner.version == network.version and inner in network for network in self.networks
        )


def _parse_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _resolve(host: str, port: int) -> list[Address]:
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnknownHost(
            f"cannot find the host {host}", hint="Check the address and the network connection."
        ) from error
    texts = dict.fromkeys(str(each[4][0]).partition("%")[0] for each in entries)
    return [ipaddress.ip_address(text) for text in texts]


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 address that stands for one, or else the address itself.

    Rules judge the inner address. The connection goes to the outer one: a machine with NAT64 may
    have no IPv4.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _is_public(address: Address) -> bool:
    inner = _unwrapped(address)
    if isinstance(inner, ipaddress.IPv6Address) and inner.is_site_local:
        return False  # private, although `is_global` says otherwise
    return inner.is_global and not inner.is_multicast and not inner.is_reserved


class GuardedTransport(httpx.BaseTransport):
    """A transport that applies host rules to every request, redirects included.

    Args:
        inner: Sends the requests, a transport of httpx or of a library with the same interface.
        connect_errors: The errors of that library after which the next address is tried.
    """

    def __init__(
        self, rules: HostRules, inner: Any, connect_errors: tuple[type[Exception], ...]
    ) -> None:
        self._rules = rules
        self._inner = inner
        self._connect_errors = connect_errors

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        addresses = self._rules.addresses(url.scheme, url.host, url.port)
        # The certificate is still checked for the host's name, which also stays in `Host`.
        extensions = {**request.extensions, "sni_hostname": url.host}
        for at, address in enumerate(addresses):
            attempt = type(request)(
                request.method,
                url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                response: httpx.Response = self._inner.handle_request(attempt)
                return response
            except self._connect_errors:
                if at == len(addresses) - 1:
                    raise
        raise AssertionError("unreachable: there is at least one address")

    def close(self) -> None:
        self._inner.close()


def _guarded_client(
    library: Any, rules: HostRules, tls: ssl.SSLContext | None = None, **options: Any
) -> Any:
    # Kept connections are known by address: one of another host must not be used again.
    limits = library.Limits(max_keepalive_connections=0)
    inner = library.HTTPTransport(limits=limits, verify=True if tls is None else tls)
    transport = GuardedTransport(rules, inner, (library.ConnectError, library.ConnectTimeout))
    timeout = library.Timeout(_SECONDS, connect=_CONNECT_SECONDS)
    return library.Client(transport=transport, follow_redirects=True, timeout=timeout, **options)


def open_client(rules: HostRules, tls: ssl.SSLContext | None = None) -> httpx.Client:
    """A client that follows redirects as far as the rules allow. Close it.

    Args:
        tls: TLS context with the trusted certificates; the usual ones if not given.
    """
    headers = {"User-Agent": f"nodegraph/{VERSION}"}
    client: httpx.Client = _guarded_client(httpx, rules, tls, headers=headers)
    return client


_HUB_LOCK = Lock()
_HUB_RULES: list[HostRules] = []
"""The rules that `huggingface_hub` follows in this process; empty until they are set."""


def guard_hub(rules: HostRules) -> None:
    """Have all requests of `huggingface_hub` in this process follow the rules."""
    from huggingface_hub import get_session, set_client_factory

    with _HUB_LOCK:
        if [rules] == _HUB_RULES:
            return
        default = get_session()
        # httpx in its releases 1.x, httpx2 later: the same interface, other classes.
        library = import_module(type(default).__module__.partition(".")[0])
        hooks = default.event_hooks
        set_client_factory(lambda: _guarded_client(library, rules, event_hooks=hooks))
        _HUB_RULES[:] = [rules]


@contextmanager
def translated_errors(what: str) -> Iterator[None]:
    """Turn errors of a connection into `DownloadError`.

    Args:
        what: Subject of the message, such as ``civitai.com``.
    """
    try:
        yield
    except httpx.TooManyRedirects as error:
        raise DownloadError(f"{what} redirects in circles") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(
            f"cannot reach {what}: {error or type(error).__name__}",
            hint="Check the network connection, and try again.",
        ) from error


def status_error(status: int, what: str, *, sign_in: str = "") -> DownloadError:
    """The error for an HTTP status that is no success.

    Args:
        what: What was requested, such as a file's name or an address.
        sign_in: How to pass a token to this source; empty if it takes none.
    """
    sign_in = sign_in or "The source takes no token here: download the file by hand."
    messages = {
        401: (f"{what} needs a token", sign_in),
        403: (f"access to {what} is refused", f"Accept its license on its page. {sign_in}"),
        404: (f"{what} does not exist", "Check the address: it may have been moved or deleted."),
        410: (f"{what} has been deleted", "Look for another source."),
        429: (f"the source has too many requests and refuses {what}", "Try again later."),
    }
    if status in messages:
        message, hint = messages[status]
    elif status >= 500:
        message, hint = f"the source fails on {what}", "Try again later."
    else:
        message, hint = f"the source does not answer with {what}", "Check the address."
    return DownloadError(message, given=f"HTTP status {status}", hint=hint[:_LONGEST_HINT])
