/** Adding layers to the canvas: empty ones to paint on, and pictures. */
import { Brush, Grid2x2, ImagePlus, Layers2, MessageSquareText, SquareDashed } from "lucide-react";
import { upload } from "@/api/files";
import { chooseFile } from "@/components/generate/chooseFile";
import type { MenuEntry } from "@/components/ui";
import { t } from "@/i18n";
import type { LayerKind, NewLayer } from "@/model/painting";
import { modelFor } from "@/store/catalogue";
import { notifyFault } from "@/store/notices";
import { blankPicture, rememberSize } from "@/store/painting";

import { add, canvasFamily, here } from "./layerActions";

const EMPTY = [
  { kind: "raster", icon: Brush },
  { kind: "mask", icon: SquareDashed },
  { kind: "region", icon: MessageSquareText },
] as const;

const FROM_PICTURE = [
  { kind: "raster", icon: ImagePlus },
  { kind: "control", icon: Grid2x2 },
  { kind: "reference", icon: Layers2 },
] as const;

export function addItems(): readonly MenuEntry[] {
  return [
    ...EMPTY.map(({ kind, icon }) => ({
      id: `painting.add.${kind}`,
      label: t(`painting.add.${kind}`),
      icon,
      run: () => void addEmpty(kind),
    })),
    "separator",
    ...FROM_PICTURE.map(({ kind, icon }) => ({
      id: `painting.addPicture.${kind}`,
      label: t(`painting.addPicture.${kind}`),
      icon,
      run: () => void addPicture(kind),
    })),
  ];
}

export async function addEmpty(kind: LayerKind): Promise<void> {
  await told(async () => {
    const value = await blankPicture();
    add(kind, { title: numbered(t(`painting.kind.${kind}`)), value });
  });
}

/** A name that no layer has yet: with the first number that is free. */
function numbered(name: string): string {
  const taken = new Set(here()?.canvas.entries.map(({ title }) => title));
  for (let number = 1; ; number++) {
    const title = number === 1 ? name : `${name} ${number}`;
    if (!taken.has(title)) return title;
  }
}

async function addPicture(kind: LayerKind): Promise<void> {
  await told(async () => {
    const file = await chooseFile("image/*");
    if (file !== null) await addFile(kind, file);
  });
}

/** A picture from elsewhere, as a layer of its own size at the corner of the box. */
export async function addFile(kind: LayerKind, file: File): Promise<void> {
  const { value, width, height } = await upload(file);
  if (width !== null && height !== null) rememberSize(value, { width, height });
  const title = file.name.replace(/\.[^.]*$/, "");
  add(kind, { title, value, ...modelsFor(kind) });
}

export async function told(act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (fault) {
    notifyFault(fault, { title: t("painting.failed") });
  }
}

/** The model that a new layer is applied by: the first of its kind that suits the canvas' model. */
function modelsFor(kind: LayerKind): Pick<NewLayer, "control" | "reference"> {
  const canvas = here();
  const family = canvas && canvasFamily(canvas);
  if (kind === "control") {
    const net = modelFor("LoadControlNet", family);
    return { control: { preprocessor: "canny edges", ...(net === null ? {} : { net }) } };
  }
  if (kind !== "reference") return {};
  const model = modelFor("LoadIPAdapter", family);
  if (model !== null) return { reference: { by: "ip-adapter", model } };
  const redux = modelFor("LoadRedux", family);
  return { reference: redux === null ? { by: "latents" } : { by: "redux", model: redux } };
}
