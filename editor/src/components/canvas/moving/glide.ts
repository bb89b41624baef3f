/** Layers that browsers move without looking at what is in them. */

const STAYS = [{ transform: "translate(0)" }, { transform: "translate(0)" }];

/**
 * Have an element moved by its `style.transform` alone, until the answer is called.
 *
 * Chromium puts the whole page's layers together anew for each other transform that a script writes,
 * also with `will-change`, except where an animation runs. This one adds nothing and stands still. The
 * element is a layer of its own meanwhile, which is scaled and not drawn anew.
 */
export function glide(element: HTMLElement): () => void {
  const animation = element.animate?.(STAYS, { duration: 1000, fill: "both", composite: "add" });
  animation?.pause();
  return () => animation?.cancel();
}
