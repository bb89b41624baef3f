/** What the server finds for a text, asked once typing pauses. */
import { useAnswer, useDebounced, useTold } from "@/hooks/useAnswer";

const PAUSE = 180;
const NONE: readonly never[] = [];

/** Nothing until there is an answer. `kind` tells questions about one text apart. */
export function useAsked<T>(
  kind: string,
  ask: (text: string, signal: AbortSignal) => Promise<readonly T[]>,
  text: string,
): readonly T[] {
  const settled = useDebounced(text, text === "" ? 0 : PAUSE);
  const { data, fault } = useAnswer({
    queryKey: ["search", kind, text],
    queryFn: ({ signal }) => ask(text, signal),
    enabled: settled === text,
    // What is saved and made changes all the time.
    gcTime: 0,
  });
  useTold(fault, { key: "search" });
  return data ?? NONE;
}
