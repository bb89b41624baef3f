/** Sizes that suit a family of models, by the ratio of the sides. */
import SIZES from "./familySizes.json";

interface Trained {
  readonly area: number;
  readonly multiple: number;
  /** The exact sizes, lying; none where any size of about that area will do. */
  readonly buckets: readonly (readonly number[])[];
}

export interface ImageSize {
  readonly width: number;
  readonly height: number;
}

/** Width to height. */
export const RATIOS = ["1:1", "5:4", "4:3", "3:2", "16:10", "16:9", "2:1", "21:9"] as const;

const LARGEST = 16_384;
const FAMILIES: Readonly<Record<string, Trained>> = SIZES;
const USUAL = "sd1";

/** The side of a latent's cell, of which sides of images are multiples. */
export const CELL = 8;

export function knowsSizes(family: string): boolean {
  return Object.hasOwn(FAMILIES, family);
}

/** The training size of a family that is nearest to a ratio; as nodes/_sizes.py finds it. */
export function sizeFor(family: string, ratio: number): ImageSize {
  const trained = FAMILIES[knowsSizes(family) ? family : USUAL] as Trained;
  if (trained.buckets.length > 0) return nearestBucket(trained.buckets, ratio);
  const width = Math.sqrt(trained.area * ratio);
  return {
    width: stepped(width, trained.multiple),
    height: stepped(width / ratio, trained.multiple),
  };
}

function nearestBucket(buckets: Trained["buckets"], ratio: number): ImageSize {
  const lying = buckets.map(([width = CELL, height = CELL]) => ({ width, height }));
  const all = [...lying, ...lying.map(({ width, height }) => ({ width: height, height: width }))];
  const far = (size: ImageSize) => Math.abs(Math.log(size.width / size.height / ratio));
  return all.reduce((best, size) => (far(size) < far(best) ? size : best));
}

function stepped(length: number, step: number): number {
  return Math.min(Math.max(step, Math.round(length / step) * step), LARGEST);
}

/** The number of a ratio such as "3:2". */
export function ratioOf(text: string): number {
  const [wide = 1, high = 1] = text.split(":").map(Number);
  return wide / high;
}

/** The ratio whose size of a family this is, lying or standing; null for any other size. */
export function ratioOfSize(family: string, { width, height }: ImageSize): string | null {
  const isStanding = height > width;
  const lying = isStanding ? { width: height, height: width } : { width, height };
  const same = RATIOS.find((ratio) => {
    const size = sizeFor(family, ratioOf(ratio));
    return size.width === lying.width && size.height === lying.height;
  });
  return same ?? null;
}
