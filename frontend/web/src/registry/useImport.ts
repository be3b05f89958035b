import { useState } from "react";
import { useSession } from "../app/session";
import type { Policy } from "../gen/tabrl/exporter/v1/exporter_pb";
import { type Failure, localFailure } from "../rpc/failure";
import { ALL } from "../stores/resource";
import { useStore } from "../stores/store";
import type { Upload } from "../stores/upload";

/** Takes shared policies in, one file at a time. */
export interface Importing {
  readonly upload: Upload;
  /** Why the last file was not taken in. */
  readonly failure: Failure | undefined;
  /** What the last file became. */
  readonly imported: Policy | undefined;
  take(file: File | undefined): Promise<void>;
  dismiss(): void;
}

export function useImport(): Importing {
  const { uploader, policies, policyLists } = useSession();
  const upload = useStore(uploader.store);
  const [refused, setRefused] = useState<Failure>();
  const [imported, setImported] = useState<Policy>();

  function dismiss(): void {
    setRefused(undefined);
    setImported(undefined);
    uploader.dismiss();
  }

  async function take(file: File | undefined): Promise<void> {
    if (!file || upload.status === "sending" || upload.status === "reading") return;
    dismiss();
    if (!isBundle({ fileName: file.name })) {
      const words = `${file.name} is no shared policy. Choose a file that ends in .tabrl; robots are uploaded among all robots.`;
      setRefused(localFailure("file_name", words));
      return;
    }
    const arrival = await uploader.upload(file);
    if (arrival?.kind !== "policy") return;
    const { policy } = arrival;
    policies.put(policy.policyId, policy);
    for (const list of [ALL, policy.environmentId]) policyLists.reload(list);
    setImported(policy);
  }

  // Why a robot was not taken is said where robots are.
  const failure = refused ?? (isBundle(upload) ? upload.failure : undefined);
  return { upload, failure, imported, take, dismiss };
}

function isBundle({ fileName }: { readonly fileName: string }): boolean {
  return /\.tabrl$/i.test(fileName);
}
