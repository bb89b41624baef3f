/** Saved workflows, as texts: JavaScript's own JSON would lose what numbers say exactly. */
import { ask, read, verbatim } from "./client";
import type { SavedAs } from "./schema";

/** A workflow's text, with the digest that names this version of it. */
export interface WorkflowText {
  readonly text: string;
  readonly etag: string | null;
}

/** Of those that are saved, today's or an older version. */
export async function getWorkflow(name: string, version?: number): Promise<WorkflowText> {
  const { data, etag } =
    version === undefined
      ? await read("text", "get", "/workflows/{name}", { params: { path: { name } } })
      : await read("text", "get", "/workflows/{name}/versions/{version}", {
          params: { path: { name, version } },
        });
  return { text: data, etag };
}

/** Save it.
 *
 * Args:
 *   text: As its file has it (`writeWorkflow`).
 *   over: Tag of the version that it takes the place of; "new" if there is to be none of its
 *     name; null: whatever there is. If it isn't so, the fault's status is 412. */
export async function saveWorkflow(
  name: string,
  text: string,
  over: string | "new" | null,
): Promise<SavedAs & { readonly etag: string }> {
  const tags = over === "new" ? { "if-none-match": "*" } : { "if-match": over };
  const { data, response } = await ask("put", "/workflows/{name}", {
    params: { path: { name }, header: over === null ? {} : tags },
    body: verbatim(text),
  });
  return { ...data, etag: response.headers.get("etag") ?? `"${data.digest}"` };
}
