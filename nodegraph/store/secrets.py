"""Access to hosted services: the hosts that nodes may call, and the secrets that they name.

A node names a secret and never holds its value. Each secret is bound to host patterns when it is
set, so a workflow of somebody else cannot send it to another host. Checks need no network.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nodegraph.core.context import ServiceAccess
from nodegraph.core.files import make_private_folder, write_file
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue, OutputError
from nodegraph.store.claims import exclusive_lock

SECRETS_FILE = "secrets.json"
VARIABLES = "NODEGRAPH_SECRET_"
"""Prefix of variables with secrets; `NODEGRAPH_SECRET_<NAME>_HOSTS` lists the hosts of one."""
_HOSTS = "_HOSTS"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_HOST = re.compile(r"(?:[a-z0-9*](?:[a-z0-9.*-]*[a-z0-9*])?|\[[0-9a-f:.]+\])(?::\d{1,5})?")
_VALUE = re.compile(r"[!-~]{4,4096}")
_MASK = "***"
PUBLIC_HOSTS = (
    *("api.openai.com", "openrouter.ai", "api.mistral.ai", "api.groq.com", "api.together.xyz"),
    *("api.deepseek.com", "api.x.ai", "generativelanguage.googleapis.com", "ollama.com"),
    *("fal.run", "*.fal.run", "fal.media", "*.fal.media"),
    *("api.replicate.com", "replicate.delivery", "*.replicate.delivery"),
)
"""Well-known services, with the hosts of the images that they make."""
LOCAL_HOSTS = tuple(
    f"{host}:{port}"
    for host in ("localhost", "127.0.0.1", "[::1]")
    for port in (11434, 1234, 8080, 8000)
)
"""The usual ports of Ollama, LM Studio, llama.cpp and vLLM on this machine."""
_PORTS = {"https": 443, "http": 80}
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_STORE = "Store it: `nodegraph secret set NAME --host HOST`."
NAME_RULE = "1 to 32 lower-case letters, digits, - and _, starting with a letter"


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """A secret with its value.

    Attributes:
        name: Name that nodes use.
        hosts: Patterns of the hosts that it may be sent to, such as ``api.openai.com``.
        value: The value itself. It is not part of the `repr`.
        source: ``file`` or ``environment``.
        changed: Unix time of its last change; None for one of the environment.
    """

    name: str
    hosts: tuple[str, ...]
    value: str = field(repr=False)
    source: str = "file"
    changed: float | None = None

    def allows(self, host: str, port: int) -> bool:
        """Return whether it may be sent to a host."""
        return any(matches_host(pattern, host, port) for pattern in self.hosts)

    def redact(self, text: str) -> str:
        """Replace its value in a text, also where JSON or a shell escaped a part of it."""
        escaped = json.dumps(self.value)[1:-1]
        for form in (self.value, escaped, escaped.replace("/", "\\/")):
            text = text.replace(form, _MASK)
        return text


def matches_host(pattern: str, host: str, port: int) -> bool:
    """Return whether a pattern such as ``*.fal.run`` or ``127.0.0.1:11434`` contains a host."""
    name, number = split_port(pattern)
    return fnmatchcase(host.lower().strip("[]"), name) and number in (None, port)


def split_port(entry: str) -> tuple[str, int | None]:
    """Split an entry such as ``[::1]:8080`` into host and port; None without a port."""
    host, separator, number = entry.rpartition(":")
    if not separator or not number.isdecimal() or (":" in host and not host.endswith("]")):
        return entry.strip("[]"), None
    return host.strip("[]"), int(number)


def check_host_entries(entries: Sequence[str]) -> None:
    """Check the setting `service_hosts`.

    Raises:
        InvalidValue: An entry is no host.
    """
    for entry in entries:
        host, _ = split_port(entry.lower())
        if not _is_network(host) and not _HOST.fullmatch(host):
            raise InvalidValue(
                "an entry of `service_hosts` is no host",
                given=entry,
                expected="a host such as api.openai.com, *.example.org, 127.0.0.1:11434 or a "
                "range such as 10.0.0.0/8",
            )


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def service_hosts(access: ServiceAccess) -> tuple[str, ...]:
    """Return the entries of the hosts that nodes may call."""
    return (*PUBLIC_HOSTS, *LOCAL_HOSTS) if access.hosts is None else access.hosts


def contains_host(entry: str, host: str, port: int) -> bool:
    """Return whether an entry of `service_hosts` contains a host by its name or address."""
    name, number = split_port(entry.lower())
    if number is not None and number != port:
        return False
    try:
        return ip_address(host.strip("[]")) in ip_network(name, strict=False)
    except ValueError:
        return fnmatchcase(host.lower(), name)


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """A checked address of a service.

    Attributes:
        url: Without a slash at the end.
        host: In lower case, IPv6 addresses without brackets.
        port: Of the scheme if the address has none.
    """

    url: str
    scheme: str
    host: str
    port: int


def check_address(access: ServiceAccess, address: str) -> ServiceAddress:
    """Check an address before anything is sent, without the network.

    Raises:
        InvalidValue: Services are off, it is no address of a service, or its host may not be
            called.
    """
    if not service_hosts(access):
        raise InvalidValue(
            "hosted services are off",
            hint="Whoever runs nodegraph may list hosts in the setting `service_hosts`.",
        )
    check_host_entries(access.hosts or ())
    for variable in _OFFLINE:
        if os.environ.get(variable, "").upper() in ("1", "ON", "YES", "TRUE"):
            raise InvalidValue(
                "hosted services are off, because nodegraph is offline",
                hint=f"Unset the variable {variable}.",
            )
    try:
        parts = urlsplit(address.strip())
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        parts, port = urlsplit(""), 0
    host = (parts.hostname or "").lower()
    has_user = parts.username is not None or parts.password is not None
    is_address = parts.scheme in _PORTS and address.strip().isprintable()
    if not host or not port or has_user or not is_address:
        # The address is not repeated: it may hold a password.
        raise InvalidValue(
            "this is not the address of a service",
            expected="https://HOST/PATH without a user name",
            hint="Store keys with `nodegraph secret set NAME --host HOST`, and name the secret.",
        )
    allowed = service_hosts(access)
    if not any(contains_host(entry, host, port) for entry in allowed):
        raise InvalidValue(
            f"calls to {host} are not allowed",
            given=f"{host}:{port}",
            expected=", ".join(allowed),
            hint="Whoever runs nodegraph may add the host to the setting `service_hosts`.",
        )
    return ServiceAddress(address.strip().rstrip("/"), parts.scheme, host, port)


def check_secret(
    access: ServiceAccess, name: str, address: ServiceAddress, *, is_needed: bool = False
) -> StoredSecret | None:
    """Return the secret for an address; None if none is named.

    Args:
        is_needed: Whether the service takes no request without one.

    Raises:
        InvalidValue: There is none of this name, or it may not be sent to this host.
    """
    if not name:
        if is_needed:
            raise InvalidValue(
                f"{address.host} needs a secret",
                expected="the name of a secret",
                hint=f"Store the key: `nodegraph secret set NAME --host {address.host}`.",
            )
        return None
    secret = SecretStore(access.secrets or Path(os.devnull) / SECRETS_FILE).get(name)
    if not secret.allows(address.host, address.port):
        where = f"set {VARIABLES}{name.upper()}{_HOSTS}"
        if secret.source == "file":
            where = f"`nodegraph secret set {name} --host {address.host}`"
        raise InvalidValue(
            f"the secret {name} may not be sent to {address.host}",
            given=f"{address.host}:{address.port}",
            expected=", ".join(secret.hosts) or "no host",
            hint=f"If you trust this host, bind the secret to it: {where}.",
        )
    return secret


def _check_value(value: str, message: str, *, hint: str | None = None) -> None:
    # A shorter one would occur in ordinary answers, where stars replace it.
    if not _VALUE.fullmatch(value):
        expected = "4 to 4096 printable ASCII characters without spaces"
        raise InvalidValue(message, expected=expected, hint=hint)


def _check_patterns(patterns: Sequence[str]) -> None:
    for pattern in patterns:
        if not _HOST.fullmatch(pattern) or not split_port(pattern)[0].strip("*."):
            raise InvalidValue(
                "this is not a host that a secret can be bound to",
                given=pattern,
                expected="a host such as api.openai.com, *.example.org or 127.0.0.1:11434",
                hint="A secret cannot be bound to all hosts.",
            )


def is_secret_name(name: str) -> bool:
    """Return whether a text can name a secret. A value that was pasted by mistake cannot."""
    return bool(_NAME.fullmatch(name)) and not name.endswith(_HOSTS.lower())


class SecretStore:
    """The secrets of one installation.

    Args:
        path: The file, `SECRETS_FILE` in the home folder. Only its owner can read it.
        environment: Variables.
    """

    def __init__(self, path: Path, environment: Mapping[str, str] = os.environ) -> None:
        self.path = path
        self._environment = environment

    def list(self) -> list[StoredSecret]:
        """Return all secrets by name. A variable replaces the secret of its name in the file.

        Raises:
            InvalidFile: The file is damaged.
        """
        known = self._read()
        for variable, value in self._environment.items():
            if not variable.startswith(VARIABLES) or variable.endswith(_HOSTS) or not value:
                continue
            name = variable.removeprefix(VARIABLES).lower()
            if is_secret_name(name):
                hosts = self._environment.get(f"{variable}{_HOSTS}", "")
                listed = tuple(item.lower() for item in re.split(r"[\s,]+", hosts) if item)
                known[name] = StoredSecret(name, listed, value.strip(), "environment")
        return sorted(known.values(), key=lambda secret: secret.name)

    def get(self, name: str) -> StoredSecret:
        """Return a secret.

        Raises:
            InvalidValue: There is no secret of this name, or the variable that it comes from is
                invalid. The error never repeats a text that can be a value.
        """
        secret = self._find(name)
        _check_value(
            secret.value,
            f"the secret {name} has an invalid value",
            hint=f"Set {VARIABLES}{name.upper()} again." if secret.source != "file" else _STORE,
        )
        _check_patterns(secret.hosts)
        return secret

    def _find(self, name: str) -> StoredSecret:
        if not is_secret_name(name):
            raise InvalidValue(
                "this is not the name of a secret",
                expected=NAME_RULE,
                hint="Never write the value of a secret into a workflow: store it with "
                "`nodegraph secret set NAME --host HOST`, and give its name.",
            )
        known = {secret.name: secret for secret in self.list()}
        if name not in known:
            raise InvalidValue(
                # The text is not repeated: it may be a value that was pasted by mistake.
                "there is no secret of this name",
                expected=", ".join(known) or None,
                hint=f"{did_you_mean(name, known) or ''} {_STORE}".strip(),
            )
        return known[name]

    def set(self, name: str, value: str, hosts: Sequence[str]) -> StoredSecret:
        """Store a secret, or replace it.

        Args:
            name: See `NAME_RULE`.
            value: Printable ASCII without spaces.
            hosts: Patterns of the hosts that it may be sent to.

        Raises:
            InvalidValue: An argument is invalid. The error does not repeat the value.
            OutputError: The file cannot be written.
        """
        if not is_secret_name(name):
            raise InvalidValue("this cannot be the name of a secret", expected=NAME_RULE)
        _check_value(value, "this cannot be the value of a secret")
        patterns = tuple(dict.fromkeys(host.strip().lower() for host in hosts if host.strip()))
        if not patterns:
            raise InvalidValue(
                "a secret needs the hosts that it may be sent to",
                expected="a host such as api.openai.com",
            )
        _check_patterns(patterns)
        secret = StoredSecret(name, patterns, value, changed=time.time())
        with self._changing() as known:
            known[name] = secret
        return secret

    def remove(self, name: str) -> None:
        """Remove a secret.

        Raises:
            InvalidValue: There is none of this name, or it comes from a variable.
            OutputError: The file cannot be written.
        """
        if self._find(name).source == "environment":
            raise InvalidValue(
                f"the secret {name} comes from a variable",
                hint=f"Unset {VARIABLES}{name.upper()} where nodegraph is started.",
            )
        with self._changing() as known:
            known.pop(name, None)

    @contextmanager
    def _changing(self) -> Iterator[dict[str, StoredSecret]]:
        """Provide the secrets of the file, and write them afterwards."""
        try:
            make_private_folder(self.path.parent)
        except OSError as error:
            raise OutputError(f"cannot change the secrets: {error.strerror or error}") from error
        with exclusive_lock(self.path.with_name(f"{self.path.name}-lock"), "the secrets"):
            known = self._read()
            yield known
            self._write(known)

    def _read(self) -> dict[str, StoredSecret]:
        try:
            document = json.loads(self.path.read_bytes())
            return {
                name: StoredSecret(
                    name, tuple(item["hosts"]), item["value"], "file", item["changed"]
                )
                for name, item in document["secrets"].items()
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            # The text of the error could hold a part of the file.
            raise InvalidFile(
                f"cannot read the secrets in {self.path}: {type(error).__name__}",
                hint="Set the secrets again after you remove the file.",
            ) from None

    def _write(self, known: Mapping[str, StoredSecret]) -> None:
        secrets: dict[str, Any] = {
            name: {"hosts": list(item.hosts), "value": item.value, "changed": item.changed}
            for name, item in sorted(known.items())
        }
        document = json.dumps({"version": 1, "secrets": secrets}, indent=1)
        write_file(self.path, document.encode(), private=True)
