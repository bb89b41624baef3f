/** What a worker is and does, in words and colour. */
import type { WorkerEntry } from "@/api/schema";
import type { Tone } from "@/components/ui";
import { t } from "@/i18n";
import { bytes } from "@/i18n/format";

const TONES: Readonly<Record<string, Tone>> = {
  busy: "run",
  idle: "good",
  starting: "warn",
  stopping: "warn",
  dead: "bad",
};

export function workerTone(worker: WorkerEntry): Tone {
  return TONES[worker.state] ?? "neutral";
}

/** What the heading says of all of them: as much as one has to know. */
export interface Crew {
  readonly count: number;
  readonly busy: number;
  readonly dead: number;
  /** Jobs an hour; null as long as nobody knows. */
  readonly pace: number | null;
}

export function crewOf(workers: readonly WorkerEntry[]): Crew {
  const paces = workers.flatMap((worker) => worker.per_hour ?? []);
  return {
    count: workers.length,
    busy: workers.filter((worker) => worker.state === "busy").length,
    dead: workers.filter((worker) => worker.state === "dead").length,
    pace: paces.length === 0 ? null : paces.reduce((sum, pace) => sum + pace, 0),
  };
}

/** Where it runs: a machine of a cluster and the device; of the server's own machine, the device. */
export function placeText({ host, device }: WorkerEntry): string {
  if (host === null) return device;
  return host === "" ? t("panels.workers.noMachine", { device }) : `${host} · ${device}`;
}

/** The jobs that it works at: all of its own, else the one that it helps with. */
export function doneBy({ job, jobs, helps }: WorkerEntry): readonly string[] {
  if (jobs.length > 0) return jobs;
  return [job ?? helps].filter((id) => id !== null);
}

/** What it does where it has no job to be shown. */
export function doingText(worker: WorkerEntry): string {
  const { state, next_start: left } = worker;
  if (state === "dead" && left !== null)
    return t("panels.workers.again", { seconds: Math.ceil(left) });
  if (worker.helps !== null) return t("panels.workers.helpsOne");
  return t(`panels.workers.is.${state}`, { defaultValue: state });
}

/** Jobs an hour, and in all; the pace only once it is known. */
export function workText({ per_hour: pace, done }: WorkerEntry): string {
  const all = t("panels.workers.done", { count: done });
  return pace === null ? all : `${paceText(pace)} · ${all}`;
}

export function paceText(pace: number): string {
  return t("panels.workers.pace", { count: Math.round(pace) });
}

/** Bytes of its process, and those on its device; empty if neither is known. */
export function memoryText({ memory, device_memory: onDevice, device }: WorkerEntry): string {
  const parts = [
    ...(memory === null ? [] : [bytes(memory)]),
    ...(onDevice === null ? [] : [t("panels.workers.onDevice", { size: bytes(onDevice), device })]),
  ];
  return parts.join(" + ");
}
