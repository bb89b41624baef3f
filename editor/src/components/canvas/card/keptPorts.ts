/** Ports stay where geometry.ts puts them, whatever of a card is drawn. */
import type { useStoreApi } from "@xyflow/react";

/**
 * Have the canvas library look for a card's ports in what is drawn only where it knows none.
 *
 * It does so whenever a card comes into view. From far, and before its turn, a card is an outline
 * without ports: they would count as gone, and so would all links to them. For its links each card
 * says where its ports are, and a card whose size has changed says it anew.
 */
export function keepPorts(store: ReturnType<typeof useStoreApi>): void {
  const { updateNodeInternals } = store.getState();
  store.setState({
    updateNodeInternals: (updates) => {
      for (const update of updates.values()) update.force = false;
      updateNodeInternals(updates);
    },
  });
}
