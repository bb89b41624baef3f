import { Badge } from "@/components/ui";
import { isQuiet, usePlan } from "@/store/plan";

/** How many problems the active workflow has; nothing for none. */
export function ProblemCount() {
  const count = usePlan((plan) => plan.problems.length);
  const tone = usePlan(isQuiet) ? "neutral" : "bad";
  return count > 0 ? <Badge tone={tone}>{count}</Badge> : null;
}
