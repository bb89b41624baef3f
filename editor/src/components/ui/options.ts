/** One of the things that a Select or a Combobox offers. */
export interface Option {
  readonly value: string;
  readonly label: string;
  readonly hint?: string | undefined;
  /** URL of a small picture. */
  readonly picture?: string | undefined;
  readonly group?: string | undefined;
  readonly disabled?: boolean | undefined;
}

/** The options that hold every word of the query, those that start with it first. */
export function matching(options: readonly Option[], query: string): readonly Option[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return options;
  const holds = (option: Option) => {
    const text = `${option.label} ${option.hint ?? ""} ${option.group ?? ""}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  const first = words[0] ?? "";
  const starts = (option: Option) => (option.label.toLowerCase().startsWith(first) ? 0 : 1);
  return options.filter(holds).sort((a, b) => starts(a) - starts(b));
}
