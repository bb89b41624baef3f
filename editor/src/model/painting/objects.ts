/** Selecting an object on the canvas: which models can, and the small workflow that asks one. */
import type { Point, Size } from "../layout";

/** What names an object, in pixels of a picture. */
export interface ObjectPrompt {
  readonly points: readonly Point[];
  /** Points that don't belong to it. */
  readonly excluded: readonly Point[];
  readonly box: (Point & Size) | null;
  /** Empty unless the model finds objects by words. */
  readonly words: string;
  /** Of the picture. */
  readonly size: Size;
}

/** How an object is found: by a model that takes points, or words; or by edges, without a model. */
export type Segmenter =
  | { readonly kind: "points" | "words"; readonly model: string }
  | { readonly kind: "edges"; readonly model: null };

export const BY_EDGES: Segmenter = { kind: "edges", model: null };

/** A model of the server, as its list has it. */
interface KnownModel {
  readonly name: string;
  readonly node: string | null;
  readonly part: string | null;
  readonly problem: string | null;
}

const LOADER = "LoadVisionModel";
// The server says what a file holds by the class that reads it.
const BY_POINTS = /\bSam(HQ|2|2Video)?Model\b/;
const BY_WORDS = /\b(Sam3\w*Model|CLIPSeg\w*)\b/;

/** What can select objects, the best first; edges always can. */
export function segmentersOf(models: readonly KnownModel[]): readonly Segmenter[] {
  const usable = models.filter(({ node, problem }) => node === LOADER && problem === null);
  const of = (kind: "points" | "words", form: RegExp): readonly Segmenter[] =>
    usable.flatMap(({ name, part }) =>
      part !== null && form.test(part) ? [{ kind, model: name }] : [],
    );
  return [...of("points", BY_POINTS), ...of("words", BY_WORDS), BY_EDGES];
}

/** The name of the node that shows the mask. */
export const SHOWN_MASK = "show";

interface NodeJson {
  readonly type: string;
  readonly inputs: Readonly<Record<string, unknown>>;
}

/**
 * A workflow that shows the mask of an object, white where the object is; null if the prompt says
 * nothing that this way of selecting understands.
 *
 * @param picture What LoadImage is given.
 */
export function selectionWorkflow(
  picture: string,
  prompt: ObjectPrompt,
  segmenter: Segmenter,
): string | null {
  const mask = maskNode(prompt, segmenter);
  if (mask === null) return null;
  const model: Record<string, NodeJson> =
    segmenter.model === null ? {} : { model: { type: LOADER, inputs: { model: segmenter.model } } };
  const nodes: Record<string, NodeJson> = {
    picture: { type: "LoadImage", inputs: { path: picture } },
    ...model,
    mask,
    image: { type: "MaskToImage", inputs: { mask: { from: "mask.mask" } } },
    [SHOWN_MASK]: { type: "PreviewImage", inputs: { image: { from: "image.image" } } },
  };
  return JSON.stringify({ format: "nodegraph/1", title: "", nodes });
}

function maskNode(prompt: ObjectPrompt, { kind }: Segmenter): NodeJson | null {
  const { points, excluded, box, words } = prompt;
  const image = { from: "picture.image" };
  const model = { from: "model" };
  const isPointed = points.length > 0 || box !== null;
  if (kind === "words") {
    if (words.trim() === "") return null;
    return { type: "SegmentByText", inputs: { model, image, text: words.trim() } };
  }
  if (!isPointed) return null;
  if (kind === "points") {
    const inputs = {
      model,
      image,
      points: pointsText(points),
      excluded: pointsText(excluded),
      boxes: box === null ? "" : boxText(box),
      unit: "pixels",
    };
    return { type: "SegmentAnything", inputs };
  }
  if (box !== null)
    return { type: "SelectByBox", inputs: { image, box: boxText(box), unit: "pixels" } };
  const inputs = { image, points: pointsText(points), unit: "pixels" };
  // A wand is quick and ends at edges. Only what is to be left out needs the slow way.
  if (excluded.length === 0) return { type: "MagicWand", inputs };
  return { type: "SelectByPoints", inputs: { ...inputs, excluded: pointsText(excluded) } };
}

function pointsText(points: readonly Point[]): string {
  return points.length === 0 ? "" : JSON.stringify(points.map(({ x, y }) => [x, y]));
}

function boxText({ x, y, width, height }: Point & Size): string {
  return [x, y, width, height].join(", ");
}
