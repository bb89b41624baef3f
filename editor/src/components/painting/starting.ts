/** A canvas for the graph that is shown: empty, or with a picture as its lowest layer. */
import { uploadArtifact } from "@/api/files";
import type { ArtifactEntry } from "@/api/schema";
import { t } from "@/i18n";
import { adoptLayers, canStartCanvas, readCanvas, startCanvas } from "@/model/painting";
import type { Picture } from "@/model/recipes";
import { drawSeed } from "@/model/seeds";
import { useDocuments } from "@/store/documents";
import { notify } from "@/store/notices";
import { useUi } from "@/store/ui";
import { useCanvasUi } from "./canvasUi";
import { groundNow } from "./layerActions";

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** One step to undo; the view shows it, with its uppermost layer chosen. */
export function begin(from: Picture | null, size: Size): void {
  const ground = groundNow();
  if (ground === null) return;
  if (!canStartCanvas(ground)) {
    notify({
      kind: "warning",
      title: t("results.noNodes"),
      detail: t("results.noNodesDetail"),
    });
    return;
  }
  const { workflow } = startCanvas(ground, from, size, {
    title: t("shell.view.canvas"),
    seed: drawSeed(Math.random),
  });
  useDocuments.getState().change("painting.edit.start", () => workflow);
  const canvas = readCanvas(workflow, ground.scope, ground.types);
  useCanvasUi.getState().choose(canvas?.entries.at(-1)?.node ?? null);
  useUi.getState().setView("canvas");
}

/** The layers of the graph that is shown get a box; one step to undo. */
export function adopt(): void {
  const ground = groundNow();
  if (ground === null) return;
  useDocuments.getState().change("painting.edit.adopt", () => adoptLayers(ground).workflow);
}

/** With what a workflow made: its model and prompts paint on. */
export async function beginWith(artifact: ArtifactEntry, node: string | null): Promise<void> {
  const { value } = await uploadArtifact(artifact.digest);
  const size = { width: artifact.width ?? 512, height: artifact.height ?? 512 };
  begin({ value, ...size, node }, size);
}
