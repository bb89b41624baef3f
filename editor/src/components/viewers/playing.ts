/** What players of videos and sounds share. */
import type { Option } from "@/components/ui";

export const SPEEDS: readonly string[] = ["0.1", "0.25", "0.5", "1", "1.5", "2", "4"];

export function speedOptions(): readonly Option[] {
  return SPEEDS.map((value) => ({ value, label: `${value} ×` }));
}

/** A time within something that plays: 0:07.25. */
export function clock(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const hundredths = Math.round(seconds * 100);
  const minutes = Math.floor(hundredths / 6000);
  const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
  return `${minutes}:${rest}`;
}
