/** Names that aren't taken yet. */

/** The wanted name, or the next one of its kind: "blur", "blur_2", "blur_3". */
export function freeName(wanted: string, taken: { has(name: string): boolean }): string {
  if (!taken.has(wanted)) return wanted;
  const stem = wanted.replace(/_\d{1,9}$/, "");
  for (let number = 2; ; number += 1) {
    const name = `${stem}_${number}`;
    if (!taken.has(name)) return name;
  }
}

/** What a node of a type is called at first: "vae_decode" for "VAEDecode". */
export function nameForType(type: string): string {
  const short = type.slice(type.lastIndexOf(":") + 1);
  const name = short
    .replace(/([A-Z]{2,})([A-Z][a-z])/g, "$1_$2")
    .replace(/([a-z\d])([A-Z])/g, "$1_$2")
    .replace(/[\s./]+/g, "_")
    .toLowerCase();
  return name || "node";
}

/** A name without the signs that part names: "." and "/". */
export function cleanNodeName(wanted: string): string {
  return wanted.trim().replace(/[./]+/g, "_");
}
