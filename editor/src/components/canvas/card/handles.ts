/** The ports of a card as the canvas library wants them, in the places that geometry.ts gives them. */
import { type NodeHandle, Position } from "@xyflow/react";
import type { CardModel, PortView } from "./card";
import { PORT_SIZE, portY } from "./geometry";

/** The handles of a card as the graph's library wants them. */
export function handlesOf(card: CardModel, width: number, collapsed: boolean): NodeHandle[] {
  const inputs = card.inputs.map((port, row) =>
    handle(port, "target", portX("target", width), portY(row, collapsed)),
  );
  const outputs = card.outputs.map((port, row) =>
    handle(port, "source", portX("source", width), portY(row, collapsed)),
  );
  return [...inputs, ...outputs];
}

function portX(type: "source" | "target", width: number): number {
  return type === "source" ? width : 0;
}

function handle(port: PortView, type: "source" | "target", x: number, y: number): NodeHandle {
  return handleAt(port.name, type, x, y);
}

/** A handle whose dot has its middle at this point of the card. */
export function handleAt(id: string, type: "source" | "target", x: number, y: number): NodeHandle {
  return {
    id,
    type,
    position: type === "source" ? Position.Right : Position.Left,
    x: x - PORT_SIZE / 2,
    y: y - PORT_SIZE / 2,
    width: PORT_SIZE,
    height: PORT_SIZE,
  };
}
