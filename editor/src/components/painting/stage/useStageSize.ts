import { type RefObject, useLayoutEffect, useState } from "react";
import type { Size } from "./pixels/geometry";

/** Size of an element in CSS pixels. */
export function useStageSize(element: RefObject<HTMLElement | null>): Size {
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const stage = element.current;
    if (stage === null) return;
    const measure = () =>
      setSize((old) =>
        old.width === stage.clientWidth && old.height === stage.clientHeight
          ? old
          : { width: stage.clientWidth, height: stage.clientHeight },
      );
    measure();
    if (typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(measure);
    observer.observe(stage);
    return () => observer.disconnect();
  }, [element]);
  return size;
}
