"""Credentials of input files. Imports no torch."""

from __future__ import annotations

import time
from pathlib import Path

from nodegraph import Context
from nodegraph.errors import NodegraphError

_SECONDS = 20.0
"""Time that the check of a file may take; a run should not wait longer for a warning."""
_MOST_SECONDS = 60.0
"""Time after which no check of another file begins: each signed file takes a process."""


def warn_if_changed(ctx: Context, *files: Path) -> None:
    """Warn of signed files that were changed since.

    Files without credentials are only searched for them. Without the extra ``c2pa``, nothing is.
    """
    if not ctx.environment.check_credentials:
        return
    from nodegraph.provenance.c2pa_library import has_credentials, is_c2pa_installed

    if not is_c2pa_installed():
        return
    signed = [file for file in dict.fromkeys(files) if has_credentials(file)]
    end = time.monotonic() + _MOST_SECONDS
    for at, file in enumerate(signed):
        ctx.check_cancelled()
        if time.monotonic() > end:
            ctx.log(
                f"The signatures of {len(signed) - at} of {len(signed)} signed files were not "
                f"checked: this took longer than {_MOST_SECONDS:.0f} seconds.",
                "warning",
            )
            return
        _check(ctx, file)


def _check(ctx: Context, file: Path) -> None:
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
