"""Whether scikit-image is there, an extra. Imports no torch."""

from __future__ import annotations

from importlib.util import find_spec

from nodegraph.errors import InvalidValue


def check_segment_installed() -> None:
    """Refuse to select where scikit-image is missing.

    Raises:
        InvalidValue: So it is.
    """
    if find_spec("skimage") is None:
        raise InvalidValue(
            "this selection needs the package scikit-image, which is not installed",
            hint="Run `pip install 'nodegraph[segment]'`.",
        )
