import { isGallery } from "../app/location";
import { useSession } from "../app/session";
import { ALL } from "../stores/resource";
import { useNewEnvironment } from "./useNewEnvironment";

/** Takes a file that a person chose or dropped, and goes to what it became: a robot's studio, or a policy. */
export function useTake(): (files: FileList | null | undefined, entries?: DataTransferItemList) => Promise<void> {
  const { uploader, policies, policyLists, navigation } = useSession();
  const open = useNewEnvironment();
  return async (files, entries) => {
    const file = files?.[0];
    if (!file) return;
    // To a page a folder looks like a file that cannot be read.
    if ([...(entries ?? [])].some((entry) => entry.webkitGetAsEntry?.()?.isDirectory)) {
      return uploader.refuse(file.name, `${file.name} is a folder. Zip it, and drop the zip.`);
    }
    if (files.length > 1) {
      const problem = `These are ${files.length} files. Drop one: a scene with its meshes goes into a zip.`;
      return uploader.refuse(file.name, problem);
    }
    const arrival = await uploader.upload(file);
    if (!arrival) return;
    // Who went elsewhere meanwhile finds it in the gallery, or among the policies.
    const stillHere = isGallery(navigation.place.get());
    if (arrival.kind === "policy") {
      const { policy } = arrival;
      policies.put(policy.policyId, policy);
      for (const list of [ALL, policy.environmentId]) policyLists.reload(list);
      if (stillHere) navigation.go({ policyId: policy.policyId });
      return;
    }
    open(arrival.environment, stillHere);
  };
}
