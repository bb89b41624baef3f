from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.provenance.certificates import SigningCertificate, create_certificate


@pytest.fixture(scope="session")
def signing_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an own certificate and its key."""
    folder = tmp_path_factory.mktemp("certificate") / "signing"
    create_certificate(folder, "Ada Example", "Studio Example")
    return folder


@pytest.fixture(scope="session")
def certificate(signing_folder: Path) -> SigningCertificate:
    from nodegraph.provenance.certificates import load_certificate

    return load_certificate(signing_folder / "certificate.pem", signing_folder / "key.pem")
