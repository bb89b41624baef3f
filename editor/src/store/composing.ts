/** Words on their way through an input method, as Japanese ones go: the text isn't what is meant yet. */

/** By this an input method takes a key that the browser calls by another name. */
const TAKEN_KEY = 229;

let field: EventTarget | null = null;

/** Whether the field that has the focus holds such words. */
export function isComposing(): boolean {
  // A field that was taken away ends nothing.
  return field !== null && field === document.activeElement;
}

/**
 * Follow input methods, and leave their keys to them: Enter takes a word there, Escape gives it up,
 * and arrows choose another. Gives what ends it; once for a page.
 */
export function followComposing(): () => void {
  const begin = ({ target }: Event) => {
    field = target;
  };
  const end = () => {
    field = null;
  };
  const press = (event: KeyboardEvent) => {
    // Safari tells of the Enter that ends the words after their end.
    if (event.isComposing || event.keyCode === TAKEN_KEY) event.stopImmediatePropagation();
  };
  addEventListener("compositionstart", begin, true);
  addEventListener("compositionend", end, true);
  addEventListener("keydown", press, true);
  return () => {
    end();
    removeEventListener("compositionstart", begin, true);
    removeEventListener("compositionend", end, true);
    removeEventListener("keydown", press, true);
  };
}
