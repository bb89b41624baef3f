/** JSON read without changing a sign. */
import { type ParseErrorCode, printParseErrorCode, visit } from "jsonc-parser";
import { floatFromText, integer } from "./numbers";
import type { Json } from "./value";

/** A text that is no JSON, or that doesn't mean one thing everywhere; lines count from 1. */
export class JsonFault extends Error {
  constructor(
    message: string,
    readonly line: number,
    readonly column: number,
  ) {
    super(message);
    this.name = "JsonFault";
  }
}

const DEEPEST = 500;

interface Open {
  readonly items: Json[] | Map<string, Json>;
  key: string;
}

/** The value of a JSON text; throws a `JsonFault`. */
export function readJson(text: string): Json {
  const reader = new Reader(text.charCodeAt(0) === 0xfeff ? ` ${text.slice(1)}` : text);
  return reader.read();
}

class Reader {
  private readonly open: Open[] = [];
  private found: Json | undefined;

  constructor(private readonly text: string) {}

  read(): Json {
    if (this.text.trim() === "") this.fail("the text is empty", 0);
    visit(
      this.text,
      {
        onError: (code, offset) => this.fail(whatIsWrong(code), offset),
        onObjectBegin: (offset) => this.begin(new Map(), offset),
        onArrayBegin: (offset) => this.begin([], offset),
        onObjectEnd: () => this.end(),
        onArrayEnd: () => this.end(),
        onObjectProperty: (key, offset) => this.name(key, offset),
        onLiteralValue: (value, offset, length) =>
          this.put(typeof value === "number" ? this.number(offset, length) : value),
      },
      { disallowComments: true, allowTrailingComma: false, allowEmptyContent: false },
    );
    if (this.found === undefined) this.fail("there is no value", 0);
    return this.found;
  }

  private begin(items: Open["items"], offset: number): void {
    if (this.open.length >= DEEPEST) this.fail("it is nested too deeply", offset);
    this.open.push({ items, key: "" });
  }

  private end(): void {
    const closed = this.open.pop();
    if (closed) this.put(closed.items);
  }

  private name(key: string, offset: number): void {
    const top = this.open.at(-1);
    if (!top || !(top.items instanceof Map)) return;
    // The last one would win silently, and a node or an input be lost.
    if (top.items.has(key)) this.fail(`the key "${key}" occurs twice in one object`, offset);
    top.key = key;
  }

  private put(value: Json): void {
    const top = this.open.at(-1);
    if (!top) this.found = value;
    else if (top.items instanceof Map) top.items.set(top.key, value);
    else top.items.push(value);
  }

  private number(offset: number, length: number): Json {
    const text = this.text.slice(offset, offset + length);
    if (/^-?\d+$/.test(text)) {
      if (text.length > 4300) this.fail("a number is too long to be read", offset);
      return integer(text);
    }
    if (!Number.isFinite(Number(text))) this.fail(`the number ${text} is too large`, offset);
    return floatFromText(text);
  }

  private fail(message: string, offset: number): never {
    const before = this.text.slice(0, offset).split("\n");
    throw new JsonFault(message, before.length, (before.at(-1)?.length ?? 0) + 1);
  }
}

const FAULTS: Readonly<Record<string, string>> = {
  InvalidSymbol: "something stands here that JSON doesn't know",
  InvalidNumberFormat: "this is no JSON number",
  PropertyNameExpected: "the name of a key is missing, in double quotes",
  ValueExpected: "a value is missing",
  ColonExpected: "a colon is missing",
  CommaExpected: "a comma is missing",
  CloseBraceExpected: "a closing brace } is missing",
  CloseBracketExpected: "a closing bracket ] is missing",
  EndOfFileExpected: "there is more text after the end",
  InvalidCommentToken: "JSON has no comments",
  UnexpectedEndOfComment: "JSON has no comments",
  UnexpectedEndOfString: "a text isn't closed by a double quote",
  UnexpectedEndOfNumber: "a number is cut short",
  InvalidUnicode: "an escaped character is cut short",
  InvalidEscapeCharacter: "there is no such escaped character",
  InvalidCharacter: "a text holds a line break or another control character that isn't escaped",
};

function whatIsWrong(code: ParseErrorCode): string {
  return FAULTS[printParseErrorCode(code)] ?? "this is no JSON";
}
