import { Badge } from "@/components/ui";
import { usePlan } from "@/store/plan";

/** How many problems the active workflow has; nothing for none. */
export function ProblemCount() {
  const count = usePlan((plan) => plan.problems.length);
  return count > 0 ? <Badge tone="bad">{count}</Badge> : null;
}
