/** What is drawn of a sound: its waveform, and how loud each pitch is over time. */

/** The least and greatest sample of each of `columns` stretches, one after the other. */
export function peaksOf(samples: Float32Array, columns: number): Float32Array {
  const peaks = new Float32Array(columns * 2);
  const each = samples.length / columns;
  for (let column = 0; column < columns; column += 1) {
    const from = Math.floor(column * each);
    const until = Math.max(from + 1, Math.floor((column + 1) * each));
    let low = samples[from] ?? 0;
    let high = low;
    for (let at = from + 1; at < until; at += 1) {
      const sample = samples[at] ?? 0;
      if (sample < low) low = sample;
      else if (sample > high) high = sample;
    }
    peaks[column * 2] = low;
    peaks[column * 2 + 1] = high;
  }
  return peaks;
}

export interface Spectrogram {
  readonly columns: number;
  /** Bands, the lowest pitch first. */
  readonly rows: number;
  /** Loudness 0..1, column after column; 0 is 80 dB below the loudest. */
  readonly levels: Float32Array;
}

const WINDOW = 1024;
const DECIBELS = 80;
const LOWEST_HERTZ = 40;

/** Loudness of bands that are spaced as one hears them (mel), over time. */
export function spectrogramOf(
  samples: Float32Array,
  rate: number,
  columns: number,
  rows: number,
): Spectrogram {
  const edges = melEdges(rate, rows);
  const levels = new Float32Array(columns * rows);
  const window = Float32Array.from(
    { length: WINDOW },
    (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / WINDOW),
  );
  const [real, imaginary] = [new Float32Array(WINDOW), new Float32Array(WINDOW)];
  for (let column = 0; column < columns; column += 1) {
    const middle = Math.floor(((column + 0.5) * samples.length) / columns);
    for (let at = 0; at < WINDOW; at += 1) {
      real[at] = (samples[middle - WINDOW / 2 + at] ?? 0) * (window[at] ?? 0);
      imaginary[at] = 0;
    }
    transform(real, imaginary);
    for (let row = 0; row < rows; row += 1) {
      levels[column * rows + row] = band(real, imaginary, edges[row] ?? 0, edges[row + 1] ?? 0);
    }
  }
  toDecibels(levels);
  return { columns, rows, levels };
}

function mel(hertz: number): number {
  return Math.log1p(hertz / 700);
}

/** Where a pitch lies between the lowest band's lower edge, 0, and the highest one's upper, 1. */
export function pitchPlace(hertz: number, rate: number): number {
  const [low, high] = [mel(LOWEST_HERTZ), mel(rate / 2)];
  return (mel(hertz) - low) / (high - low);
}

/** Edges of the bands, in bins of the transform. */
export function melEdges(rate: number, rows: number): Float32Array {
  const [low, high] = [mel(LOWEST_HERTZ), mel(rate / 2)];
  return Float32Array.from({ length: rows + 1 }, (_, row) => {
    const hertz = 700 * Math.expm1(low + ((high - low) * row) / rows);
    return (hertz * WINDOW) / rate;
  });
}

/** The mean power between two bins; of a band narrower than a bin, what lies there. */
function band(real: Float32Array, imaginary: Float32Array, from: number, until: number): number {
  const power = (bin: number) => (real[bin] ?? 0) ** 2 + (imaginary[bin] ?? 0) ** 2;
  const [first, last] = [Math.ceil(from), Math.floor(until)];
  if (last < first) {
    const [bin, part] = [Math.floor(from), (from + until) / 2 - Math.floor(from)];
    return power(bin) * (1 - part) + power(bin + 1) * part;
  }
  let sum = 0;
  for (let bin = first; bin <= last; bin += 1) sum += power(bin);
  return sum / (last - first + 1);
}

function toDecibels(levels: Float32Array): void {
  const loudest = levels.reduce((most, level) => Math.max(most, level), 0);
  for (let at = 0; at < levels.length; at += 1) {
    const decibels = loudest > 0 ? 10 * Math.log10((levels[at] ?? 0) / loudest) : -DECIBELS;
    levels[at] = Math.max(0, 1 + decibels / DECIBELS);
  }
}

/** The Fourier transform in place (Cooley and Tukey); the length is a power of two. */
export function transform(real: Float32Array, imaginary: Float32Array): void {
  const count = real.length;
  for (let at = 1, other = 0; at < count; at += 1) {
    let bit = count >> 1;
    for (; other & bit; bit >>= 1) other ^= bit;
    other ^= bit;
    if (at < other) {
      swap(real, at, other);
      swap(imaginary, at, other);
    }
  }
  for (let size = 2; size <= count; size *= 2) {
    for (let at = 0; at < size / 2; at += 1) {
      const angle = (-2 * Math.PI * at) / size;
      turn(real, imaginary, size, at, Math.cos(angle), Math.sin(angle));
    }
  }
}

function turn(
  real: Float32Array,
  imaginary: Float32Array,
  size: number,
  from: number,
  cosine: number,
  sine: number,
): void {
  for (let even = from; even < real.length; even += size) {
    const odd = even + size / 2;
    const [x, y] = [real[odd] ?? 0, imaginary[odd] ?? 0];
    const [turnedX, turnedY] = [x * cosine - y * sine, x * sine + y * cosine];
    real[odd] = (real[even] ?? 0) - turnedX;
    imaginary[odd] = (imaginary[even] ?? 0) - turnedY;
    real[even] = (real[even] ?? 0) + turnedX;
    imaginary[even] = (imaginary[even] ?? 0) + turnedY;
  }
}

function swap(values: Float32Array, one: number, other: number): void {
  const kept = values[one] ?? 0;
  values[one] = values[other] ?? 0;
  values[other] = kept;
}
