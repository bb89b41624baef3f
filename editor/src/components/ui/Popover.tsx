import { late } from "./late";

/** A small panel beside its anchor; Escape or a click elsewhere closes it. */
export const Popover = late((kit) => kit.PopoverPopup);
