/** Files with layers opened on the canvas: each layer becomes one of its own. */
import { chooseFile } from "@/components/generate/chooseFile";
import { t } from "@/i18n";
import { type ImportedItem, importLayers } from "@/model/painting";
import { keepPicture, rememberSize } from "@/store/painting";
import { told } from "./adding";
import { edit, here } from "./layerActions";
import { type FileItem, readOpenRaster } from "./openRaster";

export function isLayerFile({ name }: File): boolean {
  return /\.(ora|psd)$/i.test(name);
}

export async function chooseLayerFile(): Promise<void> {
  await told(async () => {
    const file = await chooseFile(".ora");
    if (file !== null) await openLayerFile(file);
  });
}

/** One step to undo, whatever number of layers it has. */
export async function openLayerFile(file: File): Promise<void> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const items = readOpenRaster(bytes, here()?.canvas.box ?? { x: 0, y: 0 });
  if (items === null) throw new Error(t("painting.notOpenRaster", { name: file.name }));
  const kept = await Promise.all(items.map(keep));
  edit("painting.edit.import", ({ ground, canvas }) => importLayers(ground, canvas, kept));
}

async function keep(item: FileItem): Promise<ImportedItem> {
  if ("items" in item) return { ...item, items: await Promise.all(item.items.map(keep)) };
  const { png, ...layer } = item;
  const value = await keepPicture(new Blob([png], { type: "image/png" }), `${fileName(layer)}.png`);
  rememberSize(value, layer.placement);
  return { ...layer, value };
}

function fileName({ title }: { readonly title: string }): string {
  const plain = title.replace(/[^\p{L}\p{N} _-]/gu, "").trim();
  return plain === "" ? "layer" : plain.slice(0, 60);
}
