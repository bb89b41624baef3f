/** Going on through what was found last in the workflow, without the search in between. */
import { find, type Hit } from "@/model/find";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentWorkflow } from "@/store/documents";
import { keyOf, show } from "./graphHits";

let query = "";
let shown = "";

/** What was looked for last in the workflow. */
export function lastQuery(): string {
  return query;
}

export function rememberQuery(text: string, hit: string): void {
  query = text;
  shown = hit;
}

/** Show the hit after the last one, or before it; from the last on it begins anew. */
export function step(by: 1 | -1): void {
  const { types } = useCatalogue.getState();
  const hits: readonly Hit[] = find(currentWorkflow(activeDocument()), query, { types });
  const at = hits.findIndex((hit) => keyOf(hit) === shown);
  const hit = hits[at < 0 && by < 0 ? hits.length - 1 : (at + by + hits.length) % hits.length];
  if (hit === undefined) return;
  shown = keyOf(hit);
  show(hit);
}
