/** What players of videos and sounds share. */
import type { Option } from "@/components/ui";

export const SPEEDS: readonly string[] = ["0.1", "0.25", "0.5", "1", "1.5", "2", "4"];

export function speedOptions(): readonly Option[] {
  return SPEEDS.map((value) => ({ value, label: `${value} ×` }));
}

/** A time in whole seconds, for where there is little room: 0:07, 1:02:30. */
export function shortClock(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [hours = 0, minutes = 0, rest = 0] = parts;
  const end = String(rest).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${end}` : `${minutes}:${end}`;
}

/** A time within something that plays: 0:07.25. */
export function clock(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const hundredths = Math.round(seconds * 100);
  const minutes = Math.floor(hundredths / 6000);
  const rest = ((hundredths % 6000) / 100).toFixed(2).padStart(5, "0");
  return `${minutes}:${rest}`;
}
