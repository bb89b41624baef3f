/** Shows the node that somebody asked for: in the middle, selected, with a flash. */
import { useEffect } from "react";
import { useDocuments } from "@/store/documents";
import { type FocusRequest, useUi } from "@/store/ui";
import { canvas, centerOn, itemBoxes } from "./controller";
import { firstField } from "./focus";
import { FAR_ZOOM, useCanvasView } from "./view";

/** The last request that was obeyed; the canvas of another graph must not obey it again. */
let obeyed = 0;
const FLASH = 1500;
/** Frames after which what isn't there won't come. */
const TRIES = 60;

export function useFocusRequests(document: string, path: readonly string[]): void {
  const request = useUi((ui) => ui.focusRequest);
  useEffect(() => {
    if (request === null || request.nonce === obeyed || request.document !== document) return;
    if (request.path.join("/") !== path.join("/")) {
      useDocuments.getState().goTo(request.path, document);
      return;
    }
    // A graph that has just been entered is drawn first, perhaps more than once.
    const frame = requestAnimationFrame(() => {
      obeyed = request.nonce;
      show(request, TRIES);
    });
    return () => cancelAnimationFrame(frame);
  }, [request, document, path]);
}

function show(request: FocusRequest, tries: number): void {
  const { node, port, nonce } = request;
  if (useDocuments.getState().active !== request.document) return;
  const box = itemBoxes().get(node);
  const handle = canvas();
  if (!box || !handle) {
    if (tries > 0) requestAnimationFrame(() => show(request, tries - 1));
    return;
  }
  const zoom = handle.flow.getZoom();
  useDocuments.getState().select([node]);
  centerOn(
    { x: box.x + box.width / 2, y: box.y + box.height / 2 },
    zoom < FAR_ZOOM * 1.4 ? 0.9 : zoom,
  );
  useCanvasView.setState({ flash: { node, port, nonce } });
  setTimeout(() => {
    if (useCanvasView.getState().flash?.nonce === nonce) useCanvasView.setState({ flash: null });
  }, FLASH);
  if (port !== null) focusField(handle.element, node, port, TRIES);
  else handle.focusNode(node);
}

/** The field of a port, once its card is drawn in full. */
function focusField(element: HTMLElement, node: string, port: string, tries: number): void {
  const row = element.querySelector<HTMLElement>(
    `[data-node="${CSS.escape(node)}"] [data-input="${CSS.escape(port)}"]`,
  );
  const field = row && firstField(row);
  if (field) field.focus({ preventScroll: true });
  else if (tries > 0) requestAnimationFrame(() => focusField(element, node, port, tries - 1));
}
