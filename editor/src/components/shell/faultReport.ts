/** What a person can paste into an issue: what failed and where, nothing of their work. */
export function faultReport(fault: unknown, area: string, componentStack: string): string {
  const said = fault instanceof Error ? `${fault.name}: ${fault.message}` : String(fault);
  const stack = fault instanceof Error ? (fault.stack ?? "") : "";
  return [
    "nodegraph editor fault report",
    `area: ${area}`,
    `fault: ${said}`,
    `browser: ${navigator.userAgent}`,
    `window: ${innerWidth} × ${innerHeight}, language ${navigator.language}`,
    "",
    stack,
    "",
    "components:",
    componentStack.trim(),
  ].join("\n");
}
