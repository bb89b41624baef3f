"""What an app does with a server, by a client that openapi-python-client made: its URL is given."""

import json
import sys
from io import BytesIO

from generated import Client
from generated.api.apps import run_app
from generated.api.jobs import submit_job
from generated.api.node_types import list_node_type_summaries
from generated.api.uploads import get_upload, upload_file
from generated.models import (
    JobWish,
    JobWishWorkflowType1,
    RunAppFilesBody,
    RunAppJsonBody,
    UploadFileFilesBody,
)
from generated.types import File

WORKFLOW = {
    "format": "nodegraph/1",
    "nodes": {"show": {"type": "sums:Show", "inputs": {"value": 2}}},
}

client = Client(base_url=sys.argv[1])
data = json.dumps(WORKFLOW).encode()
plain = upload_file.sync(client=client, body=File(payload=BytesIO(data)), name="apple.json")
form = UploadFileFilesBody(file=File(payload=BytesIO(data + b" "), file_name="pear.json"))
parts = upload_file.sync(client=client, body=form)
back = get_upload.sync(plain.digest, client=client)
wish = JobWish(workflow=JobWishWorkflowType1.from_dict(WORKFLOW))
job = submit_job.sync(client=client, body=wish)
values = RunAppJsonBody.from_dict({"b": 5})
run = run_app.sync("sum", client=client, body=values, prefer="wait=0")
fields = RunAppFilesBody.from_dict({"b": 6})
run_by_form = run_app.sync("sum", client=client, body=fields)
types = list_node_type_summaries.sync(client=client, pack="sums")
found = {
    "uploads": [plain.name, parts.name],
    "is_the_same": back.payload.read() == data,
    "job": job.state,
    "app": [run.job.name, run_by_form.job.name],
    "types": [item.type_ for item in types.items],
}
sys.stdout.write(json.dumps(found))
