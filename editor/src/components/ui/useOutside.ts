import { useEffect, useRef } from "react";

/** Calls back when the pointer goes down outside the elements that `inside` accepts. */
export function useOutside(inside: (target: Node) => boolean, onOutside: () => void): void {
  const latest = useRef({ inside, onOutside });
  latest.current = { inside, onOutside };
  useEffect(() => {
    const down = (event: PointerEvent) => {
      const target = event.target;
      if (target instanceof Node && !latest.current.inside(target)) latest.current.onOutside();
    };
    // In the capturing phase: the canvas stops the event from coming up.
    document.addEventListener("pointerdown", down, true);
    return () => document.removeEventListener("pointerdown", down, true);
  }, []);
}
