/** Numbers as people read them: durations, sizes, times. Language follows the page's. */
import { t } from "./index";

export function pageLanguage(): string {
  return document.documentElement.lang || "en";
}

/** 12,480 in English, 12.480 in German. Values of fields aren't said so: they stand as in files. */
export function numeral(value: number, decimals = 0): string {
  const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return new Intl.NumberFormat(pageLanguage(), digits).format(value);
}

function measure(value: number, unit: string, decimals = 0): string {
  return t(`ui.unit.${unit}`, { number: numeral(value, decimals) });
}

/** 40 ms, 0.4 s, 12 s, 3 min 5 s, 2 h 10 min. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "–";
  if (seconds < 0.095) return measure(Math.max(1, Math.round(seconds * 1000)), "milliseconds");
  if (seconds < 9.95) return measure(seconds, "seconds", 1);
  const whole = Math.round(seconds);
  if (whole < 60) return measure(whole, "seconds");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return joined(measure(minutes, "minutes"), whole % 60, "seconds");
  return joined(measure(Math.floor(minutes / 60), "hours"), minutes % 60, "minutes");
}

/** How long a run takes at least, some of its nodes not having run before. */
export function atLeast(seconds: number): string {
  // What is known is hardly more than nothing, and would be taken for the whole.
  if (seconds < 1) return t("ui.time.unknown");
  return t("ui.time.atLeast", { time: duration(seconds) });
}

function joined(large: string, small: number, smallUnit: string): string {
  return small === 0 ? large : `${large} ${measure(small, smallUnit)}`;
}

/** A sentence with its full stop, if it has none. */
function ended(sentence: string): string {
  if (/[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}ー）」]$/u.test(sentence)) return `${sentence}。`;
  return /[\p{L}\p{N})”»“"'`]$/u.test(sentence) ? `${sentence}.` : sentence;
}

/** What is said and how to mend it, as sentences one after the other; nothing for empty ones. */
export function sentences(...parts: readonly (string | null | undefined)[]): string {
  const said = parts.filter((part): part is string => Boolean(part)).map(inWords);
  return said.map((part, index) => (index < said.length - 1 ? ended(part) : part)).join(" ");
}

/** What the server says for whoever writes files. It speaks English, so that is what stays. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/\{"from": "node\.port"\}, or \{"value": …\} for a literal/g, "a link, or a value"],
  [/Write \{"from": "([^"]+)"\}/g, "Link it to $1"],
  [/\{"from": "([^"]+)"\}/g, "$1"],
  [/Remove the `mode` of `([^`]+)`/g, "Let $1 run (it is muted or bypassed)"],
  [/remove its `mode`/g, "let it run"],
];

/** What the server says, in the words of somebody who sees a canvas and no file. */
export function inWords(text: string): string {
  return WORDS.reduce((said, [form, words]) => said.replace(form, words), text);
}

/** What is wrong with an input, as a sentence of its own: "image is missing". */
export function problemWords(problem: {
  readonly port?: string | null;
  readonly message: string;
}): string {
  const { port, message } = problem;
  const isOfPort =
    port && /^(is|isn't|has|takes|would|needs|must|can't|cannot|doesn't|does not)\b/.test(message);
  return inWords(isOfPort ? `${port} ${message}` : message);
}

/** What is wrong and what to do about it, in sentences. */
export function problemText({
  message,
  hint: given,
}: {
  readonly message: string;
  readonly hint?: string | null;
}): string {
  const hint = given && inWords(given);
  const said = inWords(message.charAt(0).toUpperCase() + message.slice(1));
  const sentence = /[.!?]$/.test(said) ? said : `${said}.`;
  return hint ? `${sentence} ${hint}` : sentence;
}

const LARGEST = ["terabytes", 1e12] as const;
const SIZES = [["kilobytes", 1e3], ["megabytes", 1e6], ["gigabytes", 1e9], LARGEST] as const;

/** 812 B, 47 kB, 1.2 MB. */
export function bytes(count: number): string {
  if (count < 1000) return measure(count, "bytes");
  const [unit, size] = SIZES.find(([, size]) => count < 999.5 * size) ?? LARGEST;
  return measure(count / size, unit, count < 9.95 * size ? 1 : 0);
}

/** The time of day if it was today, the date otherwise. Takes Unix seconds. */
export function moment(unixSeconds: number, now: Date): string {
  const then = new Date(unixSeconds * 1000);
  if (then.toDateString() === now.toDateString()) {
    return then.toLocaleTimeString(pageLanguage(), { hour: "2-digit", minute: "2-digit" });
  }
  const year = then.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return then.toLocaleDateString(pageLanguage(), { day: "numeric", month: "short", year });
}

/** Date and time in full. Takes Unix seconds. */
export function fullMoment(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toLocaleString(pageLanguage(), {
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
    const words = new Intl.RelativeTimeFormat(pageLanguage(), { numeric: "auto" }).format(
      days,
      "day",
    );
    return words.charAt(0).toLocaleUpperCase(pageLanguage()) + words.slice(1);
  }
  return then.toLocaleDateString(pageLanguage(), {
    day: "numeric",
    month: "long",
    year: "numeric",
  });
}
