/** Tells people who look at something else that long work has ended: by a notification and a sound. */
import { t } from "@/i18n";
import { duration } from "@/i18n/format";
import { useDocuments } from "./documents";
import { useGenerate } from "./generate";
import { isEnded, type Jobs, type JobView, useJobs } from "./jobs";
import { showAction } from "./running";
import { setSetting, useSettings } from "./settings";

/** Seconds of work below which nobody has turned to something else. */
const LONG = 5;

/** What ended, once nothing that was run from this page is left. */
export interface EndedWork {
  readonly jobs: readonly JobView[];
  readonly seconds: number;
}

/** Follow the jobs that are run from this page; gives what ends it. */
export function startWorkEnd(tell: (work: EndedWork) => void = tellEnded): () => void {
  let running = new Set<string>();
  return useJobs.subscribe((state, before) => {
    if (state.jobs === before.jobs) return;
    const ours = [...state.jobs.values()].filter(isOurs);
    // Jobs of before the page was loaded have ended without it.
    for (const job of ours) if (!isEnded(job)) running.add(job.id);
    if (running.size === 0 || ours.some((job) => !isEnded(job))) return;
    const work = workOf(state.jobs, running);
    running = new Set();
    if (work.jobs.length > 0 && work.seconds >= LONG && document.visibilityState === "hidden")
      tell(work);
  });
}

function isOurs({ document }: JobView): boolean {
  if (document === null) return false;
  if (document === useGenerate.getState().id) return true;
  return useDocuments.getState().documents.some(({ id }) => id === document);
}

/** From the start of the first to the end of the last, without what somebody cancelled. */
function workOf(jobs: Jobs["jobs"], ids: ReadonlySet<string>): EndedWork {
  const ended = [...ids].flatMap((id) => jobs.get(id) ?? []);
  const counted = ended.filter(({ state }) => state === "finished" || state === "failed");
  const starts = counted.flatMap(({ started }) => started ?? []);
  const ends = counted.flatMap(({ finished }) => finished ?? []);
  const seconds = starts.length === 0 ? 0 : Math.max(...ends) - Math.min(...starts);
  return { jobs: counted, seconds: Math.max(0, seconds) };
}

function tellEnded(work: EndedWork): void {
  const { endNotification, endSound } = useSettings.getState();
  if (endSound) playSound();
  if (endNotification) showNotification(work);
}

// Notifications

export type Consent = "granted" | "denied" | "unavailable";

/** Turn notifications on, which the browser may have to ask about first; or off. */
export async function setNotifying(wanted: boolean): Promise<Consent> {
  const consent = wanted ? await askConsent() : "granted";
  setSetting("endNotification", wanted && consent === "granted");
  return consent;
}

async function askConsent(): Promise<Consent> {
  // Browsers have none on pages that aren't served from this machine or by HTTPS.
  if (typeof Notification === "undefined") return "unavailable";
  if (Notification.permission === "granted") return "granted";
  return (await Notification.requestPermission()) === "granted" ? "granted" : "denied";
}

function showNotification({ jobs, seconds }: EndedWork): void {
  if (typeof Notification === "undefined" || Notification.permission !== "granted") return;
  const last = jobs.at(-1);
  if (last === undefined) return;
  const failed = jobs.filter(({ state }) => state === "failed").length;
  const isOne = jobs.length === 1;
  const name = { name: last.name };
  const title = isOne
    ? t(failed > 0 ? "running.failed" : "running.finished", name)
    : t("library.end.jobs", { count: jobs.length });
  const body =
    failed > 0 && !isOne
      ? t("library.end.failed", { count: failed })
      : t("library.end.took", { time: duration(seconds) });
  const icon = last.outputs.findLast(({ thumbnail }) => thumbnail !== null)?.thumbnail;
  try {
    // A newer one takes the place of what nobody has looked at yet.
    const shown = new Notification(title, { body, tag: "nodegraph", ...(icon ? { icon } : {}) });
    shown.onclick = () => {
      window.focus();
      shown.close();
      const node = last.error?.node ?? last.outputs.at(-1)?.node ?? null;
      if (last.document !== null && node !== null) showAction(last.document, node).run();
    };
  } catch {
    // Chrome on Android throws: there only a service worker may show one.
    setSetting("endNotification", false);
  }
}

// The sound

/** Frequencies in Hz, one after the other. */
const TONES = [659.3, 880];
const TONE_SECONDS = 0.16;
const LOUDNESS = 0.12;

/** Two soft tones; nothing where the browser plays none. */
export function playSound(): void {
  if (typeof AudioContext === "undefined") return;
  const audio = new AudioContext();
  const end = TONES.length * TONE_SECONDS + 0.3;
  for (const [index, tone] of TONES.entries()) {
    const start = audio.currentTime + index * TONE_SECONDS;
    const oscillator = new OscillatorNode(audio, { frequency: tone });
    const volume = new GainNode(audio, { gain: 0 });
    volume.gain.setValueAtTime(0, start);
    volume.gain.linearRampToValueAtTime(LOUDNESS, start + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.001, start + TONE_SECONDS + 0.25);
    oscillator.connect(volume).connect(audio.destination);
    oscillator.start(start);
    oscillator.stop(audio.currentTime + end);
    if (index === TONES.length - 1) oscillator.onended = () => void audio.close();
  }
}
