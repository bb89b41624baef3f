/** Colours and sizes of elements, as models of molecules have them (after Corey, Pauling, Koltun). */

interface Look {
  readonly color: string;
  /** Covalent radius in ångström: Cordero et al. 2008, doi:10.1039/b801115j. */
  readonly radius: number;
}

const LOOKS: Readonly<Record<string, Look>> = {
  H: { color: "#e6e8ee", radius: 0.31 },
  B: { color: "#f2a488", radius: 0.84 },
  C: { color: "#5d636f", radius: 0.76 },
  N: { color: "#3f63e0", radius: 0.71 },
  O: { color: "#e0393f", radius: 0.66 },
  F: { color: "#57b94a", radius: 0.57 },
  Si: { color: "#c9a77c", radius: 1.11 },
  P: { color: "#ef8a2a", radius: 1.07 },
  S: { color: "#dcb72c", radius: 1.05 },
  Cl: { color: "#35a83a", radius: 1.02 },
  Br: { color: "#9c4a2f", radius: 1.2 },
  I: { color: "#7d3c98", radius: 1.39 },
};
const OTHER: Look = { color: "#c678b5", radius: 1.2 };

export function lookOf(element: string): Look {
  return LOOKS[element] ?? OTHER;
}
