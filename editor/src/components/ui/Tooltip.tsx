/**
 * Tooltips without a component for each: any element says its text in `data-tip`, and one layer for
 * the whole page shows it. A graph has thousands of ports; this costs them an attribute, where the
 * kit's own trigger would cost each of them a component with its listeners.
 */
import { useEffect, useState } from "react";
import { late } from "./late";

const TooltipPopup = late((kit) => kit.TooltipPopup);

const DELAY = 450;
/** After one was shown, the next ones come at once for a while. */
const WARM = 300;

/** Shows the tooltip of what is pointed at or focused by keyboard. Once a page. */
export function TooltipLayer() {
  const [target, setTarget] = useState<HTMLElement | null>(null);
  useEffect(() => followTargets(setTarget), []);
  return target ? <TooltipPopup key={target.dataset.tip} target={target} /> : null;
}

function followTargets(show: (target: HTMLElement | null) => void): () => void {
  let timer = 0;
  let shown: HTMLElement | null = null;
  let hiddenAt = -WARM;
  const hide = () => {
    clearTimeout(timer);
    if (shown) hiddenAt = performance.now();
    shown = null;
    show(null);
  };
  const plan = (target: HTMLElement | null) => {
    if (target === shown && target) return;
    hide();
    if (!target?.dataset.tip) return;
    const delay = performance.now() - hiddenAt < WARM ? 0 : DELAY;
    timer = window.setTimeout(() => {
      shown = target;
      if (target.isConnected) show(target);
    }, delay);
  };
  const over = (event: PointerEvent) => {
    // While something is drawn or dragged it says itself where it may end.
    if (event.pointerType !== "touch" && event.buttons === 0) plan(tipped(event.target));
  };
  const focused = (event: FocusEvent) => {
    const target = tipped(event.target);
    if (target?.matches(":focus-visible")) plan(target);
  };
  const keyed = (event: KeyboardEvent) => event.key === "Escape" && hide();
  const options = { capture: true, passive: true };
  document.addEventListener("pointerover", over, options);
  document.addEventListener("focusin", focused, options);
  for (const name of ["pointerdown", "focusout", "wheel"])
    document.addEventListener(name, hide, options);
  document.addEventListener("keydown", keyed, options);
  return () => {
    clearTimeout(timer);
    document.removeEventListener("pointerover", over, options);
    document.removeEventListener("focusin", focused, options);
    for (const name of ["pointerdown", "focusout", "wheel"]) {
      document.removeEventListener(name, hide, options);
    }
    document.removeEventListener("keydown", keyed, options);
  };
}

function tipped(target: EventTarget | null): HTMLElement | null {
  return target instanceof Element ? target.closest<HTMLElement>("[data-tip]") : null;
}
