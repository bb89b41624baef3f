/** What the server finds for a text, asked once typing pauses. */
import { useEffect, useState } from "react";
import { isAborted } from "@/api/http";
import { notifyFault } from "@/store/notices";

const PAUSE = 180;

/** `ask` has to be the same function all the time. */
export function useAsked<T>(
  ask: (text: string, signal: AbortSignal) => Promise<readonly T[]>,
  text: string,
): readonly T[] {
  const [found, setFound] = useState<{ readonly text: string; readonly items: readonly T[] }>({
    text: "",
    items: [],
  });
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(
      async () => {
        try {
          const items = await ask(text, stop.signal);
          if (!stop.signal.aborted) setFound({ text, items });
        } catch (fault) {
          if (!isAborted(fault)) notifyFault(fault, { key: "search" });
        }
      },
      text === "" ? 0 : PAUSE,
    );
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [ask, text]);
  // What was found for other words is no answer.
  return found.text === text ? found.items : NONE;
}

const NONE: readonly never[] = [];
