/** What a screen reader says although nothing on the screen is read: see components/shell/Spoken. */
import { create } from "zustand";

export const useSpoken = create<{ readonly text: string }>()(() => ({ text: "" }));

/** Say something once there is a pause. The same text again is said again. */
export function speak(text: string): void {
  const isSame = useSpoken.getState().text === text;
  // An invisible sign makes it another text.
  useSpoken.setState({ text: isSame ? `${text}\u200b` : text });
}
