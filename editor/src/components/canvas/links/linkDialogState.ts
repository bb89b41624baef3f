/** Which card's links are chosen by keyboard. */
import { create } from "zustand";

export const useLinkDialog = create<{ readonly node: string | null }>()(() => ({ node: null }));

export function openLinkDialog(node: string): void {
  useLinkDialog.setState({ node });
}
