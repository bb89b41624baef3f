/** The first time that somebody opens the editor: a graph that runs at one click, and the tour. */
import { ownName } from "@/api/rootPath";
import { isFresh, openLink, openTemplate } from "./opening";

const STARTER = "text_to_image";
const SEEN = "nodegraph.seen";

let begun: Promise<void> | null = null;

/** Open the link that the page was called with, or greet a new person. Once for a page. */
export function begin(): Promise<void> {
  begun ??= greet();
  return begun;
}

async function greet(): Promise<void> {
  if (await openSharedLink()) {
    remember();
    return;
  }
  if (wasHere() || !isFresh()) return;
  const document = await openTemplate(STARTER);
  if (document === null) return;
  remember();
  const { greetWithTour } = await import("@/components/lessons/start");
  await greetWithTour(document);
}

/** Open a link's workflow; its address goes, so that loading the page again doesn't open it again. */
export async function openSharedLink(): Promise<boolean> {
  const { hash, pathname, search } = window.location;
  if (!(await openLink(hash))) return false;
  history.replaceState(history.state, "", pathname + search);
  return true;
}

function wasHere(): boolean {
  try {
    return localStorage.getItem(ownName(SEEN)) !== null;
  } catch {
    // A browser that keeps nothing would show the tour each time.
    return true;
  }
}

function remember(): void {
  try {
    localStorage.setItem(ownName(SEEN), "1");
  } catch {
    // It is only about not greeting twice.
  }
}
