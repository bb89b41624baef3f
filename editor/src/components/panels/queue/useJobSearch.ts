/** The jobs to be listed: those known, or those that the server finds for a text. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { api } from "@/api/client";
import type { JobEntry } from "@/api/schema";
import { useDebounced, useTold } from "@/hooks/useAnswer";
import { type JobState, type JobView, useJobs, viewOf } from "@/store/jobs";
import { loadOlderJobs } from "@/store/jobsFollowing";
import { notifyFault } from "@/store/notices";
import { queries } from "@/store/queries";

export interface JobQuery {
  readonly text: string;
  readonly state: JobState | "all";
  /** Only those of this document. */
  readonly document: string | null;
}

export interface JobSearch {
  readonly jobs: readonly JobView[];
  readonly hasMore: boolean;
  readonly isLoading: boolean;
  readonly more: () => void;
}

const PAUSE = 250;
const PAGE = 100;

export function useJobSearch(query: JobQuery): JobSearch {
  const jobs = useJobs((state) => state.jobs);
  const order = useJobs((state) => state.order);
  const older = useJobs((state) => state.older);
  const [isOlder, setOlder] = useState(false);
  const { state } = query;
  const text = query.text.trim();
  const asks = text !== "" || state !== "all";
  const key = `${state}\n${text}`;
  const isSettled = useDebounced(key, PAUSE) === key;
  const found = useInfiniteQuery(
    {
      queryKey: ["jobs", "found", state, text],
      queryFn: ({ pageParam: cursor, signal }) => {
        const states = state === "all" ? null : [state];
        const asked = { limit: PAGE, cursor, text: text || null, state: states };
        return api.GET("/jobs", { params: { query: asked }, signal });
      },
      initialPageParam: null as string | null,
      getNextPageParam: ({ next }) => next,
      enabled: asks && isSettled,
      // Jobs come and go.
      gcTime: 0,
    },
    queries,
  );
  useTold(found.error, { key: "job-search" });
  const isLoading = isOlder || found.isFetching;
  const listed = useMemo(() => {
    const known = order.flatMap((id) => jobs.get(id) ?? []);
    const entries = found.data?.pages.flatMap(({ items }) => items) ?? [];
    const all = asks ? withFound(known, entries, matcher(text, state)) : known;
    if (query.document === null) return all;
    return all.filter((job) => job.document === query.document);
  }, [jobs, order, found.data, asks, text, state, query.document]);
  const more = () => {
    if (isLoading) return;
    if (asks && found.hasNextPage) void found.fetchNextPage();
    else if (!asks && older !== null) {
      setOlder(true);
      loadOlderJobs()
        .catch((fault) => notifyFault(fault, { key: "job-search" }))
        .finally(() => setOlder(false));
    }
  };
  return { jobs: listed, hasMore: asks ? found.hasNextPage : older !== null, isLoading, more };
}

/** What is known and matches, at once, and what the server found besides. */
function withFound(
  known: readonly JobView[],
  entries: readonly JobEntry[],
  matches: (job: JobView) => boolean,
): readonly JobView[] {
  const here = known.filter(matches);
  const ids = new Set(here.map((job) => job.id));
  const all = new Map(known.map((job) => [job.id, job]));
  const others = entries.filter((entry) => !ids.has(entry.id));
  const views = others.map((entry) => all.get(entry.id) ?? viewOf(entry));
  return [...here, ...views].sort((a, b) => b.created - a.created);
}

function matcher(text: string, state: JobState | "all"): (job: JobView) => boolean {
  const wanted = text.toLowerCase();
  return (job) =>
    (state === "all" || job.state === state) &&
    (wanted === "" || `${job.name} ${job.id} ${job.tags.join(" ")}`.toLowerCase().includes(wanted));
}
