import { Code, ConnectError, type Interceptor, type StreamResponse, type UnaryResponse } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";
import { SERVICE_TITLES, serviceOf } from "./serviceNames";

/** Tells of calls that failed because a service, or the gateway, is away. */
export interface Outages {
  readonly interceptor: Interceptor;
  /** `listener` runs after each such call, before the caller sees its error. Returns how to stop that. */
  subscribe(listener: () => void): () => void;
}

/**
 * Watches the calls for outages. An error that no service gave, because the connection broke, becomes UNAVAILABLE and names the
 * service whose answer broke off, or TabRL as a whole when nothing answered at all.
 */
export function createOutages(): Outages {
  const listeners = new Set<() => void>();

  function explained(thrown: unknown, typeName: string, answered: boolean): unknown {
    const error = ConnectError.from(thrown);
    const broke = error.code === Code.Unknown && error.findDetails(ErrorInfoSchema).length === 0;
    const away = broke || error.code === Code.Unavailable || error.code === Code.DeadlineExceeded;
    if (away) for (const listener of [...listeners]) listener();
    return broke ? broken(error, typeName, answered) : thrown;
  }

  async function* watched<T>(messages: AsyncIterable<T>, typeName: string): AsyncIterable<T> {
    try {
      yield* messages;
    } catch (thrown) {
      throw explained(thrown, typeName, true);
    }
  }

  return {
    interceptor: (next) => async (request) => {
      const { typeName } = request.service;
      let response: UnaryResponse | StreamResponse;
      try {
        response = await next(request);
      } catch (thrown) {
        throw explained(thrown, typeName, !(ConnectError.from(thrown).cause instanceof TypeError));
      }
      return response.stream ? { ...response, message: watched(response.message, typeName) } : response;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

function broken(error: ConnectError, typeName: string, answered: boolean): ConnectError {
  const service = serviceOf(typeName);
  if (!answered || !service) return new ConnectError("TabRL does not answer.", Code.Unavailable, error.metadata);
  const value = { reason: "SERVICE_UNAVAILABLE", domain: "tabrl.dev", metadata: { service } };
  const text = `The ${SERVICE_TITLES[service]} service broke off in the middle of its answer.`;
  return new ConnectError(text, Code.Unavailable, error.metadata, [{ desc: ErrorInfoSchema, value }], error.cause);
}
