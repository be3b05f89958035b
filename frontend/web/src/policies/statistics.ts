/** Of numbers that were measured: how many, their mean, and the standard deviation of the population they are drawn from. */
export interface Sample {
  readonly count: number;
  readonly mean: number;
  /** With n − 1 below (Bessel); 0 of a single number. */
  readonly std: number;
}

export function sampleOf(values: readonly number[]): Sample {
  const count = values.length;
  const mean = count > 0 ? values.reduce((sum, value) => sum + value, 0) / count : Number.NaN;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { count, mean, std: count > 1 ? Math.sqrt(squares / (count - 1)) : 0 };
}

/** The sample that a service has summed up: its deviation is that of the episodes alone, with n below. */
export function summedUp(count: number, mean: number, stdOfEpisodes: number): Sample {
  return { count, mean, std: count > 1 ? stdOfEpisodes * Math.sqrt(count / (count - 1)) : 0 };
}

/** The sample of shares of which only the mean is known, spread as widely as shares from 0 to 1 can be: what is clear of it is clear of any. */
export function sharesOfMean(count: number, mean: number): Sample {
  return summedUp(count, mean, Math.sqrt(Math.max(0, mean * (1 - mean))));
}

/** Standard error of the difference between two means, as batches judge their candidates by. */
function errorOfDifference(a: Sample, b: Sample): number {
  return Math.sqrt(a.std ** 2 / Math.max(a.count, 1) + b.std ** 2 / Math.max(b.count, 1));
}

/** Rounding of sums of thousands of float32 rewards, as a share of the larger. */
const ROUNDING = 1e-6;

/** Whether `a` is above `b` by more than two standard errors: luck alone does so about once in forty times. One episode says nothing of luck. */
export function clearlyAbove(a: Sample, b: Sample): boolean {
  if (a.count < 2 || b.count < 2) return false;
  const rounding = ROUNDING * Math.max(Math.abs(a.mean), Math.abs(b.mean));
  return a.mean - b.mean > Math.max(2 * errorOfDifference(a, b), rounding);
}
