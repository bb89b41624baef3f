/** How an element says its tooltip, which the layer in Tooltip.tsx shows. */
import { cloneElement, type ReactElement } from "react";

interface TipProps {
  readonly "data-tip": string;
  readonly "data-tip-keys"?: string;
}

/** Props that give any element a tooltip. Lines are kept; the first may be made a title with "\n". */
export function tip(text: string, keys?: string): TipProps {
  return keys === undefined ? { "data-tip": text } : { "data-tip": text, "data-tip-keys": keys };
}

interface TooltipProps {
  readonly text: string;
  readonly keys?: string;
  readonly children: ReactElement<object>;
}

export function Tooltip({ text, keys, children }: TooltipProps) {
  return cloneElement(children, tip(text, keys));
}
