import type { Model } from "../gen/tabrl/rewardgen/v1/rewardgen_pb";

/** Name under which the built-in library is listed; it needs no LLM. */
export const LIBRARY = "library";

/** Whether only the built-in library can write rewards here. */
export function onlyLibrary(models: readonly Model[]): boolean {
  return models.every(({ name }) => name === LIBRARY);
}
