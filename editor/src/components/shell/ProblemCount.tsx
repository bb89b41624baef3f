import { Badge } from "@/components/ui";
import { useProblemCount } from "@/hooks/useProblems";

/** How many problems the active workflow has; nothing for none. */
export function ProblemCount() {
  const { count, isCalm } = useProblemCount();
  return count > 0 ? <Badge tone={isCalm ? "neutral" : "bad"}>{count}</Badge> : null;
}
