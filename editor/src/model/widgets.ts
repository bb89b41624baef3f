/** How an input is shown and checked, worked out from its JSON Schema and its declared widget. */
import { t } from "@/i18n";
import { ExactNumber, fromPlain, isObject, type Json, numberOf, sameJson, valueText } from "./json";
import { linkOf, literalOf } from "./links";
import { nearestFirst } from "./nearest";
import type { InputSpec } from "./spec";
import type { JsonSchema } from "./types";

const FILE_KINDS = ["image", "video", "model", "lora", "embedding", "any"] as const;

export type FileKind = (typeof FILE_KINDS)[number];

/** Whether files of a kind lie under the models folders, where the server lists them. */
export function isOfModels(kind: FileKind): kind is "model" | "lora" | "embedding" {
  return kind === "model" || kind === "lora" || kind === "embedding";
}

export type Widget =
  | {
      readonly kind: "number";
      readonly integer: boolean;
      readonly minimum: number | null;
      readonly maximum: number | null;
      readonly step: number;
      /** Whether a slider makes sense: both ends known, and not too many steps between. */
      readonly slider: boolean;
    }
  | { readonly kind: "choice"; readonly options: readonly Json[] }
  | {
      readonly kind: "text";
      readonly multiline: boolean;
      /** Whether words can be weighed: (word:1.1). */
      readonly prompt: boolean;
    }
  | { readonly kind: "seed" }
  | { readonly kind: "toggle" }
  | { readonly kind: "color" }
  | { readonly kind: "file"; readonly file: FileKind }
  | { readonly kind: "subgraph" }
  /** The name of a secret; its value is never here. */
  | { readonly kind: "secret" }
  /** The pack's own; without an address it isn't there. */
  | { readonly kind: "pack"; readonly name: string; readonly href: string | null }
  | { readonly kind: "json" };

/** How an input is edited; null if it can only be linked. */
export function widgetOf(input: InputSpec): Widget | null {
  if (input.json_schema === null) return null;
  return declaredWidget(input) ?? widgetOfSchema(input, input.json_schema);
}

function declaredWidget(input: InputSpec): Widget | null {
  const [name, detail = ""] = input.widget.split(":");
  if (name === "pack") return { kind: "pack", name: detail, href: input.frame ?? null };
  if (name === "seed") return { kind: "seed" };
  if (name === "subgraph") return { kind: "subgraph" };
  if (name === "secret") return { kind: "secret" };
  if (name === "color" || name === "colour") return { kind: "color" };
  if (name === "file") {
    const file = FILE_KINDS.find((kind) => kind === detail) ?? "any";
    return { kind: "file", file };
  }
  if (name === "multiline") return { kind: "text", multiline: true, prompt: isPrompt(input) };
  return null;
}

function widgetOfSchema(input: InputSpec, schema: JsonSchema): Widget | null {
  const options = optionsOf(schema);
  if (options) return { kind: "choice", options };
  switch (typeName(schema)) {
    case "integer":
      return numberWidget(input, schema, true);
    case "number":
      return numberWidget(input, schema, false);
    case "boolean":
      return { kind: "toggle" };
    case "string":
      if (isColor(input, schema)) return { kind: "color" };
      return input.type === "Path"
        ? { kind: "file", file: "any" }
        : { kind: "text", multiline: false, prompt: false };
    case "any":
      // Anything may be written, but what it is for is mostly a link.
      return input.nullable || input.lazy || input.required ? null : { kind: "json" };
    default:
      return { kind: "json" };
  }
}

/** The one type that a schema allows, "any" without one, "several" for more. */
function typeName(schema: JsonSchema): string {
  if (Array.isArray(schema.anyOf)) {
    const names = new Set(schemasIn(schema.anyOf).map(typeName));
    names.delete("null");
    if (names.has("number")) names.delete("integer");
    return names.size === 1 ? ([...names][0] ?? "any") : "several";
  }
  return typeof schema.type === "string" ? schema.type : "any";
}

function optionsOf(schema: JsonSchema): readonly Json[] | null {
  return Array.isArray(schema.enum) ? schema.enum.map(fromPlain) : null;
}

function isColor(input: InputSpec, schema: JsonSchema): boolean {
  return schema.format === "color" || /(^|_)colou?r$/.test(input.name);
}

/** The engine reads weights wherever a text encoder encodes: in what is called text or prompt. */
function isPrompt(input: InputSpec): boolean {
  return /^(text|prompt|positive|negative)(_|$)|_prompt$/.test(input.name);
}

const MOST_SLIDER_STEPS = 10_000;

function numberWidget(input: InputSpec, schema: JsonSchema, integer: boolean): Widget {
  const minimum = bound(schema, "minimum");
  const maximum = bound(schema, "maximum");
  const multiple = bound(schema, "multipleOf");
  const step = multiple ?? input.step ?? (integer ? 1 : usualStep(minimum, maximum));
  const steps = minimum === null || maximum === null ? Infinity : (maximum - minimum) / step;
  return { kind: "number", integer, minimum, maximum, step, slider: steps <= MOST_SLIDER_STEPS };
}

function bound(schema: JsonSchema, name: string): number | null {
  const own = schema[name];
  if (typeof own === "number") return own;
  if (own instanceof ExactNumber) return own.value;
  const inner = Array.isArray(schema.anyOf) ? schemasIn(schema.anyOf) : [];
  const found = inner.map((item) => bound(item, name)).filter((item) => item !== null);
  return found.length === 1 ? (found[0] ?? null) : null;
}

/** A hundredth of a small range, rounded to a power of ten; 0.01 where there is no range. */
function usualStep(minimum: number | null, maximum: number | null): number {
  if (minimum === null || maximum === null || maximum <= minimum) return 0.01;
  return 10 ** Math.floor(Math.log10((maximum - minimum) / 100));
}

function schemasIn(items: readonly unknown[]): readonly JsonSchema[] {
  return items.filter((item): item is JsonSchema => typeof item === "object" && item !== null);
}

// Checking

/** What is wrong with a value as written for an input, in words; null if nothing is, or it's a link. */
export function checkValue(input: InputSpec, written: Json | undefined): string | null {
  if (written === undefined) return input.required ? t("values.missing") : null;
  if (linkOf(written) !== null) return null;
  const value = literalOf(written);
  if (value === undefined) return null;
  if (value === null && input.nullable) return null;
  if (input.json_schema === null) return t("values.linkOnly", { type: input.type });
  return faultOf(value, input.json_schema);
}

function faultOf(value: Json, schema: JsonSchema): string | null {
  const options = optionsOf(schema);
  if (options) {
    if (options.some((option) => sameValue(option, value))) return null;
    return notAChoice(value, options);
  }
  if (Array.isArray(schema.anyOf)) {
    const found = schemasIn(schema.anyOf).map((option) => faultOf(value, option));
    if (!found.includes(null)) return found[0] ?? null;
    return numberFault(value, schema);
  }
  if (typeof schema.type === "string" && !IS[schema.type]?.(value)) {
    return t(`values.type.${schema.type}`);
  }
  if (Array.isArray(value) && typeof schema.items === "object" && schema.items !== null) {
    return itemFault(value, schema.items as JsonSchema);
  }
  return typeof value === "string" ? textFault(value) : numberFault(value, schema);
}

/** Choices that are told where there are many. */
const MOST_NEAR = 3;
/** As many are told as well as a few of them. */
const FEW = 5;
const LONGEST = 40;

function notAChoice(value: Json, options: readonly Json[]): string {
  const given = valueText(value);
  const names = options.map(valueText);
  const told = names.length <= FEW ? names : nearestFirst(given, names).slice(0, MOST_NEAR);
  return t("values.notAChoice", {
    value: given.length > LONGEST ? `${given.slice(0, LONGEST)}…` : given,
    choices: told.join(", "),
    count: names.length - told.length,
  });
}

function itemFault(value: readonly Json[], items: JsonSchema): string | null {
  for (const [index, item] of value.entries()) {
    const fault = faultOf(item, items);
    if (fault !== null) return t("values.item", { number: index + 1, fault });
  }
  return null;
}

const IS: Readonly<Record<string, (value: Json) => boolean>> = {
  integer: (value) => {
    if (value instanceof ExactNumber && wholeOf(value) !== null) return true;
    const number = numberOf(value);
    return number !== null && Number.isInteger(number);
  },
  number: (value) => numberOf(value) !== null && Number.isFinite(numberOf(value)),
  boolean: (value) => typeof value === "boolean",
  string: (value) => typeof value === "string",
  array: Array.isArray,
  object: isObject,
  null: (value) => value === null,
};

function textFault(text: string): string | null {
  return /\p{Surrogate}/u.test(text) ? t("values.halfCharacter") : null;
}

/** Whole numbers are compared as such: beyond 2^53 a JavaScript number is another one. */
function numberFault(value: Json, schema: JsonSchema): string | null {
  const number = numberOf(value);
  if (number === null) return null;
  const { minimum, maximum } = schema;
  const low = typeof minimum === "number" ? minimum : null;
  const high = typeof maximum === "number" ? maximum : null;
  if (low !== null && isBelow(value, low)) return t("values.tooSmall", { limit: low });
  if (high !== null && isAbove(value, high)) return t("values.tooLarge", { limit: atMost(high) });
  const multiple = schema.multipleOf;
  if (typeof multiple === "number" && number % multiple !== 0) {
    return t("values.notAMultiple", { step: multiple, ...around(number, multiple) });
  }
  return null;
}

function around(number: number, step: number): { below: number; above: number } {
  const below = Math.floor(number / step) * step;
  return { below, above: below + step };
}

/** The largest whole number of 64 bits, which a JavaScript number rounds up. */
const LARGEST = 2n ** 64n - 1n;

function atMost(limit: number): number | string {
  return limit === 2 ** 64 ? String(LARGEST) : limit;
}

function isAbove(value: Json, limit: number): boolean {
  const whole = wholeOf(value);
  if (whole === null) return (numberOf(value) ?? 0) > limit;
  if (!Number.isInteger(limit)) return Number(whole) > limit;
  return whole > (limit === 2 ** 64 ? LARGEST : BigInt(limit));
}

function isBelow(value: Json, limit: number): boolean {
  const whole = wholeOf(value);
  if (whole === null || !Number.isInteger(limit)) return (numberOf(value) ?? 0) < limit;
  return whole < BigInt(limit);
}

function wholeOf(value: Json): bigint | null {
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : null;
  return value instanceof ExactNumber && /^-?\d+$/.test(value.text) ? BigInt(value.text) : null;
}

/** 4 and 4.0 are the same choice, as they are to the engine. */
function sameValue(a: Json, b: Json): boolean {
  const numbers = [numberOf(a), numberOf(b)];
  return numbers[0] !== null && numbers[1] !== null ? numbers[0] === numbers[1] : sameJson(a, b);
}
