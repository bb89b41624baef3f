import { ToggleRow } from "./rows";

export function RunSettings() {
  return (
    <>
      <ToggleRow name="previews" help />
      <ToggleRow name="resultsInNodes" help />
    </>
  );
}
