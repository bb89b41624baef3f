/** The parts that are fetched when they are first needed; see ../late.tsx. */
export { ComboboxPopup } from "./ComboboxPopup";
export { DialogPopup } from "./DialogPopup";
export { MenuPopup } from "./MenuPopup";
export { PopoverPopup } from "./PopoverPopup";
export { TabbedPart } from "./Tabs";
export { TooltipPopup } from "./TooltipPopup";
