/** Key presses as texts such as "mod+shift+z", and back to what a person reads. */
import { t } from "@/i18n";

const NAMES: Readonly<Record<string, string>> = {
  " ": "space",
  arrowup: "up",
  arrowdown: "down",
  arrowleft: "left",
  arrowright: "right",
  esc: "escape",
  del: "delete",
  return: "enter",
  "+": "plus",
};
/** Where signs are, for Alt on a Mac types others there. */
const PLACES: Readonly<Record<string, string>> = {
  BracketLeft: "[",
  BracketRight: "]",
  Comma: ",",
  Period: ".",
  Slash: "/",
  Minus: "-",
  Equal: "=",
};
const MODIFIERS = ["mod", "ctrl", "alt", "shift"];

export function isMac(): boolean {
  return typeof navigator !== "undefined" && /mac|iphone|ipad/i.test(navigator.platform);
}

/** One spelling for each chord: modifiers in their order, then the key, all small. */
export function normalChord(chord: string): string {
  const parts = chord
    .toLowerCase()
    .split("+")
    .map((part) => part.trim());
  const modifiers = MODIFIERS.filter((name) => parts.includes(name));
  const key = parts.filter((part) => !MODIFIERS.includes(part)).at(-1) ?? "";
  return [...modifiers, NAMES[key] ?? key].join("+");
}

/**
 * The chords that a press may mean, the likeliest first.
 *
 * "?" needs Shift on many keyboards, so a sign is found without it; digits and letters are also
 * found by their place on the keyboard, so that Shift+1 and a Cyrillic Z work.
 */
export function chordsOf(event: KeyboardEvent): readonly string[] {
  const typed = event.key.toLowerCase();
  if (["control", "shift", "alt", "meta", "dead", "altgraph"].includes(typed)) return [];
  const found: string[] = [];
  const key = NAMES[typed] ?? typed;
  const isSign = typed.length === 1 && !/[\p{L}\p{N} ]/u.test(typed);
  if (isSign) found.push(chord(event, key, false));
  found.push(chord(event, key, event.shiftKey));
  const placed = /^(?:Key([A-Z])|Digit(\d))$/.exec(event.code);
  const sameLetter = /^[a-z]$/.test(typed);
  if (placed && !sameLetter) {
    found.push(chord(event, (placed[1] ?? placed[2] ?? "").toLowerCase(), event.shiftKey));
  }
  const sign = PLACES[event.code];
  if (event.altKey && sign !== undefined) found.push(chord(event, sign, event.shiftKey));
  return [...new Set(found)];
}

function chord(event: KeyboardEvent, key: string, shift: boolean): string {
  const mac = isMac();
  const parts: string[] = [];
  // AltGr, with which some keyboards type "[" and "@", comes as Ctrl and Alt on Windows.
  if (event.getModifierState("AltGraph")) return key;
  if (mac ? event.metaKey : event.ctrlKey) parts.push("mod");
  if (mac ? event.ctrlKey : event.metaKey) parts.push("ctrl");
  if (event.altKey) parts.push("alt");
  if (shift) parts.push("shift");
  return [...parts, key].join("+");
}

const TEXT_INPUTS = /^(?:text|search|url|tel|email|password|number|date|time|)$/;

/** Whether keys go into a text here. */
export function isTextField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement) return true;
  return target instanceof HTMLInputElement && TEXT_INPUTS.test(target.type);
}

const PRESSED = "button, a[href], select, summary, input, [role=button], [role=switch], [role=tab]";
const MOVED =
  "select, input, [role=menu], [role=menubar], [role=listbox], [role=tree], [role=tablist], [role=slider], [role=separator], [role=radiogroup], [role=grid]";

/** Whether the focused control takes this very key itself: Enter on a button, arrows in a list. */
export function isInteractive(target: EventTarget | null, chords: readonly string[]): boolean {
  if (!(target instanceof Element)) return false;
  const key = chords.at(0) ?? "";
  if (key === "space" || key === "enter") return target.closest(PRESSED) === target;
  if (/^(?:shift\+)?(?:up|down|left|right|home|end|pageup|pagedown)$/.test(key)) {
    return target.closest(MOVED) !== null;
  }
  return false;
}

const SIGNS_MAC: Readonly<Record<string, string>> = {
  mod: "⌘",
  ctrl: "⌃",
  alt: "⌥",
  shift: "⇧",
  delete: "⌦",
  backspace: "⌫",
  enter: "↵",
};
const SIGNS: Readonly<Record<string, string>> = {
  ctrl: "Win",
  alt: "Alt",
  backspace: "⌫",
};
const SIGNS_BOTH: Readonly<Record<string, string>> = {
  up: "↑",
  down: "↓",
  left: "←",
  right: "→",
  tab: "Tab",
  plus: "+",
};
/** Keys on which a word stands, in the language of the keyboard. */
const WORDS: Readonly<Record<string, string>> = {
  mod: "ui.key.control",
  shift: "ui.key.shift",
  delete: "ui.key.delete",
  enter: "ui.key.enter",
  escape: "ui.key.escape",
  space: "ui.key.space",
  home: "ui.key.home",
  end: "ui.key.end",
  pageup: "ui.key.pageup",
  pagedown: "ui.key.pagedown",
};

function keyCap(part: string): string {
  const sign = (isMac() ? SIGNS_MAC : SIGNS)[part] ?? SIGNS_BOTH[part];
  const word = WORDS[part];
  return sign ?? (word ? t(word) : part.toUpperCase());
}

/** The caps of a chord's keys, as a person finds them on the keyboard. */
export function keyCaps(chordText: string): readonly string[] {
  return normalChord(chordText).split("+").map(keyCap);
}

/** The same in one text, for tooltips and menus. */
export function keyText(chordText: string): string {
  return keyCaps(chordText).join(isMac() ? "" : "+");
}
