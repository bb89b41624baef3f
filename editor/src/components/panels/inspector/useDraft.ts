import { useEffect, useState } from "react";

/** A text that is edited freely and takes the given value's place again when that changes. */
export function useDraft(value: string): readonly [string, (text: string) => void] {
  const [draft, setDraft] = useState(value);
  useEffect(() => setDraft(value), [value]);
  return [draft, setDraft];
}
