/** Small things remembered in the browser; a browser that forbids it just forgets them. */
import { ownName } from "@/api/rootPath";

export function readStored(key: string): unknown {
  try {
    return JSON.parse(localStorage.getItem(ownName(key)) ?? "null");
  } catch {
    return null;
  }
}

export function writeStored(key: string, value: unknown): void {
  try {
    localStorage.setItem(ownName(key), JSON.stringify(value));
  } catch {
    // Full or forbidden storage: the setting holds until the page closes.
  }
}

/** As `readStored`, of this window alone: a reload finds it, and no other window does. */
export function readOfWindow(key: string): unknown {
  try {
    return JSON.parse(sessionStorage.getItem(ownName(key)) ?? "null");
  } catch {
    return null;
  }
}

export function writeOfWindow(key: string, value: unknown): void {
  try {
    sessionStorage.setItem(ownName(key), JSON.stringify(value));
  } catch {
    // As with what is kept for all windows.
  }
}

/** What is stored laid over the defaults, leaving out whatever has another shape than the default. */
export function overlay<T extends object>(defaults: T, stored: unknown): T {
  if (!isRecord(stored)) return defaults;
  const known = Object.entries(defaults).map(([key, usual]) => {
    const found = stored[key];
    if (!sameShape(usual, found)) return [key, usual];
    return [key, isRecord(usual) && Object.keys(usual).length > 0 ? overlay(usual, found) : found];
  });
  return Object.fromEntries(known) as T;
}

function sameShape(usual: unknown, found: unknown): boolean {
  if (usual === null) return found === null || typeof found === "string";
  if (isRecord(usual)) return isRecord(found);
  return typeof usual === typeof found && found !== null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
