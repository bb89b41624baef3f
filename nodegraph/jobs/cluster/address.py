"""Addresses of clusters, as Ray writes them."""

from __future__ import annotations

import os
import socket
import tempfile
from ipaddress import ip_address
from pathlib import Path

AUTO = "auto"
CLIENT = "ray://"


def resolve_address(address: str) -> str | None:
    """The address that Ray is to join; None if there is none that `ray start` has started."""
    return _local_cluster() if address == AUTO else address


def parse_host_port(address: str) -> tuple[str, int] | None:
    """The host and port in an address; None if it has none."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    return (host.strip("[]"), int(port)) if host and port.isdecimal() else None


def is_loopback(address: str) -> bool:
    """Whether an address is of this machine alone."""
    host = address.rpartition(":")[0]
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_listening(address: str) -> bool:
    """Whether somebody listens at an address of this machine."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
    except (OSError, ValueError, OverflowError):
        return False
    return True


def _local_cluster() -> str | None:
    """Address of the cluster that runs on this machine, as Ray leaves it for others."""
    configured = os.environ.get("RAY_ADDRESS")
    if configured:
        return configured
    above = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    try:
        address = (above / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    # What a cluster left that was killed is no cluster.
    return address if is_listening(address) else None
