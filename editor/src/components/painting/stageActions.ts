/** What is done with pixels of the stage, besides strokes: they become layers. */
import { t } from "@/i18n";
import { addLayer, type LayerKind, type PaintCanvas, type Placement } from "@/model/painting";
import type { ObjectPrompt } from "@/model/painting/objects";
import { notify, notifyFault } from "@/store/notices";
import { objectMask, segmenterOf } from "@/store/objectSelection";
import { keepPicture } from "@/store/outbox";
import { whileDrawn } from "@/store/strokes";
import { told } from "./adding";
import { useCanvasUi } from "./canvasUi";
import { edit } from "./layerActions";
import type { StageHandle } from "./stage/stageProps";

type Picture = NonNullable<ReturnType<StageHandle["selectionPicture"]>>;

/** What is selected becomes a mask: there the model paints. */
export async function maskFromSelection(stage: StageHandle): Promise<void> {
  const picture = stage.selectionPicture();
  if (picture) await asLayer(stage, "mask", picture, t("painting.kind.mask"));
}

/**
 * Copy the selected pixels of the chosen layer to a new layer. A cut removes them from the chosen
 * one, in the same step to undo.
 */
export async function layerFromSelection(stage: StageHandle, isCut: boolean): Promise<void> {
  stage.applyMove();
  const picture = stage.selectedPicture();
  if (picture === null) {
    notify({ kind: "info", title: t("painting.nothingSelected"), key: "nothing-selected" });
    return;
  }
  const merge = isCut ? `cut#${++cuts}` : undefined;
  if (merge) stage.eraseSelection(merge);
  await asLayer(stage, "raster", picture, t("painting.selected"), merge);
}

let cuts = 0;

/** Layers as one new layer; those that it is made of stay. */
export async function mergeVisible(stage: StageHandle, canvas: PaintCanvas): Promise<void> {
  // Groups stand for what they hold.
  const nodes = canvas.entries.flatMap(({ node, kind, visible, parent }) =>
    kind === "raster" && visible && parent === null ? [node] : [],
  );
  const picture = stage.mergedPicture(nodes);
  if (picture) await asLayer(stage, "raster", picture, t("painting.merged"));
}

/** Two layers as one picture, which the lower one gets. */
export async function mergedWithBelow(
  stage: StageHandle,
  upper: string,
  lower: string,
  take: (value: string, placement: Placement) => void,
): Promise<void> {
  const picture = stage.mergedPicture([lower, upper]);
  if (picture === null) return;
  // After strokes that are in it already, or they would come back on top of it.
  await told(() =>
    whileDrawn(async () => {
      const value = await keepPicture(await picture.blob, "merged.png");
      stage.keep(value, picture.blob);
      take(value, picture.placement);
    }),
  );
}

async function asLayer(
  stage: StageHandle,
  kind: LayerKind,
  { blob, placement }: Picture,
  title: string,
  merge?: string,
): Promise<void> {
  const { active } = useCanvasUi.getState();
  // After strokes that are on their way, such as what erases the pixels that this one gets.
  await told(() =>
    whileDrawn(async () => {
      const value = await keepPicture(await blob, `${kind}.png`);
      stage.keep(value, blob);
      edit(
        merge ? "painting.edit.cut" : "painting.edit.add",
        ({ ground, canvas }) => {
          const chosen = canvas.entries.find(({ node }) => node === active);
          const above = kind === "raster" && chosen?.kind === kind ? chosen.node : null;
          return addLayer(ground, canvas, kind, { value, placement, title, above });
        },
        merge,
      );
    }),
  );
}

/** Select the object at the points. A failure shows a notice. */
export async function findObject(
  picture: Promise<Blob>,
  prompt: ObjectPrompt,
): Promise<string | null> {
  try {
    const segmenter = segmenterOf(useCanvasUi.getState().tool.segmenter);
    return await objectMask(await picture, prompt, segmenter);
  } catch (fault) {
    notifyFault(fault, { title: t("painting.objectFailed"), key: "select-object" });
    return null;
  }
}
