/** What the next run would do with a graph's nodes. */
import { useMemo } from "react";
import { useShallow } from "zustand/react/shallow";
import type { Finding } from "@/api/schema";
import { hasText, t } from "@/i18n";
import { bytes, duration, sentences } from "@/i18n/format";
import { type NodePlan, type Shortage, usePlan } from "@/store/plan";
import type { RunPlace } from "./useNodeRun";

/** What would become of a node; null if that can't be told. */
export function useNodePlan({ prefix }: RunPlace, node: string): NodePlan | null {
  return usePlan((state) => state.nodes.get(prefix + node) ?? null);
}

const NO_FINDINGS: readonly Finding[] = [];

/** What is wrong with a node before it runs. */
export function useNodeFindings({ prefix }: RunPlace, node: string): readonly Finding[] {
  return usePlan(
    useShallow((state) => {
      const found = state.problems.filter((problem) => problem.node === prefix + node);
      return found.length === 0 ? NO_FINDINGS : found;
    }),
  );
}

/** What is wrong with the nodes of the block that a node is or runs; they are named as in it. */
export function useInnerFindings({ prefix }: RunPlace, node: string): readonly Finding[] {
  const within = `${prefix}${node}/`;
  const found = usePlan(
    useShallow((state) => state.problems.filter((problem) => problem.node?.startsWith(within))),
  );
  return useMemo(
    () => found.map((each) => ({ ...each, node: each.node?.slice(within.length) ?? null })),
    [found, within],
  );
}

/** Why the plan says so, in a sentence; the engine's word where there is none for it. */
export function reasonText(reason: string): string {
  const key = `panels.reason.${reason}`;
  return hasText(key) ? t(key) : reason;
}

/** How a node is short of memory, what becomes of it and what would help. */
export function shortageText({ fit, needed, room, seconds }: Shortage): string {
  const need =
    needed !== null && room !== null
      ? t("panels.room.needs", { needed: bytes(needed), room: bytes(room) })
      : "";
  const slower = seconds > 0 ? t("panels.room.slower", { time: duration(seconds) }) : "";
  return sentences(t(`panels.room.${fit}`), need, slower, t(`panels.room.${fit}.help`));
}
