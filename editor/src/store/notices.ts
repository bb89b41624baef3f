/** Short messages at the edge of the screen: what was done, what went wrong, and what to do then. */
import { create } from "zustand";
import { ApiProblem, isAborted, OfflineFault } from "@/api/http";
import { t } from "@/i18n";
import { sentences } from "@/i18n/format";

export type NoticeKind = "info" | "success" | "warning" | "error";

export interface NoticeAction {
  readonly label: string;
  readonly run: () => void;
}

export interface NoticeInput {
  readonly kind: NoticeKind;
  readonly title: string;
  readonly detail?: string | undefined;
  readonly action?: NoticeAction | undefined;
  /** 0 to 1; null while it can't be told how far it is. */
  readonly progress?: number | null | undefined;
  /** Milliseconds after which it goes away; null: not by itself. By its kind if not given. */
  readonly lasts?: number | null | undefined;
  /** A newer notice with the same key takes the place of the older one. */
  readonly key?: string | undefined;
}

export interface Notice extends NoticeInput {
  readonly id: number;
}

interface Notices {
  readonly items: readonly Notice[];
}

const MOST = 5;
const LASTS: Readonly<Record<NoticeKind, number | null>> = {
  info: 5000,
  success: 4000,
  warning: 9000,
  error: null,
};

export const useNotices = create<Notices>()(() => ({ items: [] }));

const timers = new Map<number, ReturnType<typeof setTimeout>>();
let nextId = 1;

/** Show a message; gives its id. */
export function notify(input: NoticeInput): number {
  const id = nextId++;
  const { items } = useNotices.getState();
  const others = input.key === undefined ? items : items.filter((each) => each.key !== input.key);
  const shown = [...others, { ...input, id }];
  const kept = shown.slice(Math.max(0, shown.length - MOST));
  useNotices.setState({ items: kept });
  for (const each of items) if (!kept.includes(each)) stopTimer(each.id);
  resumeNotice(id);
  return id;
}

/** Change a message that may still be there, such as its progress. */
export function updateNotice(id: number, change: Partial<NoticeInput>): void {
  const { items } = useNotices.getState();
  if (!items.some((each) => each.id === id)) return;
  useNotices.setState({
    items: items.map((each) => (each.id === id ? { ...each, ...change } : each)),
  });
  resumeNotice(id);
}

export function dismissNotice(id: number): void {
  stopTimer(id);
  const { items } = useNotices.getState();
  useNotices.setState({ items: items.filter((each) => each.id !== id) });
}

/** Dismiss the message of a key, as it isn't so any more. */
export function dismissNoticeOf(key: string): void {
  for (const each of useNotices.getState().items) if (each.key === key) dismissNotice(each.id);
}

/** Let it stay while somebody reads it. */
export function pauseNotice(id: number): void {
  stopTimer(id);
}

/** Let its time begin anew. */
export function resumeNotice(id: number): void {
  stopTimer(id);
  const found = useNotices.getState().items.find((each) => each.id === id);
  if (found === undefined) return;
  const lasts = found.lasts === undefined ? usualTime(found) : found.lasts;
  if (lasts !== null)
    timers.set(
      id,
      setTimeout(() => dismissNotice(id), lasts),
    );
}

function usualTime(notice: Notice): number | null {
  return notice.progress === undefined ? LASTS[notice.kind] : null;
}

function stopTimer(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
}

export interface Told {
  readonly title: string;
  readonly detail: string;
}

/** What went wrong, in words for people; null if it is nothing to tell of. */
export function toldOf(error: unknown): Told | null {
  if (isAborted(error)) return null;
  if (error instanceof OfflineFault) {
    return { title: t("notices.offline"), detail: t("notices.offlineMend") };
  }
  if (error instanceof ApiProblem) return toldOfProblem(error);
  return { title: t("notices.unexpected"), detail: t("notices.unexpectedMend") };
}

function toldOfProblem(error: ApiProblem): Told {
  if (error.status === 401) {
    return { title: t("notices.login"), detail: t("notices.loginMend") };
  }
  const [first, ...others] = error.problems;
  const said = first?.hint ?? "";
  const hint = error.detail.includes(said) ? "" : said;
  const more = others.length > 0 ? t("notices.more", { count: others.length }) : "";
  const title = error.title || t("notices.refused");
  return { title, detail: sentences(error.detail, hint, more) };
}

/** What went wrong and what to do, in sentences, for where it is shown beside what was asked for. */
export function faultText(error: unknown): string {
  const told = toldOf(error);
  if (told === null) return "";
  const text =
    error instanceof ApiProblem && told.detail !== ""
      ? told.detail
      : sentences(told.title, told.detail);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Tell people that something they asked for didn't work. */
export function notifyFault(
  error: unknown,
  options: { title?: string; action?: NoticeAction; key?: string } = {},
): void {
  const told = toldOf(error);
  if (told === null) return;
  // For whoever looks into what the words can't say.
  if (!(error instanceof ApiProblem || error instanceof OfflineFault)) console.error(error);
  const detail = options.title === undefined ? told.detail : `${told.title}. ${told.detail}`;
  notify({ kind: "error", ...options, title: options.title ?? told.title, detail });
}
