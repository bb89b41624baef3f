import { render, screen } from "@testing-library/react";
import { expect, it } from "vitest";
import type { NodePlan, Shortage } from "@/store/plan";
import { CardHeader } from "./CardHeader";
import type { CardModel } from "./card";
import type { CardState } from "./live";

const ENTRY = { mode: null, note: "", always: false, label: "" };
const CARD = { name: "a", title: "Sample", subtitle: "", block: null, entry: ENTRY } as CardModel;
const PARTS: Shortage = { fit: "parts", needed: 14.2e9, room: 12e9, seconds: 8.2 };

function show(shortage: Shortage | null, state: CardState = "planned"): void {
  const plan: NodePlan = {
    status: "run",
    seconds: 12,
    reason: "new",
    certain: true,
    calls: 1,
    shortage,
  };
  render(<CardHeader card={CARD} state={state} plan={plan} collapsed={false} far={false} />);
}

const badge = (word: string) => screen.queryByText(word)?.closest("[role=img]");

it("says that weights come in parts, and what that costs", () => {
  show(PARTS);
  expect(badge("in parts")).toHaveAccessibleName(
    "Weights are loaded in parts; results are the same. Needs 14 GB of 12 GB. About 8.2 s slower",
  );
});

it("warns of what has no room, and says what would help", () => {
  show({ fit: "none", needed: null, room: null, seconds: 0 });
  expect(badge("too large")).toHaveAttribute("data-kind", "none");
  expect(badge("too large")?.getAttribute("data-tip")).toMatch(
    /^Likely to run out of memory\. A smaller image/,
  );
});

it("says nothing of what has room, nor while it runs", () => {
  show(null);
  show(PARTS, "running");
  show(PARTS, "done");
  expect(screen.queryByText("in parts")).toBeNull();
});
