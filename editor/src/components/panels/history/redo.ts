/** The states that redoing would lead through, nearest first. */
import { canRedo, type History, redo } from "@/model/history";

/** More than a history keeps; a bound all the same. */
const MOST = 1000;

export function redoWay<T>(history: History<T>): readonly number[] {
  const way: number[] = [];
  let at = history;
  while (canRedo(at) && way.length < MOST) {
    at = redo(at);
    way.push(at.current);
  }
  return way;
}
