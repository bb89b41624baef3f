/** The colours that people may give to cards, groups and notes: names in the file, tokens on screen. */
import type { Family } from "@/model/families";

/** Hues in the order in which they are offered. */
export const COLORS = [
  "red",
  "orange",
  "yellow",
  "green",
  "teal",
  "blue",
  "violet",
  "pink",
  "gray",
] as const;

const HUES: Readonly<Record<string, string>> = {
  red: "var(--tint-red)",
  orange: "var(--tint-orange)",
  yellow: "var(--tint-yellow)",
  green: "var(--tint-green)",
  teal: "var(--tint-teal)",
  blue: "var(--tint-blue)",
  violet: "var(--tint-violet)",
  pink: "var(--tint-pink)",
  gray: "var(--tint-gray)",
};

/** A colour of the file as CSS: one of ours, or one written as "#rrggbb"; else none. */
export function tintOf(color: string): string {
  const known = HUES[color];
  if (known) return known;
  return /^#[0-9a-f]{3,8}$/i.test(color) ? color : "transparent";
}

/** Color of a card's head, and of the whole card from afar: the chosen one, or that of its category. */
export function familyColor({ family }: { readonly family: Family | null }, color: string): string {
  if (color !== "") return `color-mix(in srgb, ${tintOf(color)} 34%, var(--bg-raised))`;
  return family === null ? "var(--bg-raised)" : `var(--family-${family})`;
}
