/**
 * What opens over the page (dialogs, menus, popovers, tooltips, lists of options) is built on Base
 * UI and stands in kit/. A page that nobody has touched yet needs none of it, so it is fetched at
 * the first sign of somebody: a moved pointer or a key. By the first click it is there.
 */
import { type ComponentType, useSyncExternalStore } from "react";
import { fetchPart } from "@/components/shell/lazyPart";
import { useConnection } from "@/store/connection";

type Kit = typeof import("./kit");

let kit: Kit | null = null;
let fetching: Promise<void> | null = null;
const users = new Set<() => void>();

/** Fetch the kit, once; again when it is next needed, or the server is back, if that failed. */
export function loadKit(): Promise<void> {
  fetching ??= fetchPart(() => import("./kit"))
    .then((parts) => {
      kit = parts;
      for (const draw of users) draw();
    })
    .finally(() => {
      if (kit === null) fetching = null;
    });
  return fetching;
}

const begin = () => void loadKit();
for (const sign of ["pointermove", "pointerdown", "keydown"])
  document.addEventListener(sign, begin, { once: true, capture: true, passive: true });
useConnection.subscribe((now, before) => {
  if (now.state === "open" && before.state !== "open" && kit === null && users.size > 0) begin();
});

function subscribe(draw: () => void): () => void {
  users.add(draw);
  begin();
  return () => users.delete(draw);
}

/** A part of the kit, which shows nothing until the kit is there. */
export function late<P extends object>(pick: (kit: Kit) => ComponentType<P>): ComponentType<P> {
  return function Late(props: P) {
    const parts = useSyncExternalStore(subscribe, () => kit);
    if (parts === null) return null;
    const Part = pick(parts);
    return <Part {...props} />;
  };
}
