import { useEffect } from "react";
import { type Loaded, type Resources, useResource } from "../stores/resource";

/** The resource of `key`, read anew whenever the view is opened: others may have changed it. What was known is shown meanwhile. */
export function useFresh<T>(resources: Resources<T>, key: string): Loaded<T> {
  useEffect(() => {
    if (resources.get(key).value !== undefined) resources.reload(key);
  }, [resources, key]);
  return useResource(resources, key);
}
