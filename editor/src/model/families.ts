/** What a node is for, as coarsely as a colour can tell it: from its category in the palette. */

export const FAMILIES = [
  "models",
  "words",
  "sampling",
  "latent",
  "image",
  "mask",
  "media",
  "data",
  "logic",
] as const;

export type Family = (typeof FAMILIES)[number];

/** By the first part of a category. */
const KNOWN: ReadonlyMap<string, Family> = new Map([
  ["models", "models"],
  ["speed", "models"],
  ["conditioning", "words"],
  ["text", "words"],
  ["sampling", "sampling"],
  ["schedule", "sampling"],
  ["control", "sampling"],
  ["latent", "latent"],
  ["image", "image"],
  ["mask", "mask"],
  ["audio", "media"],
  ["video", "media"],
  ["3d", "media"],
  ["molecule", "media"],
  ["plot", "media"],
  ["dataset", "data"],
  ["training", "data"],
  ["flow", "logic"],
  ["list", "logic"],
  ["number", "logic"],
  ["helper", "logic"],
]);

/** The family of a category; one that only a pack knows always gets the same. */
export function familyOf(category: string): Family {
  const [first = ""] = category.toLowerCase().split("/");
  const known = KNOWN.get(first);
  if (known !== undefined || first === "") return known ?? "logic";
  let sum = 0;
  for (const letter of first) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return FAMILIES[sum % FAMILIES.length] ?? "logic";
}
