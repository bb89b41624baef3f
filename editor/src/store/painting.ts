/** What the view of a canvas does besides edits: pictures are kept, the box is sampled, live or not. */
import { readCanvas } from "@/model/painting";
import { useCatalogue } from "./catalogue";
import { currentScope, currentWorkflow, documentById, useDocuments } from "./documents";
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
  const found = documentById(document);
  const { types } = useCatalogue.getState();
  if (found === null || types === null) return [];
  const scope = currentScope(found);
  const result = readCanvas(currentWorkflow(found), scope, types)?.result ?? null;
  // Of a block's canvas all is run, as it may be used in several places.
  return run(result === null || scope !== null ? { document } : { document, targets: [result] });
}

/** Sample at each edit, a moment after it, up to so many seconds a run; null for any. */
export function setLive(on: boolean, limit?: number | null): void {
  useDocuments.getState().setOnChange(limit === undefined ? { on } : { on, limit });
}
