/** What may have the focus in place of an element: the row, the list or the part around it. */
const AROUND = "li, ul, ol, tr, section, fieldset, [role], [data-body]";

/**
 * Keep the focus within a dialog; returns what ends this.
 *
 * A button that is disabled while it works, or a row that is removed, would lose the focus to the
 * page, or with the kit to the dialog as a whole. The row, list or part around it gets the focus
 * instead, and the button gets it back.
 */
export function keepFocus(element: HTMLElement): () => void {
  let last: HTMLElement | null = null;
  let around: HTMLElement[] = [];
  let substitute: HTMLElement | null = null;
  const follow = ({ target }: FocusEvent) => {
    if (target === substitute || !(target instanceof HTMLElement)) return;
    // The kit brings what is lost to the dialog itself, a frame later.
    if (target === element && substitute?.isConnected) return substitute.focus();
    [last, around, substitute] = [target, [], null];
    for (let each = target.parentElement; each && each !== element; each = each.parentElement)
      if (each.matches(AROUND)) around.push(each);
  };
  const keep = () => {
    if (last === null || !element.isConnected) return;
    const { activeElement } = document;
    const canFocus = last.isConnected && !last.matches(":disabled");
    if (canFocus && activeElement !== null && activeElement === substitute) last.focus();
    // A disabled element stays the active one until the browser draws the next frame.
    const isLost = activeElement === document.body || activeElement === last;
    if (canFocus || !(isLost || activeElement === null || activeElement === substitute)) return;
    substitute = around.find((each) => each.isConnected) ?? null;
    if (substitute === null || substitute === activeElement) return;
    if (!substitute.hasAttribute("tabindex")) substitute.tabIndex = -1;
    substitute.focus({ preventScroll: true });
  };
  const observer = new MutationObserver(keep);
  const filter = { subtree: true, childList: true, attributeFilter: ["disabled"] };
  observer.observe(element, filter);
  element.addEventListener("focusin", follow);
  return () => {
    observer.disconnect();
    element.removeEventListener("focusin", follow);
  };
}
