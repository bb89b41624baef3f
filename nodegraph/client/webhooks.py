"""Signatures of webhooks: make one, and verify a delivery that was received.

They follow the Standard Webhooks specification, so libraries for that verify them as well:
https://www.standardwebhooks.com
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from time import time
from typing import Any

from nodegraph.errors import InvalidValue

_PREFIX = "whsec_"
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
"""Names of the headers."""
_VERSION = "v1"
_TOLERANCE = 300.0
_LEAST_BYTES, _LONGEST_MOMENT = 24, 15


class InvalidSignature(InvalidValue):
    """A delivery that was not sent by the holder of the secret, or too long ago."""

    code = "invalid-signature"


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a delivery.

    Args:
        secret: `whsec_` and base64.
        id: Id of the delivery.
        timestamp: Unix time of the attempt.
    Raises:
        InvalidValue: It is no secret.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < _LEAST_BYTES:  # with an empty secret, everybody could sign
        raise InvalidValue(
            "this is not the secret of a webhook",
            expected=f"{_PREFIX} and at least {_LEAST_BYTES} bytes in base64",
            hint="`nodegraph webhooks secret` makes one.",
        )
    signed = b".".join((_bytes(id), str(timestamp).encode(), body))
    digest = hmac.new(key, signed, sha256)
    return f"{_VERSION},{base64.b64encode(digest.digest()).decode()}"


def _bytes(text: str) -> bytes:
    """What a header has, in which frameworks leave anything."""
    return text.encode(errors="surrogatepass")


def signed_headers(secrets: Iterable[str], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery, with a signature for each secret."""
    signatures = (sign(secret, id, timestamp, body) for secret in secrets)
    return {ID: id, TIMESTAMP: str(timestamp), SIGNATURE: " ".join(signatures)}


def verify_webhook(
    secret: str | Iterable[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: float = _TOLERANCE,
    now: float | None = None,
) -> Mapping[str, Any]:
    """Return the content of a delivery, after a check of who sent it and when.

    A delivery may come more than once: remember the header `webhook-id` of those that were handled,
    for at least as long as the tolerance, and ignore a second one.

    Args:
        secret: The secret, or several of which one must fit.
        headers: Headers of the request, in any case of letters.
        body: Body of the request as it was received, before it is parsed.
        tolerance: Seconds that the clocks of both sides, and the way, may take.
        now: Unix time; that of this machine if not given.
    Raises:
        InvalidSignature: No signature fits, or the delivery is older or newer than the tolerance.
    """
    named = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in (ID, TIMESTAMP, SIGNATURE) if not named.get(name)]
    if missing:
        raise InvalidSignature(
            "this delivery is not signed", given=f"no {missing[0]}", expected=SIGNATURE
        )
    written = named[TIMESTAMP]
    is_moment = written.isascii() and written.isdecimal() and len(written) <= _LONGEST_MOMENT
    moment = int(written) if is_moment else None
    if moment is None or abs((time() if now is None else now) - moment) > tolerance:
        raise InvalidSignature(
            "this delivery was not sent just now",
            given=written[:40],
            expected=f"a Unix time at most {tolerance:g} s away",
            hint="Check the clocks of both machines.",
        )
    expected = [
        sign(each, named[ID], moment, body)
        for each in ([secret] if isinstance(secret, str) else secret)
    ]
    # All are compared, so that the time tells nothing of which one fits.
    matches = [
        hmac.compare_digest(each.encode(), _bytes(sent))
        for each in expected
        for sent in named[SIGNATURE].split()
    ]
    if not any(matches):
        raise InvalidSignature(
            "the signature of this delivery is wrong",
            hint="Check that the secret is the current one, and the body is as it was received.",
        )
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise InvalidSignature("this delivery is not a JSON object")
    return content
