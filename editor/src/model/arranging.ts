/** The arranger, fetched with the first graph that needs it: its library is a large download. */
type Arranger = typeof import("./arrange");

let arranger: Arranger | null = null;
let fetched: Promise<Arranger | null> | null = null;

/** Null until it was fetched. */
export function arrangerNow(): Arranger | null {
  return arranger;
}

/** Null where it can't be fetched, as by a browser that has lost its server. */
export function fetchArranger(): Promise<Arranger | null> {
  fetched ??= import("./arrange").then(
    (found) => {
      arranger = found;
      return found;
    },
    () => null,
  );
  return fetched;
}
