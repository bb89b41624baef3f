/** Photoshop files as OpenRaster files: read on the server by a small job, as browsers can't. */
import { api } from "@/api/client";
import { getArtifactBytes, upload } from "@/api/files";
import { ApiProblem } from "@/api/http";
import type { Finding, JobEntry } from "@/api/schema";
import { t } from "@/i18n";
import { problemText } from "@/i18n/format";
import { readWorkflow, workflowToJson } from "@/model/workflow";
import { socket } from "./connection";
import { mergedDetail } from "./jobs";
import { newKey } from "./running";
import { endOfJob } from "./valueViews";

const PRIORITY = 1;
/** Jobs of no document: no card takes their files for its own. */
const TAG = "import";

/** A file that is no layers, or none that can be read; the message says why. */
export class UnreadableFile extends Error {
  override readonly name = "UnreadableFile";
}

export interface ConvertedFile {
  readonly bytes: Uint8Array;
  /** What was changed or left out, in the server's words. */
  readonly warnings: readonly string[];
}

/** Whether a file is of Photoshop, by its first bytes, as its name may be another. */
export async function isPhotoshop(file: File): Promise<boolean> {
  return (await file.slice(0, 4).text()) === "8BPS";
}

/** Convert a file; fails with the server's reason if it can't be read. */
export async function photoshopAsOpenRaster(file: File): Promise<ConvertedFile> {
  const { value } = await upload(file);
  // The server calls it by its digest, with or without its name.
  const [digest = value] = value.split("/");
  const reason = (problem: Finding) =>
    problemText(problem).replaceAll(value, file.name).replaceAll(digest, file.name);
  const { job } = await submitted(value, file).catch((fault: unknown) => {
    const problem = fault instanceof ApiProblem ? fault.problems[0] : undefined;
    throw problem === undefined ? fault : new UnreadableFile(reason(problem));
  });
  try {
    const ended = await endOfJob(job.id);
    const { outputs, error } = mergedDetail(undefined, ended);
    const [converted] = outputs;
    if (error !== null) throw new UnreadableFile(reason(error));
    if (converted === undefined) throw new UnreadableFile(t("painting.notLayers"));
    const bytes = new Uint8Array(await getArtifactBytes(converted.digest));
    return { bytes, warnings: (ended.outputs?.warnings ?? []).map(({ message }) => message) };
  } finally {
    api.DELETE("/jobs/{id}", { params: { path: { id: job.id } } }).catch(() => undefined);
  }
}

async function submitted(value: string, file: File): Promise<{ readonly job: JobEntry }> {
  const workflow = readWorkflow(conversion(value, await bitsOf(file)));
  return socket().request<{ job: JobEntry }>("submit", {
    workflow: workflowToJson(workflow),
    name: t("painting.opening", { name: file.name }).slice(0, 256),
    tags: [TAG],
    key: newKey(),
    priority: PRIORITY,
  });
}

function conversion(path: string, bits: string): string {
  const nodes = {
    load: { type: "LoadLayers", inputs: { path } },
    save: {
      type: "SaveLayers",
      inputs: { layers: { from: "load.layers" }, format: "ora", bits, preview: true },
    },
  };
  return JSON.stringify({ format: "nodegraph/1", title: "", nodes });
}

/** Bits per channel that keep all of it: they stand in the header. */
async function bitsOf(file: File): Promise<"8" | "16"> {
  const head = new DataView(await file.slice(0, 24).arrayBuffer());
  return head.byteLength === 24 && head.getUint16(22) > 8 ? "16" : "8";
}
