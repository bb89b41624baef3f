/** What else is done with layers: merged, and saved with their layers. */
import { Ellipsis } from "lucide-react";
import type { RefObject } from "react";
import { download } from "@/components/panels/gallery/actions";
import { MenuButton, type MenuEntry } from "@/components/ui";
import { t } from "@/i18n";
import {
  exportLayers,
  type LayerFormat,
  layerBelow,
  mergeDown,
  type PaintCanvas,
} from "@/model/painting";
import { mergedDetail } from "@/store/jobs";
import { notify } from "@/store/notices";
import { run } from "@/store/running";
import { endOfJob } from "@/store/valueViews";
import { told } from "../adding";
import { useCanvasUi } from "../canvasUi";
import { chooseLayerFile } from "../importing";
import { edit, here } from "../layerActions";
import type { StageHandle } from "../stage/stageProps";
import { mergedWithBelow, mergeVisible } from "../stageActions";

interface Props {
  readonly canvas: PaintCanvas;
  readonly stage: RefObject<StageHandle | null>;
}

export function LayerMenu({ canvas, stage }: Props) {
  return (
    <MenuButton
      icon={Ellipsis}
      align="end"
      label={t("painting.more")}
      items={() => itemsFor(canvas, stage.current)}
    />
  );
}

function itemsFor(canvas: PaintCanvas, stage: StageHandle | null): readonly MenuEntry[] {
  const { active } = useCanvasUi.getState();
  const at = here();
  const below = at && active ? layerBelow(at.ground, at.canvas, active) : null;
  const hasLayers = canvas.entries.some(({ kind }) => kind === "raster");
  const merge = async () => {
    if (stage === null || active === null || below === null) return;
    await mergedWithBelow(stage, active, below, (value, placement) =>
      edit("painting.edit.merge", ({ ground, canvas: now }) =>
        mergeDown(ground, now, active, value, placement),
      ),
    );
    useCanvasUi.getState().choose(below);
  };
  return [
    {
      label: t("painting.mergeDown"),
      disabled: stage === null || below === null,
      run: () => void merge(),
    },
    {
      label: t("painting.merge"),
      disabled: stage === null || !hasLayers,
      run: () => void (stage && mergeVisible(stage, canvas)),
    },
    "separator",
    { label: t("painting.import"), run: () => void chooseLayerFile() },
    ...(["ora", "psd"] as const).map((format) => ({
      label: t(`painting.export.${format}`),
      disabled: !hasLayers,
      run: () => save(format),
    })),
  ];
}

/** By a node, so that whoever runs the workflow gets the file, too. */
function save(format: LayerFormat): void {
  const at = here();
  const made = at && exportLayers(at.ground, at.canvas, format);
  if (!made || made.node === null) return;
  const target = made.node;
  const { active } = useCanvasUi.getState();
  edit("painting.edit.export", () => made.workflow);
  useCanvasUi.getState().choose(active);
  void told(() => written(target, format));
}

/** Run what writes the file, and hand it to whoever asked for it. */
async function written(target: string, format: LayerFormat): Promise<void> {
  const [id] = await run({ targets: [target] });
  if (id === undefined) return;
  const { outputs } = mergedDetail(undefined, await endOfJob(id));
  // Beside it lies the flattened picture.
  const isWanted = (name: string) => name.endsWith(`.${format}`);
  const file = outputs.findLast(({ node, name }) => node === target && isWanted(name));
  if (file === undefined) return;
  notify({
    kind: "success",
    title: t("painting.saved", { name: file.name }),
    key: "layers-saved",
    lasts: null,
    action: { label: t("painting.download"), run: () => download([file]) },
  });
}
