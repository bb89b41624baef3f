/** Which texts the sources use: for the test that none is missing and none is left over. */

export interface KeysUsed {
  /** "key (file)": used, but not there. */
  readonly missing: readonly string[];
  readonly used: readonly string[];
  /** There, but not used. */
  readonly unused: readonly string[];
}

const PLURAL = /_(?:zero|one|two|few|many|other)$/;

/**
 * Used is what stands in t("…") or in any other string literal that has the form of a key of a known
 * area. `t(`area.state.${name}`)` uses every key that fits.
 */
export function keysUsed(
  files: readonly (readonly [string, string])[],
  keys: readonly string[],
): KeysUsed {
  const known = new Set(keys.map((key) => key.replace(PLURAL, "")));
  const asked = new Map<string, string>();
  const literals = new Set<string>();
  const patterns: RegExp[] = [];
  for (const [file, text] of files) {
    for (const [, key = ""] of text.matchAll(/\bt\(\s*["'`]([\w.-]+)["'`]/g)) asked.set(key, file);
    for (const [, key = ""] of text.matchAll(/["'`]([a-zA-Z]\w*\.[\w.-]+)["'`]/g))
      literals.add(key);
    for (const [, template = ""] of text.matchAll(/`([a-zA-Z]\w*\.[^`\s]*\$\{[^`]*)`/g)) {
      patterns.push(patternOf(template));
    }
  }
  const missing = [...asked]
    .filter(([key]) => !known.has(key))
    .map(([key, file]) => `${key} (${file})`);
  const isUsed = (key: string) =>
    asked.has(key) || literals.has(key) || patterns.some((pattern) => pattern.test(key));
  const [there, unused] = [[...known].filter(isUsed), [...known].filter((key) => !isUsed(key))];
  return { missing, used: there, unused };
}

function patternOf(template: string): RegExp {
  const parts = template
    .split(/\$\{[^}]*\}/)
    .map((part) => part.replaceAll(/[.*+?^$()|[\]\\{}]/g, "\\$&"));
  return new RegExp(`^${parts.join("[\\w.-]+")}$`);
}
