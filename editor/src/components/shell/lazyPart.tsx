/** Parts of the page that are fetched when they are first shown, and again after that failed. */
import { type ComponentType, lazy } from "react";
import { rootPath } from "@/api/rootPath";
import { fetchLateWords } from "@/i18n";
import { useConnection } from "@/store/connection";

/** A part couldn't be fetched: the server is away, or has another version by now. */
export class PartFault extends Error {
  override readonly name = "PartFault";
}

const failed = new Set<() => void>();

/** Like React's lazy, which would stay with its first failure for good. */
export function lazyPart<P extends object>(
  load: () => Promise<{ default: ComponentType<P> }>,
): ComponentType<P> {
  const begin = () => lazy<ComponentType<P>>(() => fetchPart(load).catch(fail)) as ComponentType<P>;
  const fail = (fault: unknown): never => {
    failed.add(() => {
      Part = begin();
    });
    throw fault;
  };
  let Part = begin();
  return function Fetched(props: P) {
    return <Part {...props} />;
  };
}

/** A part that is fetched with the late words: all but those that a first visit shows. */
export function latePart<P extends object>(
  load: () => Promise<{ default: ComponentType<P> }>,
): ComponentType<P> {
  return lazyPart(async () => {
    const [part] = await Promise.all([load(), fetchLateWords()]);
    return part;
  });
}

/** Fetch a module of the page; that it can't be fetched is a PartFault. */
export function fetchPart<T>(load: () => Promise<T>): Promise<T> {
  return reach()
    .then(load)
    .catch((cause: unknown) => {
      throw new PartFault("a part of the page couldn't be fetched", { cause });
    });
}

/**
 * See that the server is there before a module is asked for: browsers remember a module that
 * couldn't be fetched as long as the page is open, and don't ask again.
 */
async function reach(): Promise<void> {
  // The service worker keeps all parts.
  if ("serviceWorker" in navigator && navigator.serviceWorker.controller !== null) return;
  if (useConnection.getState().state === "lost") {
    await fetch(`${rootPath()}/favicon.svg`, { method: "HEAD", cache: "no-store" });
  }
}

/** Have parts that failed be fetched anew when they are shown next. */
export function forgetFailures(): void {
  for (const renew of failed) renew();
  failed.clear();
}

/** Take out styles that couldn't be fetched: while they are there, nobody asks for them again. */
export function dropFailedStyles(): void {
  const drop = ({ target }: Event) => {
    if (target instanceof HTMLLinkElement && target.rel === "stylesheet") target.remove();
  };
  // Such errors don't bubble.
  addEventListener("error", drop, true);
}
