/** A small catalogue and workflow for the tests of panels. */
import type { ArtifactEntry, WorkerEntry } from "@/api/schema";
import { TYPES } from "@/model/fixtures/types";
import { readWorkflow } from "@/model/workflow";
import { useCatalogue } from "@/store/catalogue";
import { useDocuments } from "@/store/documents";
import { type Gallery, loadResults, useGallery } from "@/store/gallery";
import { type JobView, viewOf } from "@/store/jobs";
import { queries } from "@/store/queries";
import { useUi } from "@/store/ui";
import { stubServer } from "@/test/answers";

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

/** Results that are listed of a choice, of which none is marked; the server is another one then. */
export async function listResults(
  items: readonly ArtifactEntry[],
  choice: Partial<Pick<Gallery, "board" | "isTrash" | "text">> = {},
): Promise<void> {
  queries.clear();
  useGallery.setState({ text: "", kind: null, job: null, board: null, isTrash: false });
  useGallery.setState({ ...choice, marked: new Set() });
  stubServer(async (address) =>
    address.includes("/artifacts")
      ? Response.json({ items, next: null })
      : new Response("{}", { status: 404, headers: { "content-type": "application/json" } }),
  );
  await loadResults();
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
