/** Find an object in a picture by a small job, with a model or by edges. */
import { api } from "@/api/client";
import { artifactAddress } from "@/api/files";
import type { JobEntry } from "@/api/schema";
import { t } from "@/i18n";
import {
  BY_EDGES,
  type ObjectPrompt,
  type Segmenter,
  segmentersOf,
  selectionWorkflow,
} from "@/model/painting/objects";
import { readWorkflow, workflowToJson } from "@/model/workflow";
import { useCatalogue } from "./catalogue";
import { socket } from "./connection";
import { mergedDetail } from "./jobs";
import { keepPicture, outbox } from "./outbox";
import { newKey } from "./running";
import { endOfJob } from "./valueViews";

const PRIORITY = 1;
/** Jobs of no document: no card takes their pictures for its own. */
const TAG = "select";

/** "edges" in settings: without a model, also where there is one. */
const EDGES = "edges";

/** The way that a setting names: a model, "edges", or "" for the best that the server has. */
export function segmenterOf(setting: string): Segmenter {
  const all = segmentersOf(useCatalogue.getState().models ?? []);
  if (setting === EDGES) return BY_EDGES;
  return all.find(({ model }) => model === setting) ?? all[0] ?? BY_EDGES;
}

let last: string | null = null;
let asked = 0;

/** The address of an object's mask; null if the prompt says nothing, or another one came meanwhile. */
export async function objectMask(
  picture: Blob,
  prompt: ObjectPrompt,
  segmenter: Segmenter,
): Promise<string | null> {
  const mine = ++asked;
  const value = await keepPicture(picture, "selection.png");
  await outbox().sentFor(() => value);
  const text = selectionWorkflow(value, prompt, segmenter);
  if (text === null || mine !== asked) return null;
  const { job } = await socket().request<{ job: JobEntry }>("submit", {
    workflow: workflowToJson(readWorkflow(text)),
    name: t("painting.tool.object"),
    tags: [TAG],
    key: newKey(),
    priority: PRIORITY,
  });
  if (last !== null) forget(last);
  last = job.id;
  const ended = await endOfJob(job.id);
  if (mine !== asked) return null;
  const { outputs, error } = mergedDetail(undefined, ended);
  if (ended.state === "failed") throw new Error(error?.message ?? t("painting.objectFailed"));
  const shown = outputs.find(({ media_type }) => media_type.startsWith("image/"));
  return shown ? artifactAddress(shown.digest) : null;
}

/** Its mask stays until another object is asked for, as the page still loads it. */
function forget(job: string): void {
  api.DELETE("/jobs/{id}", { params: { path: { id: job } } }).catch(() => undefined);
}
