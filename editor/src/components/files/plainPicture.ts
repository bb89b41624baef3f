/** A picture that holds no workflow, dropped on the canvas: a node that loads it. */
import { upload } from "@/api/files";
import { t } from "@/i18n";
import { addNode } from "@/model/edits";
import type { PictureFault } from "@/model/pictures";
import { inputOf, labelOf, type NodeSpec, type NodeTypes } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import { activeDocument, currentScope, useDocuments } from "@/store/documents";
import { notify, notifyFault, updateNotice } from "@/store/notices";

/** Whether a file that couldn't be opened is simply a picture. */
export function isPlainPicture(fault: unknown, file: File): boolean {
  // By its name, as what reads pictures is fetched only when there is one to read.
  if (!(fault instanceof Error) || fault.name !== "PictureFault") return false;
  const { code } = fault as PictureFault;
  const isBare = code === "no-workflow" || code === "foreign";
  return isBare && file.type.startsWith("image/") && loader() !== null;
}

/** Bring the picture to the server and add a node that loads it, at a place of the window. */
export async function placePicture(
  file: File,
  screen: { readonly x: number; readonly y: number },
): Promise<void> {
  const found = loader();
  if (!found) return;
  const { canvasPoint } = await import("@/components/canvas/controller");
  const { id } = activeDocument();
  const scope = currentScope(activeDocument());
  const at = canvasPoint(screen);
  const notice = notify({
    kind: "info",
    title: t("files.bringing", { name: file.name }),
    progress: 0,
  });
  try {
    const entry = await upload(file, {
      onProgress: (progress) => updateNotice(notice, { progress }),
    });
    const { spec, input } = found;
    useDocuments.getState().change(
      "files.pictureAdded",
      (workflow) =>
        addNode(workflow, scope, {
          type: spec.type,
          at,
          inputs: new Map([[input, entry.value]]),
        }).workflow,
      { document: id },
    );
    updateNotice(notice, {
      kind: "success",
      title: t("files.pictureNode", { node: labelOf(spec) }),
      detail: t("files.pictureNodeDetail"),
      progress: undefined,
    });
  } catch (fault) {
    updateNotice(notice, { progress: undefined, lasts: 1 });
    notifyFault(fault, { title: t("files.bringingFailed", { name: file.name }) });
  }
}

/** The node type that loads pictures: the one with the fewest inputs that reads a picture's file. */
function loader(types: NodeTypes | null = useCatalogue.getState().types): {
  readonly spec: NodeSpec;
  readonly input: string;
} | null {
  const found = [...(types?.byName.values() ?? [])].flatMap((spec) => {
    const input = spec.inputs.find((port) => port.widget === "file:image");
    const gives = spec.outputs.some((port) => port.type === "Image");
    return input && gives && inputOf(spec, input.name) ? [{ spec, input: input.name }] : [];
  });
  return found.sort((a, b) => a.spec.inputs.length - b.spec.inputs.length)[0] ?? null;
}
