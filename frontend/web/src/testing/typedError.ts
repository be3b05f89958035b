import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";

/** An error as the services give it. */
export function typedError(
  code: Code,
  reason: string,
  message: string,
  fields: readonly (readonly [field: string, description: string])[] = [],
  metadata: Record<string, string> = {},
): ConnectError {
  const details = [{ desc: ErrorInfoSchema, value: { reason, domain: "tabrl.dev", metadata } }];
  const fieldViolations = fields.map(([field, description]) => ({ field, description }));
  return new ConnectError(message, code, undefined, [
    ...details,
    ...(fields.length > 0 ? [{ desc: BadRequestSchema, value: { fieldViolations } }] : []),
  ]);
}

/** What was looked for, or the error of what is not there. */
export function found<T>(value: T | undefined, reason: string, what: string): T {
  if (value === undefined) throw typedError(Code.NotFound, reason, `there is no such ${what}`);
  return value;
}
