/** What may be meant by the beginning of a word or phrase of a prompt. */
import { type FoundTag, type Tag, tagsFor, tagText } from "./generate/tags";

export interface PromptSources {
  /** Whole prompts that were run, the newest first. */
  readonly prompts: readonly string[];
  readonly embeddings: readonly EmbeddingSource[];
  readonly loras: readonly LoraSource[];
  /** Of the list that somebody has chosen, the most used first. */
  readonly tags: readonly Tag[];
  /** That the text encoder knows, the most common first. */
  readonly words: readonly string[];
}

/** A textual inversion. */
export interface EmbeddingSource {
  /** That prompts say. */
  readonly word: string;
  /** What a node that loads it is given; null where the graph does that already. */
  readonly file: string | null;
}

export interface LoraSource {
  /** What nodes that load it are given. */
  readonly name: string;
  /** What prompts say for what it was taught; "" where that isn't known. */
  readonly words: string;
}

export const NO_SOURCES: PromptSources = {
  prompts: [],
  embeddings: [],
  loras: [],
  tags: [],
  words: [],
};

export type ProposalKind = "prompt" | "phrase" | "embedding" | "lora" | "tag" | "word";

export interface Proposal {
  readonly kind: ProposalKind;
  /** What stands there once it is taken, from `start` to `end`. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
  /** That is put on the model by a node; prompts themselves name none. */
  readonly lora?: LoraSource;
  /** Whose word the text encoder is taught by a node. */
  readonly embedding?: EmbeddingSource;
  /** With how often it is used, and the alias that was typed. */
  readonly tag?: FoundTag;
}

/** Letters that are typed before anything is proposed unasked. */
const LEAST = 2;
const MOST: Readonly<Record<ProposalKind, number>> = {
  prompt: 8,
  phrase: 4,
  embedding: 4,
  lora: 4,
  tag: 8,
  word: 8,
};
const MOST_IN_ALL = 12;
/** How other programs name LoRAs in prompts, as far as it is typed. */
const LORA_TAG = /<lora:([^<>:]*)$/i;
const LETTER = /[\p{L}\p{M}\p{N}_]/u;

/**
 * What the text before the caret may go on to be.
 *
 * @param asked Whether somebody asked for it: then after one letter, too, and before any.
 */
export function proposalsFor(
  text: string,
  caret: number,
  sources: PromptSources,
  asked = false,
): readonly Proposal[] {
  // In the middle of a word nothing goes on.
  if (LETTER.test(text[caret] ?? "")) return [];
  const before = text.slice(0, caret);
  const tag = LORA_TAG.exec(before);
  const word = wordBefore(text, caret);
  const phrase = /[^,;.\n()[\]|:]*$/u.exec(before)?.[0].trimStart() ?? "";
  const found = tag
    ? ofLoraTag(tag[0], tag[1] ?? "", sources.loras)
    : [
        ...ofPrompts(text, caret, sources.prompts, asked),
        ...ofPhrases(phrase, sources.prompts),
        ...(word.length >= LEAST ? ofLoras(word, phrase, sources.loras) : []),
        ...(phrase.length >= LEAST ? ofTags(phrase, sources.tags) : []),
        ...(asked || word.length >= LEAST ? ofWords(word, sources, asked) : []),
      ];
  const placed = found.map(({ typed, ...each }) => ({
    ...each,
    start: startOf(text, caret, typed, each.text),
    end: each.kind === "prompt" ? text.length : caret,
  }));
  const isNew = (each: Proposal, at: number) =>
    each.lora !== undefined ||
    (each.text !== text.slice(each.start, each.end) &&
      placed.findIndex((other) => resultOf(text, other) === resultOf(text, each)) === at);
  return placed.filter(isNew).slice(0, MOST_IN_ALL);
}

/** Where what is typed begins; what nothing is put in place of leaves no second space. */
function startOf(text: string, caret: number, typed: string, put: string): number {
  const start = caret - typed.length;
  const isGap = put === "" && text[start - 1] === " " && /[\s,]/.test(text[caret] ?? "");
  return isGap ? start - 1 : start;
}

function wordBefore(text: string, caret: number): string {
  return /[\p{L}\p{M}\p{N}_'-]*$/u.exec(text.slice(0, caret))?.[0] ?? "";
}

/**
 * The proposal that Tab takes if none is chosen: not one that changes more than the text, unless
 * that is clearly meant.
 */
export function firstMeant(text: string, found: readonly Proposal[]): Proposal | undefined {
  return found.find(
    ({ lora, embedding, start, end }) =>
      (lora === undefined && embedding === undefined) || LORA_TAG.test(text.slice(start, end)),
  );
}

/** How a LoRA is called: by its file's name. */
export function loraTitle({ name }: LoraSource): string {
  return name.slice(name.lastIndexOf("/") + 1).replace(/\.safetensors$/, "");
}

/** Whether the word before the caret is whole as it is. */
export function isWhole(
  text: string,
  caret: number,
  { words, embeddings }: PromptSources,
): boolean {
  const word = wordBefore(text, caret).toLowerCase();
  const known = [...embeddings.map((each) => each.word), ...words];
  return known.some((each) => each.toLowerCase() === word);
}

/** The text once a proposal is taken, and where its end is. */
export function taken(text: string, { text: put, start, end }: Proposal) {
  return { text: text.slice(0, start) + put + text.slice(end), caret: start + put.length };
}

function resultOf(text: string, proposal: Proposal): string {
  return taken(text, proposal).text;
}

interface Found {
  readonly kind: ProposalKind;
  readonly text: string;
  /** The end of what stands before the caret that it takes the place of. */
  readonly typed: string;
  readonly lora?: LoraSource;
  readonly embedding?: EmbeddingSource;
  readonly tag?: FoundTag;
}

/** Earlier prompts that begin as this one, or any where there is none yet. */
function ofPrompts(
  text: string,
  caret: number,
  prompts: readonly string[],
  asked: boolean,
): readonly Found[] {
  const typed = text.slice(0, caret);
  const isAtEnd = text.slice(caret).trim() === "";
  const isWanted = typed.trim().length >= LEAST || (asked && text.trim() === "");
  if (!isAtEnd || !isWanted) return [];
  const found = prompts.filter((prompt) => goesOn(prompt, typed));
  return found.slice(0, MOST.prompt).map((prompt) => ({ kind: "prompt", text: prompt, typed }));
}

/** Parts of earlier prompts between commas that begin as the one that is being typed. */
function ofPhrases(typed: string, prompts: readonly string[]): readonly Found[] {
  if (typed.length < LEAST) return [];
  const phrases = new Set(prompts.flatMap((prompt) => prompt.split(/[,;.\n]+\s*/)));
  const found = [...phrases].filter((phrase) => goesOn(phrase.trimEnd(), typed));
  const shown = found.slice(0, MOST.phrase);
  return shown.map((phrase) => ({ kind: "phrase", text: phrase.trimEnd(), typed }));
}

/** Tags of the list that begin, by name or alias, as what stands since the last comma. */
function ofTags(phrase: string, tags: readonly Tag[]): readonly Found[] {
  return tagsFor(tags, phrase, MOST.tag).map((tag) => ({
    kind: "tag",
    text: tagText(tag.tag.name),
    typed: phrase,
    tag,
  }));
}

function ofWords(typed: string, sources: PromptSources, asked: boolean): readonly Found[] {
  const embeddings = sources.embeddings.filter(({ word }) => goesOn(word, typed));
  const words: string[] = [];
  // Of tens of thousands: only until there are enough.
  for (const word of typed === "" ? [] : sources.words) {
    if (goesOn(word, typed)) words.push(word);
    if (words.length === MOST.word) break;
  }
  return [
    ...(asked || typed !== "" ? embeddings.slice(0, MOST.embedding) : []).map(
      (embedding): Found => ({
        kind: "embedding",
        text: escaped(embedding.word),
        typed,
        ...(embedding.file !== null && { embedding }),
      }),
    ),
    // In the case in which it was begun.
    ...words.map(
      (word): Found => ({ kind: "word", text: typed + word.slice(typed.length), typed }),
    ),
  ];
}

/** Those with a word in their names, or with trigger words, that begin as what is typed. */
function ofLoras(word: string, phrase: string, loras: readonly LoraSource[]): readonly Found[] {
  const [most, least] = [phrase.toLowerCase(), word.toLowerCase()];
  const begins = (text: string, typed: string) => typed !== "" && text.startsWith(typed);
  const found = loras.flatMap((lora): readonly Found[] => {
    const [name, words] = [loraTitle(lora).toLowerCase(), lora.words.toLowerCase()];
    if (begins(name, most) || begins(words, most)) return [foundLora(lora, phrase)];
    const parts = [name, ...name.split(/[^\p{L}\p{N}]+/u), words];
    return parts.some((part) => begins(part, least)) ? [foundLora(lora, word)] : [];
  });
  return found.slice(0, MOST.lora);
}

function foundLora(lora: LoraSource, typed: string): Found {
  return { kind: "lora", text: escaped(lora.words), typed, lora };
}

function ofLoraTag(tag: string, typed: string, loras: readonly LoraSource[]): readonly Found[] {
  const wanted = typed.toLowerCase();
  const found = loras.filter((lora) => loraTitle(lora).toLowerCase().includes(wanted));
  return found.map((lora) => foundLora(lora, tag));
}

function goesOn(text: string, typed: string): boolean {
  return text.length > typed.length && text.toLowerCase().startsWith(typed.toLowerCase());
}

/** Its brackets, colons and bars as plain characters; see docs/prompts.md. */
function escaped(name: string): string {
  return name.replaceAll(/[\\()[\]:|]/g, "\\$&");
}
