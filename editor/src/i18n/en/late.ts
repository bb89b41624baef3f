/** English of views that are fetched when they are opened, by file: fetched with the first of them. */
export default import.meta.glob<Record<string, string>>("./late/*.json", {
  eager: true,
  import: "default",
});
