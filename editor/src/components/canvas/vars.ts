import type { CSSProperties } from "react";

/** CSS variables as a style, which React's types don't know. */
export function vars(values: Readonly<Record<`--${string}`, string>>): CSSProperties {
  return values as CSSProperties;
}
