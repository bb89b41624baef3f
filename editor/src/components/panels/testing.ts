/** A small catalogue and workflow for the tests of panels. */
import type { ArtifactEntry, WorkerEntry } from "@/api/schema";
import { input, output, portType, spec } from "@/model/fixtures/specs";
import { nodeTypesOf } from "@/model/spec";
import { readWorkflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { useDocuments } from "@/store/documents";
import { type JobView, viewOf } from "@/store/jobs";
import { useUi } from "@/store/ui";

const size = { type: "integer", minimum: 8, maximum: 64, multipleOf: 8 };

const SPECS = [
  spec("Load", {
    label: "Load picture",
    category: "image",
    summary: "Read a picture.",
    outputs: [output("image", "Image")],
  }),
  spec("Blend", {
    label: "Blend pictures",
    category: "image/mix",
    summary: "Mix two pictures.",
    inputs: [
      input("first", "Image"),
      input("second", "Image"),
      input("width", "int", { required: false, default: 8, json_schema: size }),
    ],
    outputs: [output("image", "Image")],
  }),
  spec("Encode", {
    label: "Encode",
    category: "latent",
    summary: "Picture to latent.",
    inputs: [input("image", "Image")],
    outputs: [output("latent", "Latent")],
  }),
  spec("Sample", {
    label: "Sample",
    category: "latent",
    summary: "Remove noise.",
    inputs: [input("latent", "Latent")],
    outputs: [output("latent", "Latent")],
  }),
];

const PORTS = ["Any", "Image", "Latent", "int"].map(portType);

export const TYPES = nodeTypesOf({ items: SPECS, port_types: PORTS }, "test");

/** A catalogue, and a document with the nodes given; nothing selected or open. */
export function arrange(nodes: unknown = { load: { type: "Load" } }): void {
  localStorage.clear();
  useCatalogue.setState({ types: TYPES, templates: [], state: "ready" });
  useUi.setState({ addNode: null, dialog: null, focusRequest: null, helpTopic: null });
  const workflow = readWorkflow(JSON.stringify({ format: "nodegraph/1", nodes }));
  useDocuments.getState().restore([], null);
  useDocuments.getState().open(workflow);
}

/** A job that waits, unless something else is said. */
export function job(id: string, changes: Partial<JobView>): JobView {
  const entry = {
    id,
    client: "local",
    name: id,
    state: "queued" as const,
    held: false,
    not_before: null,
    wanted: null,
    priority: 0,
    created: 1_700_000_000,
    started: null,
    finished: null,
    attempt: 0,
    deaths: 0,
    worker: null,
    tags: [],
    fault: null,
    links: { self: "", workflow: "", events: "" },
  };
  return { ...viewOf(entry), ...changes };
}

/** What a job gave; the higher its index, the older. */
export function artifact(index: number): ArtifactEntry {
  const digest = String(index).padStart(64, "0");
  return {
    digest,
    name: `apple_${index}.png`,
    media_type: "image/png",
    size: 1200,
    width: 128,
    height: 128,
    kind: "image",
    node: "save",
    job: `job_${index}`,
    job_name: "Apple",
    jobs: 1,
    existed: false,
    made_by: `job_${index}`,
    created: 1_700_000_000 - index,
    href: `/api/v1/artifacts/${digest}`,
    thumbnail: `/api/v1/artifacts/${digest}/thumbnail`,
    stars: 0,
    tags: [],
    note: null,
    board: null,
    trashed: null,
  };
}

/** A worker that is idle, unless something else is said. */
export function worker(name: string, changes: Partial<WorkerEntry>): WorkerEntry {
  return {
    name,
    role: "worker",
    state: "idle",
    device: "cpu",
    restarts: 0,
    pid: 1,
    job: null,
    node: null,
    memory: null,
    device_memory: null,
    last_heartbeat: null,
    next_start: null,
    versions: null,
    host: null,
    weights: [],
    fault: null,
    helps: null,
    jobs: [],
    done: 0,
    per_hour: null,
    ...changes,
  };
}
