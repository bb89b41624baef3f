import { late } from "./late";

export type { DialogProps } from "./kit/DialogPopup";

/** A modal dialog. The focus stays inside and returns to where it was; Escape closes it. */
export const Dialog = late((kit) => kit.DialogPopup);
