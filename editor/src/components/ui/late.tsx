/**
 * What opens over the page (dialogs, menus, popovers, tooltips, lists of options) is built on Base
 * UI and stands in kit/. A page that nobody has touched yet needs none of it, so it is fetched at
 * the first sign of somebody: a moved pointer or a key. By the first click it is there.
 */
import { type ComponentType, useSyncExternalStore } from "react";
import { fetchPart, tryAgainBy } from "@/components/shell/lazyPart";

type Kit = typeof import("./kit");

interface Fetched {
  readonly kit?: Kit;
  readonly fault?: unknown;
}

let fetched: Fetched = {};
let fetching: Promise<void> | null = null;
const users = new Set<() => void>();

/** Fetch the kit, once. A failure is shown where a part is used, and tried again from there. */
export function loadKit(): Promise<void> {
  const settle = (outcome: Fetched) => {
    fetched = outcome;
    for (const draw of users) draw();
  };
  const fail = (fault: unknown) => {
    tryAgainBy(() => {
      [fetched, fetching] = [{}, null];
    });
    settle({ fault });
  };
  fetching ??= fetchPart(() => import("./kit")).then((kit) => settle({ kit }), fail);
  return fetching;
}

const begin = () => void loadKit();
for (const sign of ["pointermove", "pointerdown", "keydown"])
  document.addEventListener(sign, begin, { once: true, capture: true, passive: true });

function subscribe(draw: () => void): () => void {
  users.add(draw);
  begin();
  return () => users.delete(draw);
}

/** A part of the kit, which shows nothing until the kit is there. */
export function late<P extends object>(pick: (kit: Kit) => ComponentType<P>): ComponentType<P> {
  return function Late(props: P) {
    const { kit, fault } = useSyncExternalStore(subscribe, () => fetched);
    if (fault !== undefined) throw fault;
    if (kit === undefined) return null;
    const Part = pick(kit);
    return <Part {...props} />;
  };
}
