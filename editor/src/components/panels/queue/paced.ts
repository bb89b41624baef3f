/** Something that is done when it is asked for, but never twice at once and not too often. */
export class Paced {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private last = Number.NEGATIVE_INFINITY;
  private isBusy = false;
  private isAsked = false;
  private isStopped = false;

  /** `least`: milliseconds from the end of one to the start of the next. */
  constructor(
    private readonly act: () => Promise<void>,
    private readonly least: number,
  ) {}

  ask(): void {
    if (this.isStopped || this.isAsked) return;
    this.isAsked = true;
    if (!this.isBusy) this.wait();
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
  }

  private wait(): void {
    const left = Math.max(0, this.last + this.least - performance.now());
    this.timer = setTimeout(() => void this.begin(), left);
  }

  private async begin(): Promise<void> {
    this.isAsked = false;
    this.isBusy = true;
    try {
      await this.act();
    } finally {
      this.isBusy = false;
      this.last = performance.now();
    }
    if (this.isAsked && !this.isStopped) this.wait();
  }
}
