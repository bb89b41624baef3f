"""Who follows a job with previews sees its picture grow, from a real worker."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.server.hosting import Process
from tests.server.talking import talk
from tests.server.workflows import sampling

pytestmark = pytest.mark.slow


def test_a_follower_with_previews_gets_pictures_of_the_sampling(home: Path) -> None:
    with Process(home, "--workers", "1") as serving:
        serving.ready()
        with talk(serving) as client, talk(serving) as blind:
            client.ask("subscribe")
            blind.ask("subscribe", previews=False)
            client.ask("submit", workflow=sampling(128, steps=60), targets=["sample"])
            preview = client.until("node.preview")
            assert (preview["node"], preview["data"]["mime"]) == ("sample", "image/jpeg")
            with Image.open(BytesIO(preview["data"]["image"])) as picture:
                assert picture.size == (128, 128)
            client.until("job.finished")
            blind.until("job.finished")
            assert "node.preview" not in [each["kind"] for each in blind.events]
            assert "log" not in [each["kind"] for each in client.events]
