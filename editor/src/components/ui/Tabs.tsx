import { late } from "./late";

/** Parts of which one is shown, chosen by tabs; the arrow keys go through them. */
export const Tabs = late((kit) => kit.TabbedPart);
