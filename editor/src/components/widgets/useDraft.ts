import { useEffect, useRef, useState } from "react";
import { type Json, sameJson } from "@/model/json";

/** Texts that couldn't be taken over, by field: a card that scrolls away and back keeps them. */
const kept = new Map<string, string>();
const MOST_KEPT = 200;
/** Milliseconds after a key in which nothing is put under the hands of who types. */
const TYPING = 5000;
/** Milliseconds that it is said that the value is another one. */
const SAID = 6000;

/** The value of a text (undefined: nothing is given), or what is wrong with it. */
export type TextReading = { readonly value: Json | undefined } | { readonly fault: string };

interface Options {
  /** Of the field, unique on the page. */
  readonly id: string;
  /** The text of the value that counts. */
  readonly shown: string;
  readonly read: (text: string) => TextReading;
  readonly onChange: (value: Json | undefined) => void;
}

export interface Draft {
  readonly text: string;
  readonly fault: string | null;
  /** The value is another one than was typed here, as somebody else changed it meanwhile. */
  readonly isTaken: boolean;
  readonly change: (text: string) => void;
  /** The field was left: a good text gives way to how the value is usually written. */
  readonly leave: () => void;
  /** Give up the text, for the value that counts. */
  readonly reset: () => void;
}

/** A text while it is typed: what can't be read stays in the field, with what is wrong with it. */
export function useDraft({ id, shown, read, onChange }: Options): Draft {
  const [draft, setDraft] = useState<string | null>(() => kept.get(id) ?? null);
  const [base, setBase] = useState(shown);
  const [held, setHeld] = useState(false);
  const [isTaken, setTaken] = useState(false);
  const typed = useRef(0);
  const reading = draft === null ? null : read(draft);
  const fault = reading !== null && "fault" in reading ? reading.fault : null;

  // Undo, other fields and other people change the value too; then that one counts. A fault stays to
  // be seen, and so does what is being typed: its own next letter would go into another number.
  if (base !== shown) {
    setBase(shown);
    if (draft !== null && fault === null && !means(read, draft, shown)) {
      if (Date.now() - typed.current < TYPING) setHeld(true);
      else setDraft(null);
    } else setHeld(false);
  }

  useEffect(() => {
    if (!held) return undefined;
    const timer = setTimeout(giveWay, Math.max(0, typed.current + TYPING - Date.now()));
    return () => clearTimeout(timer);
  });
  useEffect(() => {
    if (!isTaken) return undefined;
    const timer = setTimeout(() => setTaken(false), SAID);
    return () => clearTimeout(timer);
  }, [isTaken]);

  /** What somebody else wrote is shown. */
  function giveWay() {
    setDraft(null);
    setHeld(false);
    setTaken(true);
  }

  useEffect(() => keep(id, fault === null ? null : draft), [id, draft, fault]);

  function change(text: string) {
    typed.current = Date.now();
    setTaken(false);
    setDraft(text);
    const next = read(text);
    // An emptied field is mostly about to be filled anew: the value's place in the file stays.
    if ("value" in next && next.value !== undefined) onChange(next.value);
  }

  function leave() {
    if (held) {
      giveWay();
      return;
    }
    if (reading === null || fault !== null) return;
    if ("value" in reading && reading.value === undefined) onChange(undefined);
    setDraft(null);
  }

  return {
    text: draft ?? shown,
    fault,
    isTaken,
    change,
    leave,
    reset: () => {
      setDraft(null);
      setHeld(false);
    },
  };
}

/** The first field on the page, or whose id begins so, whose text couldn't be taken over. */
export function unreadField(idPrefix = ""): HTMLElement | null {
  const ids = [...kept.keys()].filter((id) => id.startsWith(idPrefix));
  return ids.map((id) => document.getElementById(id)).find((field) => field !== null) ?? null;
}

/** Whether two texts are read as one value, such as "4" and "4.0". */
function means(read: Options["read"], a: string, b: string): boolean {
  const [one, other] = [read(a), read(b)];
  return "value" in one && "value" in other && sameJson(one.value, other.value);
}

function keep(id: string, text: string | null): void {
  kept.delete(id);
  if (text === null) return;
  kept.set(id, text);
  const oldest = kept.keys().next().value;
  if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
}
