import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";

/** Deadline of a unary call that names none, in milliseconds. */
export const UNARY_DEADLINE_MS = 15_000;

const ATTEMPTS = 4;
const FIRST_DELAY_MS = 100;
const LARGEST_DELAY_MS = 1_000;

/** Repeats idempotent unary calls that met an unavailable service, up to 4 attempts, 0.1 s to 1 s apart. */
export function retrying(sleep: (ms: number) => Promise<void> = pause): Interceptor {
  return (next) => async (request) => {
    if (request.stream || request.method.idempotency === Idempotency.IDEMPOTENCY_UNKNOWN) return next(request);
    for (let attempt = 1; ; attempt++) {
      try {
        return await next(request);
      } catch (thrown) {
        const error = ConnectError.from(thrown);
        if (error.code !== Code.Unavailable || attempt === ATTEMPTS || request.signal.aborted) throw error;
        await sleep(Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), LARGEST_DELAY_MS));
      }
    }
  };
}

/** Resolves after `ms` milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
