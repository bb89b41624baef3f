/**
 * What the server was asked: each question once, however many want its answer, and anew when an
 * event says that the answer has changed.
 */
import { isCancelledError, QueryClient, type QueryKey } from "@tanstack/react-query";

export const queries = new QueryClient({
  defaultOptions: {
    // A server on this machine answers without a network; why another one doesn't is told at once.
    queries: { networkMode: "always", retry: false, structuralSharing: false },
  },
});

export interface Question<T> {
  readonly queryKey: QueryKey;
  readonly queryFn: (context: { readonly signal: AbortSignal }) => Promise<T>;
  /** Milliseconds for which an answer isn't asked for again. */
  readonly staleTime?: number;
  /** Milliseconds for which an answer that nobody looks at is kept. */
  readonly gcTime?: number;
}

/** A question whose answer holds until it is outdated. */
export function question<T>(
  queryKey: QueryKey,
  ask: (signal: AbortSignal) => Promise<T>,
): Question<T> {
  const always = Number.POSITIVE_INFINITY;
  return { queryKey, queryFn: ({ signal }) => ask(signal), staleTime: always, gcTime: always };
}

/** The answer that is known, or is under way, or else is asked for now. */
export function answerTo<T>(asked: Question<T>): Promise<T> {
  return uncancelled(() => queries.fetchQuery(asked));
}

/** The answer, asked for again where it was outdated on its way. */
export async function uncancelled<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isCancelledError(error)) throw error;
    }
  }
}

/** What is known may be old, and what is under way too; what is looked at is asked for again. */
export async function outdate(queryKey: QueryKey): Promise<void> {
  await queries.cancelQueries({ queryKey });
  void queries.invalidateQueries({ queryKey });
}

/** The answer from now on. */
export async function newAnswerTo<T>(asked: Question<T>): Promise<T> {
  await outdate(asked.queryKey);
  return answerTo(asked);
}
