/** The processes that run jobs, as the server tells of them while somebody looks. */
import { useEffect, useRef, useState } from "react";
import { api } from "@/api/client";
import type { WorkerEntry } from "@/api/schema";
import { useIsConnected } from "@/hooks/useConnection";
import { type Jobs, useJobs } from "@/store/jobs";
import { Paced } from "./paced";

const LEAST = 1000;
const EVERY = 5000;

/**
 * Null until they are known. They are asked for again when another job runs, and every few seconds
 * while `isWatched` and the page is seen: memory and pace change by themselves.
 */
export function useWorkers(isWatched: boolean): readonly WorkerEntry[] | null {
  const [workers, setWorkers] = useState<readonly WorkerEntry[] | null>(null);
  const isConnected = useIsConnected();
  const running = useJobs(runningJobs);
  const paced = useRef<Paced>(null);
  useEffect(() => {
    if (!isConnected) return;
    const stop = new AbortController();
    const look = async () => {
      try {
        const { workers: found } = await api.GET("/system", { signal: stop.signal });
        setWorkers(found.filter((worker) => worker.role === "worker"));
      } catch {
        // What was known stays; a lost connection is told of elsewhere, and it is asked for again.
      }
    };
    const asking = new Paced(look, LEAST);
    paced.current = asking;
    asking.ask();
    return () => {
      stop.abort();
      asking.stop();
    };
  }, [isConnected]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: asked anew whenever others run
  useEffect(() => paced.current?.ask(), [running]);
  useEffect(() => {
    if (!isWatched || !isConnected) return;
    const ask = () => {
      if (document.visibilityState === "visible") paced.current?.ask();
    };
    ask();
    const timer = setInterval(ask, EVERY);
    document.addEventListener("visibilitychange", ask);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", ask);
    };
  }, [isWatched, isConnected]);
  return workers;
}

function runningJobs({ jobs }: Pick<Jobs, "jobs">): string {
  const running = [...jobs.values()].filter((job) => job.state === "running");
  return running.map((job) => `${job.id} ${job.attempt}`).join("\n");
}
