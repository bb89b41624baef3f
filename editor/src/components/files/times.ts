/** Times of the server, which are Unix seconds, in words. */
import { pageLanguage } from "@/i18n/format";

const STEPS: readonly (readonly [unit: Intl.RelativeTimeFormatUnit, seconds: number])[] = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** How long ago it was, such as "3 hours ago". */
export function sinceText(seconds: number, now = Date.now() / 1000): string {
  const passed = now - seconds;
  const words = new Intl.RelativeTimeFormat(pageLanguage(), { numeric: "auto" });
  for (const [unit, length] of STEPS) {
    if (passed >= length) return words.format(-Math.floor(passed / length), unit);
  }
  return words.format(0, "second");
}

export function exactTime(seconds: number): string {
  return new Date(seconds * 1000).toLocaleString(pageLanguage());
}
