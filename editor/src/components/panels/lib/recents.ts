/** Node types that were added last, on this computer, newest first. */
const KEY = "nodegraph.recent-types";
const MOST = 12;

export function recentTypes(): readonly string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((item) => typeof item === "string") : [];
  } catch {
    return []; // no storage, or not ours
  }
}

export function rememberType(type: string): void {
  const types = [type, ...recentTypes().filter((other) => other !== type)].slice(0, MOST);
  try {
    localStorage.setItem(KEY, JSON.stringify(types));
  } catch {
    // Without storage nothing is remembered; adding nodes works all the same.
  }
}
