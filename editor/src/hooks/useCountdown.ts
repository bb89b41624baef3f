/** Time that goes on between two estimates of it. */
import { useEffect, useState } from "react";

const TICK = 500;

/** Seconds that are left, less what has passed since that was said; null if nobody knows. */
export function useCountdown(seconds: number | null): number | null {
  const [passed, setPassed] = useState(0);
  useEffect(() => {
    setPassed(0);
    if (seconds === null) return undefined;
    const start = performance.now();
    const timer = setInterval(() => setPassed((performance.now() - start) / 1000), TICK);
    return () => clearInterval(timer);
  }, [seconds]);
  return seconds === null ? null : Math.max(0, seconds - passed);
}
