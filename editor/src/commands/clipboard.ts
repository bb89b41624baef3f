/**
 * Copying and pasting nodes, as the text of a workflow file.
 *
 * By key the browser's own events carry the text, which works everywhere and asks for no leave; the
 * menu has to ask the browser, and else pastes what was copied here last.
 */
import { t } from "@/i18n";
import { copy, isWorkflowText, paste } from "@/model/clipboard";
import { removeItems } from "@/model/edits";
import { JsonFault } from "@/model/json";
import { WorkflowFault } from "@/model/workflow";
import { notify } from "@/store/notices";
import { useUi } from "@/store/ui";
import { canvasPoint, followPointer } from "./canvasPoint";
import { isTextField, keyText } from "./keys";
import { change, selected } from "./selection";

let last: string | null = null;
let waiting: string | null = null;
/** Whether the next paste by key keeps links to nodes outside, as Shift asks. */
let withLinks = false;

/** Hear the browser's clipboard events; gives what ends it. */
export function followClipboard(): () => void {
  const copied = (event: ClipboardEvent): void => take(event, false);
  const cut = (event: ClipboardEvent): void => take(event, true);
  const shift = (event: KeyboardEvent): void => {
    withLinks = event.shiftKey;
  };
  const pasted = (event: ClipboardEvent): void => receive(event);
  document.addEventListener("copy", copied);
  document.addEventListener("cut", cut);
  document.addEventListener("paste", pasted);
  addEventListener("keydown", shift, true);
  const stopPointer = followPointer();
  return () => {
    document.removeEventListener("copy", copied);
    document.removeEventListener("cut", cut);
    document.removeEventListener("paste", pasted);
    removeEventListener("keydown", shift, true);
    stopPointer();
  };
}

/** Whether the event is about the graph, and not about text on the page. */
function isForGraph(event: ClipboardEvent): boolean {
  if (event.defaultPrevented || useUi.getState().view !== "graph") return false;
  if (isTextField(event.target) || isTextField(document.activeElement)) return false;
  return document.querySelector("[data-modal]") === null;
}

function take(event: ClipboardEvent, removes: boolean): void {
  if (!event.clipboardData) return;
  const text = waiting ?? (isForGraph(event) && !isTextSelected() ? textOf() : null);
  if (text === null) return;
  last = text;
  event.clipboardData.setData("text/plain", text);
  event.preventDefault();
  if (removes && waiting === null) removeSelected();
}

function isTextSelected(): boolean {
  const selection = getSelection();
  return selection !== null && !selection.isCollapsed;
}

/** The text of what is selected; null if nothing is that can be copied. */
function textOf(context?: unknown): string | null {
  const { workflow, scope, items } = selected(context);
  const isAny = items.some((id) => !id.startsWith("edge/") && !id.startsWith("reroute/"));
  return isAny ? copy(workflow, scope, items) : null;
}

function removeSelected(context?: unknown): void {
  const { items } = selected(context);
  change("editing.deleted", (workflow, scope) => ({
    workflow: removeItems(workflow, scope, items),
  }));
}

function receive(event: ClipboardEvent): void {
  const data = event.clipboardData;
  // Files are for whoever opens workflows of pictures.
  if (!data || data.files.length > 0 || !isForGraph(event)) return;
  const text = data.getData("text/plain");
  if (!isWorkflowText(text)) return;
  event.preventDefault();
  pasteText(text, withLinks);
}

/** Put a text in; what is wrong with it is told. */
export function pasteText(text: string, links: boolean): void {
  try {
    change("editing.pasted", (workflow, scope) =>
      paste(workflow, scope, text, canvasPoint(), { links }),
    );
  } catch (fault) {
    const detail = wrongWith(fault);
    if (detail === null) throw fault;
    notify({ kind: "error", title: t("editing.badText"), detail, key: "editing.badText" });
  }
}

function wrongWith(fault: unknown): string | null {
  if (fault instanceof WorkflowFault) return fault.problems.join("\n");
  if (fault instanceof JsonFault) {
    return t("editing.badTextAt", { line: fault.line, message: fault.message });
  }
  return null;
}

export async function copySelected(context?: unknown): Promise<boolean> {
  const text = textOf(context);
  if (text === null) return false;
  last = text;
  if (await write(text)) return true;
  notify({
    kind: "warning",
    title: t("editing.cantCopy"),
    detail: t("editing.cantCopyHint", { keys: keyText("mod+c") }),
  });
  return false;
}

export async function cutSelected(context?: unknown): Promise<void> {
  if (await copySelected(context)) removeSelected(context);
}

async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages that came by plain HTTP have no clipboard, but the copy event works there too.
    waiting = text;
    try {
      return document.execCommand("copy");
    } catch {
      return false;
    } finally {
      waiting = null;
    }
  }
}

export async function pasteFromMenu(links: boolean): Promise<void> {
  const text = (await read()) ?? last;
  if (text !== null && isWorkflowText(text)) pasteText(text, links);
  else {
    notify({
      kind: "info",
      title: t("editing.cantPaste"),
      detail: t("editing.cantPasteHint", { keys: keyText("mod+v") }),
    });
  }
}

async function read(): Promise<string | null> {
  try {
    return await navigator.clipboard.readText();
  } catch {
    return null;
  }
}
