/** What the view of a canvas does besides edits: pictures are kept, the box is sampled, live or not. */
import { readCanvas } from "@/model/painting";
import { useCatalogue } from "./catalogue";
import {
  currentScope,
  currentWorkflow,
  documentById,
  USUAL_ON_CHANGE,
  useDocuments,
} from "./documents";
import { keepPicture } from "./outbox";
import { run } from "./running";
import { strokesDrawn } from "./strokes";

export {
  accept,
  type Candidate,
  candidatesOf,
  choose,
  discard,
  discardAll,
  flip,
  keepAll,
  startCandidates,
  useCandidates,
} from "./candidates";
export { keepPicture, outbox, pendingAddress, picturesSent, useOutbox } from "./outbox";
export { knownSize, rememberSize, type Size } from "./pictureSizes";

/** A transparent picture of one pixel, as a PNG file. */
const BLANK =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNgYGBgAAAABQABeqhXUAAAAABJRU5ErkJggg==";

/** The value of a picture on which nothing is painted yet: what a new layer begins with. */
export function blankPicture(): Promise<string> {
  const bytes = Uint8Array.from(atob(BLANK), (letter) => letter.charCodeAt(0));
  return keepPicture(new Blob([bytes], { type: "image/png" }), "blank.png");
}

/** Sample what the box of a canvas holds; gives the ids of the jobs. Pictures are sent before. */
export async function sampleCanvas(
  document = useDocuments.getState().active,
): Promise<readonly string[]> {
  await strokesDrawn();
  if (documentById(document) === null || useCatalogue.getState().types === null) return [];
  const targets = canvasTargets(document);
  return run(targets === null ? { document } : { document, targets });
}

/** What makes the candidates of a canvas; null for all nodes, as a block may be used in several places. */
export function canvasTargets(document: string): readonly string[] | null {
  const found = documentById(document);
  const { types } = useCatalogue.getState();
  if (found === null || types === null || currentScope(found) !== null) return null;
  const result = readCanvas(currentWorkflow(found), null, types)?.result ?? null;
  return result === null ? null : [result];
}

/**
 * Sample at each edit, a moment after it. Who paints wants that however long it takes; the graph has
 * its usual limit again afterwards.
 */
export function setLive(on: boolean): void {
  useDocuments.getState().setOnChange({ on, limit: on ? null : USUAL_ON_CHANGE.limit });
}
