/** English, by file: fetched as a whole. */
export default import.meta.glob<Record<string, string>>("./*.json", {
  eager: true,
  import: "default",
});
