/** How far somebody is in each lesson, as the browser keeps it. */

export interface LessonProgress {
  /** Index of the step that is shown. */
  readonly step: number;
  /** Indexes of the steps that were done or gone past. */
  readonly done: readonly number[];
  readonly isFinished: boolean;
}

export type AllProgress = Readonly<Record<string, LessonProgress>>;

export const BEGUN: LessonProgress = { step: 0, done: [], isFinished: false };

/** Stored progress, without whatever has another form. */
export function readProgress(stored: unknown): AllProgress {
  if (typeof stored !== "object" || stored === null || Array.isArray(stored)) return {};
  return Object.fromEntries(
    Object.entries(stored).flatMap(([name, entry]: [string, unknown]) => {
      const found = oneProgress(entry);
      return found === null ? [] : [[name, found] as const];
    }),
  );
}

function oneProgress(entry: unknown): LessonProgress | null {
  if (typeof entry !== "object" || entry === null) return null;
  const { step, done, isFinished } = entry as Record<string, unknown>;
  const isWhole = Number.isInteger(step) && Number(step) >= 0 && Array.isArray(done);
  if (!isWhole) return null;
  return {
    step: Number(step),
    done: (done as unknown[]).filter((index) => Number.isInteger(index)) as number[],
    isFinished: isFinished === true,
  };
}

/** After a step was done or gone past: the next one, or the end. */
export function advanced(progress: LessonProgress, count: number): LessonProgress {
  const done = [...new Set([...progress.done, progress.step])].sort((a, b) => a - b);
  const isLast = progress.step >= count - 1;
  return {
    step: isLast ? progress.step : progress.step + 1,
    done,
    isFinished: progress.isFinished || isLast,
  };
}

export function wentBack(progress: LessonProgress): LessonProgress {
  return { ...progress, step: Math.max(0, progress.step - 1) };
}

/** Whether a lesson was begun and not finished. */
export function isUnderWay(progress: LessonProgress | undefined): boolean {
  return progress !== undefined && !progress.isFinished && progress.done.length > 0;
}
