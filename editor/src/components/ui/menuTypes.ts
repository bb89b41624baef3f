import type { LucideIcon } from "lucide-react";

export interface MenuItem {
  readonly id?: string;
  readonly label: string;
  readonly icon?: LucideIcon | undefined;
  /** A small picture or mark in the icon's place, such as a colour. */
  readonly swatch?: string;
  readonly hint?: string;
  /** A chord, "mod+z". */
  readonly keys?: string | undefined;
  /** Given: a check item. */
  readonly checked?: boolean | undefined;
  readonly disabled?: boolean;
  readonly danger?: boolean;
  readonly run?: () => void;
  /** A submenu. */
  readonly items?: readonly MenuEntry[];
}

export type MenuEntry = MenuItem | "separator" | { readonly heading: string };

export function isItem(entry: MenuEntry): entry is MenuItem {
  return entry !== "separator" && !("heading" in entry);
}
