/**
 * What the editor and the frame of a pack's widget or panel say to each other.
 *
 * A frame is another's code: whatever comes from it is read as data that may be anything.
 */
import { fromPlain, type Json } from "./json";
import type { InputSpec } from "./spec";

/** Raised when an older frame's page wouldn't understand what it is told. */
export const PROTOCOL = 1;

export interface FrameTheme {
  readonly name: string;
  readonly scheme: "light" | "dark";
  /** The editor's colours by name, as CSS has them. */
  readonly colors: Readonly<Record<string, string>>;
}

export interface FrameSize {
  readonly width: number;
  readonly height: number;
}

/** What a panel may know of the graph: it looks, and changes nothing. */
export interface FrameContext {
  /** The one that is selected. */
  readonly node: {
    readonly name: string;
    readonly type: string;
    readonly inputs: Readonly<Record<string, unknown>>;
  } | null;
  /** The newest one that the selected node gave, else that any did; small. */
  readonly picture: Blob | null;
  /** The node that gave it; "" without one. */
  readonly made_by: string;
}

/** What a frame is told first, with the port that all else goes through. */
export interface FrameInit {
  readonly type: "widget" | "panel";
  readonly label: string;
  readonly language: string;
  readonly theme: FrameTheme;
  readonly size: FrameSize;
  readonly disabled: boolean;
  readonly value: unknown;
  readonly spec: unknown;
  readonly context: FrameContext | null;
}

export type FrameMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "pong"; readonly number: number }
  | { readonly kind: "change"; readonly value: Json; readonly final: boolean }
  | { readonly kind: "resize"; readonly height: number }
  | { readonly kind: "error"; readonly message: string; readonly fatal: boolean }
  | { readonly kind: "key"; readonly key: string; readonly ctrl: boolean; readonly shift: boolean }
  | {
      readonly kind: "wheel";
      readonly dx: number;
      readonly dy: number;
      readonly mode: number;
      readonly ctrl: boolean;
      readonly x: number;
      readonly y: number;
    };

export const LOWEST = 24;
export const HIGHEST = 640;
const LONGEST = 500;
/** Going back to the editor, undoing, the list of commands: nothing that runs, saves or deletes. */
const KEYS: ReadonlySet<string> = new Set(["Escape", "z", "Z", "y", "Y", "k", "K"]);

/** A message of a frame; null for what is none, which is left alone. */
export function readMessage(data: unknown): FrameMessage | null {
  if (typeof data !== "object" || data === null) return null;
  const given = data as Readonly<Record<string, unknown>>;
  switch (given.kind) {
    case "ready":
      return { kind: "ready" };
    case "pong":
      return { kind: "pong", number: numberIn(given.number) };
    case "resize":
      return { kind: "resize", height: within(numberIn(given.height), LOWEST, HIGHEST) };
    case "error":
      return {
        kind: "error",
        message: String(given.message).slice(0, LONGEST),
        fatal: given.fatal === true,
      };
    case "key":
      if (!KEYS.has(String(given.key))) return null;
      return {
        kind: "key",
        key: String(given.key),
        ctrl: given.ctrl === true || given.meta === true,
        shift: given.shift === true,
      };
    case "wheel":
      return {
        kind: "wheel",
        dx: numberIn(given.dx),
        dy: numberIn(given.dy),
        mode: within(numberIn(given.mode), 0, 2),
        ctrl: given.ctrl === true,
        x: numberIn(given.x),
        y: numberIn(given.y),
      };
    case "change":
      return changeOf(given);
    default:
      return null;
  }
}

function changeOf({ value, final }: Readonly<Record<string, unknown>>): FrameMessage {
  const fault = jsonFault(value);
  if (fault !== null) return { kind: "error", message: fault, fatal: false };
  return { kind: "change", value: fromPlain(value), final: final !== false };
}

const DEEPEST = 32;
const MOST_VALUES = 20_000;
const MOST_LETTERS = 200_000;

/** Why a value can't be written into a workflow; null if it can. */
export function jsonFault(value: unknown): string | null {
  let [values, letters] = [0, 0];
  const look = (item: unknown, depth: number): string | null => {
    values += 1;
    if (values > MOST_VALUES || letters > MOST_LETTERS) return "the value is too large";
    if (depth > DEEPEST) return "the value is nested too deeply";
    if (item === null || typeof item === "boolean") return null;
    if (typeof item === "string") {
      letters += item.length;
      return letters > MOST_LETTERS ? "the value is too large" : null;
    }
    if (typeof item === "number") {
      return Number.isFinite(item) ? null : `${item} is no number that JSON has`;
    }
    const isPlain = Array.isArray(item) || Object.prototype.toString.call(item) === PLAIN;
    if (typeof item !== "object" || !isPlain) return `a ${typeof item} is nothing that JSON has`;
    for (const [key, inner] of Object.entries(item)) {
      letters += Array.isArray(item) ? 0 : key.length;
      const fault = look(inner, depth + 1);
      if (fault !== null) return fault;
    }
    return null;
  };
  return look(value, 0);
}

const PLAIN = "[object Object]";

function numberIn(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

function within(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, Math.round(value)));
}

/** What a widget is told of its input. */
export function toldOf(input: InputSpec): Readonly<Record<string, unknown>> {
  const { name, type, required, nullable, json_schema, help } = input;
  return { name, type, required, nullable, json_schema, default: input.default, help };
}
