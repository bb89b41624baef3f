/** Colours of the theme for what is drawn by hand: a drawing knows no variables of CSS. */

/** What a colour in CSS, with variables and mixtures, is in the theme of now. */
export type Palette = (css: string) => string;

/** Remembers what it found until the theme changes. */
export function paletteOf(element: HTMLElement): Palette {
  const found = new Map<string, string>();
  let theme: string | undefined;
  const probe = document.createElement("span");
  probe.hidden = true;
  element.append(probe);
  return (css) => {
    const now = document.documentElement.dataset.theme;
    if (now !== theme) found.clear();
    theme = now;
    const known = found.get(css);
    if (known !== undefined) return known;
    probe.style.color = "";
    probe.style.color = css;
    const color = getComputedStyle(probe).color;
    found.set(css, color);
    return color;
  };
}
