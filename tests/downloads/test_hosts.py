"""Downloads reach allowed hosts only, by every way that an address may take."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path
from threading import Thread

import httpx
import pytest

from nodegraph.errors import InvalidValue
from nodegraph.models.remote.download_plans import BlockedAddress
from nodegraph.models.remote.downloads import Downloads
from nodegraph.models.remote.guarded_http import (
    HOSTS,
    HostRules,
    guard_hub,
    open_client,
)
from nodegraph.models.remote.hubs import ModelHubs
from tests.downloads.conftest import QUICK
from tests.downloads.stand_in import LOOPBACK, Site, weights


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::", "localhost"),
        *("2130706433", "0x7f000001", "127.1"),
    ],
)
def test_no_private_address_is_reached_even_if_all_hosts_are_allowed(host: str) -> None:
    rules = HostRules.parse(None).with_any_host()
    with pytest.raises(BlockedAddress, match="private network"):
        rules.addresses("https", host, None)


def test_hosts_are_allowed_by_name_and_ranges_by_address() -> None:
    rules = HostRules.parse(["*.example.org", "10.0.0.0/8", "[::1]", "8.8.8.8"])
    assert rules.addresses("http", "10.9.8.7", 80) == ["10.9.8.7"]
    assert rules.addresses("http", "::1", None) == ["::1"]
    assert rules.addresses("https", "8.8.8.8", None) == ["8.8.8.8"]
    for host in ("example.org", "example.org.evil.net", "1.1.1.1", "huggingface.co"):
        with pytest.raises(BlockedAddress, match="are not allowed"):
            rules.addresses("https", host, None)
    with pytest.raises(BlockedAddress, match="without TLS"):
        HostRules.parse(["*"]).addresses("http", "8.8.8.8", None)
    with pytest.raises(BlockedAddress, match="scheme"):
        rules.addresses("file", "10.9.8.7", None)
    assert HostRules.parse(None).hosts == HOSTS
    for entry in ("http://x", "a b", "", "10.0.0.0/99"):
        with pytest.raises(InvalidValue, match="is no host"):
            HostRules.parse([entry])


def test_a_redirect_to_a_private_address_is_refused_in_our_client(site: Site) -> None:
    # The first hop is allowed, and the second one is not: it is on another loopback address.
    rules = HostRules.parse(["127.0.0.1"])
    site.files["/there"] = b"fine"
    site.redirects["/here"] = f"{site.plain}/there"
    with open_client(rules) as client:
        assert client.get(f"{site.plain}/here").content == b"fine"
        for secret in ("127.0.0.2", "169.254.169.254", "[::1]", "localhost"):
            site.redirects["/evil"] = f"http://{secret}:{site.plain.rpartition(':')[2]}/there"
            with pytest.raises(BlockedAddress):
                client.get(f"{site.plain}/evil")


def test_a_redirect_to_a_private_address_is_refused_in_the_hubs_client(site: Site) -> None:
    from huggingface_hub import HfApi

    guard_hub(HostRules.parse(["127.0.0.1"]))
    try:
        site.redirects["/api/models/a/ink"] = "http://169.254.169.254/latest/meta-data"
        with pytest.raises(BlockedAddress):
            HfApi(endpoint=site.url, token=False).model_info("a/ink")
    finally:
        guard_hub(HostRules.parse(LOOPBACK))


def test_a_download_that_is_redirected_to_a_private_address_ends_at_once(
    site: Site, environment: dict[str, str], tmp_path: Path
) -> None:
    site.repositories["a/ink"] = {"ink.safetensors": weights()}
    plan = ModelHubs(HostRules.parse(LOOPBACK), environment).resolve("a/ink")
    # The redirection goes to `localhost`, which these rules do not name.
    strict = ModelHubs(HostRules.parse(["127.0.0.1"]), environment)
    downloads = Downloads(tmp_path / "models", strict, QUICK)
    with pytest.raises(BlockedAddress, match="localhost"):
        downloads.run(downloads.add(plan).id)
    assert len([request for request in site.requests if "/resolve/" in request.path]) == 1
    assert not any(path.startswith("/cdn/") for path in (each.path for each in site.requests))


def test_a_host_is_resolved_once_and_named_as_it_was(site: Site) -> None:
    site.files["/there"] = b"fine"
    with open_client(HostRules.parse(LOOPBACK)) as client:
        client.get(f"{site.cdn}/there")
    assert site.requests[-1].headers["Host"] == site.cdn.removeprefix("http://")


@contextmanager
def encrypted_site(folder: Path, name: str) -> Iterator[str]:
    """An HTTPS address on loopback, whose certificate is of another or the same name."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = ["openssl", "req", "-x509", *kind, *names, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
@pytest.mark.parametrize("name", ["localhost", "example.org"])
def test_the_certificate_is_checked_for_the_hosts_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with encrypted_site(tmp_path, name) as url:
        trusting = ssl.create_default_context(cafile=tmp_path / "certificate.pem")
        with open_client(HostRules.parse(LOOPBACK), trusting) as client:
            if name == "localhost":
                assert client.get(url).status_code == 200
            else:
                with pytest.raises(httpx.ConnectError, match="certificate"):
                    client.get(url)
