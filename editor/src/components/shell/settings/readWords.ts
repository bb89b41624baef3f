/** The words of a language file: those that are texts and that English has; null if it has none. */
export function readWords(
  text: string,
  english: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> | null {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof read !== "object" || read === null) return null;
  const known = Object.entries(read).filter(
    (entry): entry is [string, string] =>
      typeof entry[1] === "string" && Object.hasOwn(english, entry[0]),
  );
  return known.length > 0 ? Object.fromEntries(known) : null;
}
