"""Write editor/src/api/schema.d.ts, the editor's types of the HTTP API, from its description.

python docs/generate_schema.py

It needs node, and no server.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from nodegraph.server.http.app import create_app
from nodegraph.server.services import Services
from nodegraph.server.settings import ServerSettings
from nodegraph.session.settings import Settings

EDITOR = Path(__file__).parents[1] / "editor"
FILE = EDITOR / "src" / "api" / "schema.d.ts"


def schema() -> str:
    """The file's text, as the code has it now."""
    with tempfile.TemporaryDirectory() as home:
        services = Services(Settings(home=Path(home)), ServerSettings(), has_workers=False)
        description = json.dumps(create_app(services).openapi())
    command = ["node", EDITOR / "scripts" / "schema.mjs", "-"]  # node as people have it
    return subprocess.run(  # noqa: S603 - a script of the editor's
        command,
        input=description,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


if __name__ == "__main__":
    FILE.write_text(schema(), encoding="utf-8")
