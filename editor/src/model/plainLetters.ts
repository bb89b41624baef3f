/** Text without case and accents, each letter in its place, so that what is found can be marked. */
export function plainLetters(text: string): string {
  return [...text]
    .map((letter) => {
      const bare = letter
        .normalize("NFKD")
        .replace(/\p{Mn}/gu, "")
        .toLowerCase();
      return bare.length === letter.length ? bare : letter;
    })
    .join("");
}
