/** What is done with pixels of the stage, besides strokes: they become layers. */
import { t } from "@/i18n";
import { addLayer, type LayerKind, type PaintCanvas, type Placement } from "@/model/painting";
import { keepPicture } from "@/store/outbox";
import { whileDrawn } from "@/store/strokes";
import { told } from "./adding";
import { edit } from "./layerActions";
import type { StageHandle } from "./stage/stageProps";

type Picture = NonNullable<ReturnType<StageHandle["selectionPicture"]>>;

/** What is selected becomes a mask: there the model paints. */
export async function maskFromSelection(stage: StageHandle): Promise<void> {
  const picture = stage.selectionPicture();
  if (picture) await asLayer(stage, "mask", picture, t("painting.kind.mask"));
}

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
): Promise<void> {
  await told(async () => {
    const value = await keepPicture(await blob, `${kind}.png`);
    stage.keep(value, blob);
    edit("painting.edit.add", ({ ground, canvas }) =>
      addLayer(ground, canvas, kind, { value, placement, title }),
    );
  });
}
