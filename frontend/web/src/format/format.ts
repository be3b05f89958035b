import type { Timestamp } from "@bufbuild/protobuf/wkt";

const FIXED_SPACE = "\u00a0";

/** A count in at most three digits and a unit: 950, 12.5k, 3.2M. */
export function formatCount(count: number | bigint): string {
  const value = Number(count);
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size < 1000) return String(Math.round(value));
  const [divisor, unit] = size < 999_500 ? [1e3, "k"] : size < 999_500_000 ? [1e6, "M"] : [1e9, "B"];
  const scaled = value / divisor;
  return `${Math.abs(scaled) < 99.95 ? trimZero(scaled.toFixed(1)) : Math.round(scaled)}${unit}`;
}

/** A duration as a person says it: 0.4 s, 48 s, 2 min 5 s, 1 h 20 min. */
export function formatDuration(secs: number): string {
  if (!Number.isFinite(secs) || secs < 0) return "–";
  if (secs < 1) return `${trimZero(secs.toFixed(1))}${FIXED_SPACE}s`;
  const whole = Math.round(secs);
  if (whole < 60) return `${whole}${FIXED_SPACE}s`;
  const minutes = Math.floor(whole / 60);
  const rest = whole % 60;
  if (minutes < 60) return `${minutes}${FIXED_SPACE}min${rest ? ` ${rest}${FIXED_SPACE}s` : ""}`;
  const restMinutes = Math.round((whole % 3600) / 60);
  if (restMinutes === 60) return `${Math.floor(minutes / 60) + 1}${FIXED_SPACE}h`;
  return `${Math.floor(minutes / 60)}${FIXED_SPACE}h${restMinutes ? ` ${restMinutes}${FIXED_SPACE}min` : ""}`;
}

/** An estimate without false precision: about 20 s, about 2 min. */
export function formatEstimate(secs: number): string {
  if (!Number.isFinite(secs) || secs < 0) return "–";
  if (secs < 5) return "a few seconds";
  const step = secs < 60 ? 5 : secs < 600 ? 10 : secs < 3600 ? 60 : 600;
  return `about ${formatDuration(Math.round(secs / step) * step)}`;
}

/** A return or reward: three significant digits, no exponent for usual sizes. */
export function formatReward(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 99_950) return formatCount(value);
  if (size >= 100) return String(Math.round(value));
  if (size >= 10) return trimZero(value.toFixed(1));
  if (size === 0) return "0";
  return size < 0.005 ? value.toExponential(0) : trimZero(value.toFixed(2));
}

/** A number with two decimals always, so that nothing jumps while it changes many times a second. */
export function formatFixed(value: number): string {
  return (Math.abs(value) < 0.005 ? 0 : value).toFixed(2).replace("-", "−");
}

/** A share as whole percent, 100 only when it is whole. */
export function formatPercent(share: number): string {
  if (!Number.isFinite(share)) return "–";
  const percent = share * 100;
  return `${percent < 100 ? Math.min(99, Math.round(percent)) : 100}${FIXED_SPACE}%`;
}

/** How long ago, in words; the date when that is more than a week. */
export function formatAgo(time: Timestamp | undefined, nowMs: number): string {
  if (!time) return "";
  const thenMs = Number(time.seconds) * 1000;
  const secs = Math.max(0, (nowMs - thenMs) / 1000);
  if (secs < 60) return "just now";
  if (secs < 3600) return `${Math.floor(secs / 60)} min ago`;
  if (secs < 86_400) return `${Math.floor(secs / 3600)} h ago`;
  if (secs < 7 * 86_400) {
    const days = Math.floor(secs / 86_400);
    return days === 1 ? "yesterday" : `${days} days ago`;
  }
  return new Date(thenMs).toLocaleDateString("en", { day: "numeric", month: "short", year: "numeric" });
}

/** `upright_bonus` as words: Upright bonus. */
export function formatName(name: string): string {
  return upperFirst(name.replace(/[/_]+/g, " ").trim());
}

/** Text that begins with a capital. */
export function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Words as a sentence: a capital before them and a full stop after. */
export function toSentence(text: string): string {
  const trimmed = text.trim();
  if (trimmed === "") return "";
  return `${upperFirst(trimmed)}${/[.!?]$/.test(trimmed) ? "" : "."}`;
}

function trimZero(text: string): string {
  return text.replace(/\.?0+$/, "");
}

/** A size as a person would say it, such as `180 MB`. */
export function formatMegabytes(bytes: bigint): string {
  return `${Math.max(1, Math.round(Number(bytes) / 1e6))}\u00a0MB`;
}

/** An amount as small as renting for seconds costs: $0.19, $4.27, $0.004. */
export function formatUsd(usd: number): string {
  if (!Number.isFinite(usd)) return "–";
  return usd > 0 && usd < 0.01 ? `$${usd.toPrecision(1)}` : `$${usd.toFixed(2)}`;
}

/** What an answer of a model cost, which is often a part of a cent: $0.0042, $0.25. */
export function formatAnswerCost(usd: number): string {
  return `$${usd.toFixed(usd < 0.1 ? 4 : 2)}`;
}
