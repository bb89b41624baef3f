/** The ports of a card, inputs on the left and outputs on the right. */
import { memo } from "react";
import type { Finding } from "@/api/schema";
import type { CardLinking } from "@/components/canvas/links/linking";
import { inWords } from "@/i18n/format";
import { withLabels } from "@/model/spec";
import { useCatalogue } from "@/store/catalogue";
import type { CardModel, PortView } from "./card";
import { portY } from "./geometry";
import { Port, type PortMatch } from "./Port";

interface PortsProps {
  readonly card: CardModel;
  readonly collapsed: boolean;
  readonly live: boolean;
  readonly far: boolean;
  readonly linking: CardLinking;
  readonly findings: readonly Finding[];
  /** Those of them that are marked; the others are only told. */
  readonly loud: readonly Finding[];
}

export const CardPorts = memo(function CardPorts({
  card,
  collapsed,
  live,
  far,
  linking,
  findings,
  loud,
}: PortsProps) {
  // Dots of a pixel or two tell nothing; links show where they are.
  if (far && !live) return null;
  const port = (side: "input" | "output") => (view: PortView, row: number) => (
    <Port
      key={`${side}/${view.name}`}
      port={view}
      side={side}
      match={matchOf(linking, side, view.name)}
      problem={side === "input" ? problemOf(findings, view.name) : null}
      quiet={!loud.some(({ port: name }) => name === view.name)}
      live={live}
      y={portY(row, collapsed)}
      hasLabel={!collapsed && !far}
      isAlone={row >= (side === "input" ? card.outputs : card.inputs).length}
    />
  );
  return (
    <>
      {card.inputs.map(port("input"))}
      {card.outputs.map(port("output"))}
    </>
  );
});

export function matchOf(linking: CardLinking, side: "input" | "output", port: string): PortMatch {
  if (linking === null) return "none";
  if (linking.isStart) return linking.side === side && linking.port === port ? "start" : "unfit";
  return linking.side === side && linking.fits?.has(port) ? "fits" : "unfit";
}

export function problemOf(findings: readonly Finding[], port: string): string | null {
  const found = findings.find((finding) => finding.port === port);
  if (!found) return null;
  const hint = withLabels(found.hint ?? "", useCatalogue.getState().types);
  return inWords(hint === "" ? found.message : `${found.message}\n${hint}`);
}
