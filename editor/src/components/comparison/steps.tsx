/** From difference to difference: by buttons and, wherever the focus is in the dialog, by keys. */
import { ArrowDown, ArrowUp } from "lucide-react";
import type { KeyboardEvent } from "react";
import { IconButton } from "@/components/ui";
import { t } from "@/i18n";

/** The list of shortcuts shows them, too. */
export const STEPS = [
  { label: "comparison.previous", keys: "p", by: -1, icon: ArrowUp },
  { label: "comparison.next", keys: "n", by: 1, icon: ArrowDown },
] as const;

interface StepButtonsProps {
  /** Index of the one that is shown; -1 before the first. */
  readonly at: number;
  readonly count: number;
  readonly onStep: (index: number) => void;
}

export function StepButtons({ at, count, onStep }: StepButtonsProps) {
  return STEPS.map(({ label, keys, by, icon }) => (
    <IconButton
      key={label}
      icon={icon}
      size="s"
      label={t(label)}
      keys={keys}
      disabled={at + by < 0 || at + by >= count}
      onClick={() => onStep(at + by)}
    />
  ));
}

/** How far a key goes in the list; 0 for what is typed and for all other keys. */
export function stepOf({ key, ctrlKey, metaKey, altKey, target }: KeyboardEvent): number {
  if (ctrlKey || metaKey || altKey || isTyped(target)) return 0;
  return STEPS.find(({ keys }) => keys === key.toLowerCase())?.by ?? 0;
}

function isTyped(target: EventTarget): boolean {
  const field = target instanceof HTMLElement && target.closest("input, textarea, select");
  return field !== null && field !== false && field.getAttribute("type") !== "radio";
}
