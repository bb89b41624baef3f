/**
 * Run a task once the page has nothing else to do.
 *
 * @param most Milliseconds after which it is run in any case.
 * @param instead Milliseconds to wait in browsers that don't say when that is.
 */
export function whenIdle(task: () => unknown, most: number, instead: number): void {
  if ("requestIdleCallback" in globalThis) requestIdleCallback(() => task(), { timeout: most });
  else setTimeout(task, instead);
}
