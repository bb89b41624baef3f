/** The jobs to be listed: those known, or those that the server finds for a text. */
import { useEffect, useMemo, useState } from "react";
import { api } from "@/api/client";
import type { JobEntry } from "@/api/schema";
import { type JobState, type JobView, useJobs, viewOf } from "@/store/jobs";
import { loadOlderJobs } from "@/store/jobsFollowing";
import { notifyFault } from "@/store/notices";

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

interface Found {
  readonly key: string;
  readonly entries: readonly JobEntry[];
  readonly next: string | null;
}

const NOTHING: Found = { key: "", entries: [], next: null };

export function useJobSearch(query: JobQuery): JobSearch {
  const jobs = useJobs((state) => state.jobs);
  const order = useJobs((state) => state.order);
  const older = useJobs((state) => state.older);
  const [found, setFound] = useState(NOTHING);
  const [isLoading, setLoading] = useState(false);
  const text = query.text.trim();
  const asks = text !== "" || query.state !== "all";
  const key = `${query.state}\n${text}`;
  const load = async (cursor: string | null, signal?: AbortSignal) => {
    setLoading(true);
    try {
      const state = query.state === "all" ? null : [query.state];
      const asked = { limit: PAGE, cursor, text: text || null, state };
      const page = await api.GET("/jobs", { params: { query: asked }, signal });
      setFound((old) => ({
        key,
        entries: cursor === null || old.key !== key ? page.items : [...old.entries, ...page.items],
        next: page.next,
      }));
    } catch (fault) {
      notifyFault(fault, { key: "job-search" });
    }
    setLoading(false);
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked anew only when the question changes
  useEffect(() => {
    if (!asks) return;
    const stop = new AbortController();
    const timer = setTimeout(() => void load(null, stop.signal), PAUSE);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [key, asks]);
  const listed = useMemo(() => {
    const known = order.flatMap((id) => jobs.get(id) ?? []);
    const all = asks ? withFound(known, found, key, matcher(text, query.state)) : known;
    if (query.document === null) return all;
    return all.filter((job) => job.document === query.document);
  }, [jobs, order, found, key, asks, text, query.state, query.document]);
  const more = () => {
    if (isLoading) return;
    if (asks && found.next !== null) void load(found.next);
    else if (!asks && older !== null) {
      setLoading(true);
      loadOlderJobs()
        .catch((fault) => notifyFault(fault, { key: "job-search" }))
        .finally(() => setLoading(false));
    }
  };
  return { jobs: listed, hasMore: (asks ? found.next : older) !== null, isLoading, more };
}

/** What is known and matches, at once, and what the server found besides. */
function withFound(
  known: readonly JobView[],
  found: Found,
  key: string,
  matches: (job: JobView) => boolean,
): readonly JobView[] {
  const here = known.filter(matches);
  if (found.key !== key) return here;
  const ids = new Set(here.map((job) => job.id));
  const all = new Map(known.map((job) => [job.id, job]));
  const others = found.entries.filter((entry) => !ids.has(entry.id));
  const views = others.map((entry) => all.get(entry.id) ?? viewOf(entry));
  return [...here, ...views].sort((a, b) => b.created - a.created);
}

function matcher(text: string, state: JobState | "all"): (job: JobView) => boolean {
  const wanted = text.toLowerCase();
  return (job) =>
    (state === "all" || job.state === state) &&
    (wanted === "" || `${job.name} ${job.id} ${job.tags.join(" ")}`.toLowerCase().includes(wanted));
}
