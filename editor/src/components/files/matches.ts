/** Whether every word of a query is in some of the texts; case and accents say nothing. */
export function matches(query: string, texts: readonly string[]): boolean {
  const all = plain(texts.join(" "));
  return plain(query)
    .split(/\s+/)
    .every((word) => all.includes(word));
}

function plain(text: string): string {
  return text
    .normalize("NFKD")
    .replace(/\p{Mn}/gu, "")
    .replaceAll("_", " ")
    .toLowerCase();
}
