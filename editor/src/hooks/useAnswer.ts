/** Answers of the server for what is shown: asked when it appears, and again when they are outdated. */
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { notifyFault } from "@/store/notices";
import { type Question, queries } from "@/store/queries";

interface Shown<T> {
  /** What is known stays, whatever comes of asking again. */
  readonly data: T | undefined;
  /** Why nothing is known. */
  readonly fault: Error | null;
  readonly refetch: () => Promise<unknown>;
}

/** `enabled`: false to wait. */
export function useAnswer<T>(asked: Question<T> & { readonly enabled?: boolean }): Shown<T> {
  const { data, error, refetch } = useQuery(asked, queries);
  return { data, fault: data === undefined ? error : null, refetch };
}

/** Tell of an answer that there isn't. */
export function useTold(fault: unknown, given?: Parameters<typeof notifyFault>[1]): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the words are those of the fault
  useEffect(() => {
    if (fault !== null) notifyFault(fault, given);
  }, [fault]);
}

/** A value once it stays the same for some milliseconds, as between the keys of somebody who types. */
export function useDebounced<T>(value: T, wait: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(() => value), wait);
    return () => clearTimeout(timer);
  }, [value, wait]);
  return settled;
}
