"""Credentials of input files. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from nodegraph import Context
from nodegraph.errors import NodegraphError

_SECONDS = 20.0
"""Time that the check of a file may take; a run should not wait longer for a warning."""


def warn_if_changed(ctx: Context, file: Path) -> None:
    """Warn of a signed file that was changed since.

    Files without credentials are only searched for them. Without the extra ``c2pa``, nothing is.
    """
    if not ctx.environment.check_credentials:
        return
    from nodegraph.provenance.c2pa_library import has_credentials, is_c2pa_installed

    if not is_c2pa_installed() or not has_credentials(file):
        return
    from nodegraph.provenance.child import verify_isolated

    try:
        credentials = verify_isolated(file, seconds=_SECONDS)
    except NodegraphError as error:
        ctx.log(f"The signature of {file.name} could not be checked: {error}", "warning")
        return
    if credentials.state == "tampered":
        signer = f" by {credentials.signer}" if credentials.signer else ""
        ctx.log(f"{file.name} was signed{signer} and has been changed since.", "warning")
    elif credentials.state == "damaged":
        ctx.log(f"{file.name} has Content Credentials that are damaged.", "warning")
