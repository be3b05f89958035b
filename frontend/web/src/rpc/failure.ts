import { Code, ConnectError } from "@connectrpc/connect";
import { upperFirst } from "../format/format";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../gen/google/rpc/error_details_pb";
import { remedyFor } from "./remedies";

/** What is wrong with one field of a request. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** Why a call failed, ready to be shown: the one form in which errors leave the RPC layer. */
export interface Failure {
  /** Name of the gRPC status, such as `UNAVAILABLE`. */
  readonly status: string;
  /** `ErrorInfo.reason`, such as `BEHAVIOUR_UNKNOWN`; empty when the reply carried none. */
  readonly reason: string;
  /** The service's own words. */
  readonly message: string;
  /** What the person can do about it; empty when the message says it already. */
  readonly remedy: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly fields: readonly FieldViolation[];
  /** After how many seconds asking again may help; absent when waiting does not. */
  readonly retryAfterSecs?: number;
  /** Whether the same call may succeed later without any change. */
  readonly transient: boolean;
  /** Whether the person (or the page) broke the call off. */
  readonly cancelled: boolean;
}

const TRANSIENT = new Set([Code.Unavailable, Code.DeadlineExceeded, Code.ResourceExhausted, Code.Aborted]);

/** Turns anything thrown by a call into a Failure. */
export function failureFrom(thrown: unknown): Failure {
  const error = ConnectError.from(thrown);
  const info = error.findDetails(ErrorInfoSchema)[0];
  const fields = error
    .findDetails(BadRequestSchema)
    .flatMap((detail) => detail.fieldViolations)
    .map(({ field, description }) => ({ field, description }));
  const delay = error.findDetails(RetryInfoSchema)[0]?.retryDelay;
  const status = statusName(error.code);
  const metadata = { ...info?.metadata };
  const reason = info?.reason ?? "";
  const message = sentence(error.rawMessage) || "The call failed without a message.";
  // A service that names the nearest thing itself needs no echo.
  const told = metadata.nearest !== undefined && message.includes(metadata.nearest);
  return {
    status,
    reason,
    message,
    remedy: told ? "" : remedyFor(reason, status, metadata),
    metadata,
    fields,
    ...(delay ? { retryAfterSecs: Number(delay.seconds) + delay.nanos / 1e9 } : {}),
    transient: TRANSIENT.has(error.code),
    cancelled: error.code === Code.Canceled,
  };
}

const PATIENCE_SECS = 3;

/** In how many milliseconds to ask again unasked; undefined when that would not help. */
export function askAgainMs(failure: Failure): number | undefined {
  return failure.transient ? 1000 * Math.max(failure.retryAfterSecs ?? 0, PATIENCE_SECS) : undefined;
}

/** A Failure that the page itself found, before any call. */
export function localFailure(field: string, description: string): Failure {
  return {
    status: "INVALID_ARGUMENT",
    reason: "INVALID_FIELD",
    message: description,
    remedy: "",
    metadata: {},
    fields: [{ field, description }],
    transient: false,
    cancelled: false,
  };
}

/** The violation of the named field (`prompt`) or of a part of it (`spec.settings.env_steps` for `env_steps`), if there is one. */
export function violationOf(failure: Failure | undefined, field: string): FieldViolation | undefined {
  return failure?.fields.find((violation) => violation.field === field || violation.field.endsWith(`.${field}`));
}

function statusName(code: Code): string {
  if (code === Code.Canceled) return "CANCELLED";
  return (Code[code] ?? "UNKNOWN").replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

function sentence(text: string): string {
  const trimmed = text.trim();
  // A name that begins a sentence, such as `go1-dance@3`, `scene.xml` or `openai/gpt`, stays as it is spelt.
  if (/^[\w/]*[-@./]\S/.test(trimmed)) return trimmed;
  return upperFirst(trimmed);
}
