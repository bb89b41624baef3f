/** Numbers as people read them: durations, sizes, times. Language follows the page's. */
import { t } from "./index";

function language(): string {
  return document.documentElement.lang || "en";
}

/** 40 ms, 0.4 s, 12 s, 3 min 5 s, 2 h 10 min. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 0.095) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return joined(minutes, "min", whole % 60, "s");
  return joined(Math.floor(minutes / 60), "h", minutes % 60, "min");
}

/** How long a run takes at least, some of its nodes not having run before. */
export function atLeast(seconds: number): string {
  // What is known is hardly more than nothing, and would be taken for the whole.
  if (seconds < 1) return t("ui.time.unknown");
  return t("ui.time.atLeast", { time: duration(seconds) });
}

function joined(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** What is said and how to mend it, as sentences one after the other; nothing for empty ones. */
export function sentences(...parts: readonly (string | null | undefined)[]): string {
  const said = parts.filter((part): part is string => Boolean(part)).map(inWords);
  return said
    .map((part, index) =>
      index < said.length - 1 && /[\p{L}\p{N})”"'`]$/u.test(part) ? `${part}.` : part,
    )
    .join(" ");
}

const WORDS: readonly (readonly [RegExp, string])[] = [
  // What a file has, said for whoever writes files.
  [/\{"from": "node\.port"\}, or \{"value": …\} for a literal/g, "ui.words.linkOrValue"],
  [/Write \{"from": "([^"]+)"\}/g, "ui.words.link"],
  [/\{"from": "([^"]+)"\}/g, "ui.words.name"],
  [/Take the `mode` of `([^`]+)` away/g, "ui.words.enable"],
  [/take its `mode` away/g, "ui.words.enableIt"],
];

/** What the server says, in the words of somebody who sees a canvas and no file. */
export function inWords(text: string): string {
  return WORDS.reduce(
    (said, [form, key]) => said.replace(form, (_, name?: string) => t(key, { name })),
    text,
  );
}

/** What is wrong with an input, as a sentence of its own: "image is missing". */
export function problemWords(problem: {
  readonly port?: string | null;
  readonly message: string;
}): string {
  const { port, message } = problem;
  const isOfPort = port && /^(is|isn't|has|takes|would|needs|must|can't|doesn't)\b/.test(message);
  return inWords(isOfPort ? `${port} ${message}` : message);
}

/** 812 B, 47 kB, 1.2 MB. */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = count / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** The time of day if it was today, the date otherwise. Takes Unix seconds. */
export function moment(unixSeconds: number, now: Date): string {
  const then = new Date(unixSeconds * 1000);
  if (then.toDateString() === now.toDateString()) {
    return then.toLocaleTimeString(language(), { hour: "2-digit", minute: "2-digit" });
  }
  const year = then.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return then.toLocaleDateString(language(), { day: "numeric", month: "short", year });
}

/** Date and time in full. Takes Unix seconds. */
export function fullMoment(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toLocaleString(language(), {
    dateStyle: "medium",
    timeStyle: "medium",
  });
}

/** A day as a heading's key: the same for all moments of one day here. Takes Unix seconds. */
export function dayOf(unixSeconds: number): string {
  const then = new Date(unixSeconds * 1000);
  return `${then.getFullYear()}-${then.getMonth() + 1}-${then.getDate()}`;
}

/** "Today", "Yesterday" or the date, in the page's language. */
export function dayLabel(unixSeconds: number, now: Date): string {
  const then = new Date(unixSeconds * 1000);
  const midnight = (date: Date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
  const days = Math.round((midnight(then).getTime() - midnight(now).getTime()) / 86_400_000);
  if (days === 0 || days === -1) {
    const words = new Intl.RelativeTimeFormat(language(), { numeric: "auto" }).format(days, "day");
    return words.charAt(0).toLocaleUpperCase(language()) + words.slice(1);
  }
  return then.toLocaleDateString(language(), { day: "numeric", month: "long", year: "numeric" });
}
