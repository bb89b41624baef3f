/** Files with layers opened on the canvas: each layer becomes one of its own. */
import { chooseFile } from "@/components/generate/chooseFile";
import { t } from "@/i18n";
import { type ImportedItem, importLayers } from "@/model/painting";
import { dismissNoticeOf, notify } from "@/store/notices";
import { keepPicture, rememberSize } from "@/store/painting";
import { isPhotoshop, photoshopAsOpenRaster, UnreadableFile } from "@/store/photoshopFiles";
import { told } from "./adding";
import { edit, here } from "./layerActions";
import { type FileItem, type FileLayers, readOpenRaster } from "./openRaster";

const NAMES = /\.(ora|psd|psb)$/i;
const NOTICE = "layers-opened";
const ORIGIN = { x: 0, y: 0 };
/** Messages that a notice shows; of more it says how many. */
const MOST_MESSAGES = 6;

export function isLayerFile({ name }: File): boolean {
  return NAMES.test(name);
}

export async function chooseLayerFile(): Promise<void> {
  await told(async () => {
    const file = await chooseFile(".ora,.psd,.psb");
    if (file !== null) await openLayerFile(file);
  });
}

/** One step to undo, whatever number of layers it has. What can't be read is named in a notice. */
export async function openLayerFile(file: File): Promise<void> {
  const { name } = file;
  const title = t("painting.opening", { name });
  notify({ kind: "info", title, key: NOTICE, progress: null, lasts: null });
  try {
    const { items, messages } = await ((await isPhotoshop(file))
      ? readPhotoshop(file)
      : readArchive(file));
    const kept = await Promise.all(items.map(keep));
    edit("painting.edit.import", ({ ground, canvas }) => importLayers(ground, canvas, kept));
    if (messages.length > 0) warn(name, messages);
    else dismissNoticeOf(NOTICE);
  } catch (fault) {
    dismissNoticeOf(NOTICE);
    if (!(fault instanceof UnreadableFile)) throw fault;
    notify({ kind: "error", title: t("painting.openFailed", { name }), detail: fault.message });
  }
}

async function readArchive(file: File): Promise<FileLayers> {
  return read(new Uint8Array(await file.arrayBuffer()), boxCorner());
}

/** Its corner lies at that of the box, wherever the server has put its layers. */
async function readPhotoshop(file: File): Promise<FileLayers> {
  const { bytes, warnings } = await photoshopAsOpenRaster(file);
  const { items, messages } = read(bytes, ORIGIN);
  const corner = boxCorner();
  return {
    items: items.map((item) => moved(item, corner)),
    messages: [...warnings, ...messages],
  };
}

function read(bytes: Uint8Array, corner: typeof ORIGIN): FileLayers {
  const layers = readOpenRaster(bytes, corner);
  if (layers === null) throw new UnreadableFile(t("painting.notLayers"));
  return layers;
}

function boxCorner(): typeof ORIGIN {
  return here()?.canvas.box ?? ORIGIN;
}

function moved(item: FileItem, by: typeof ORIGIN): FileItem {
  if ("items" in item) return { ...item, items: item.items.map((inner) => moved(inner, by)) };
  const { x, y } = item.placement;
  return { ...item, placement: { ...item.placement, x: x + by.x, y: y + by.y } };
}

function warn(name: string, messages: readonly string[]): void {
  const more = messages.length - MOST_MESSAGES;
  const shown = messages.slice(0, MOST_MESSAGES);
  if (more > 0) shown.push(t("painting.leftOutMore", { count: more }));
  const title = t("painting.leftOut", { name });
  notify({ kind: "warning", title, detail: shown.join("\n"), key: NOTICE, lasts: null });
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
