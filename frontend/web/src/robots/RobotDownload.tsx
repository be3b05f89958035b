import { useSession } from "../app/session";
import { formatMegabytes } from "../format/format";
import { useStore } from "../stores/store";
import { Button } from "../ui/Button";
import { FailureNotice, Notice } from "../ui/Notice";
import styles from "./RobotDownload.module.css";

interface RobotDownloadProps {
  readonly title: string;
  /** Size of the download, which the person agrees to by the button. */
  readonly downloadBytes: bigint;
}

/** Offers the robots that are not on this machine yet, and shows how far their installation is. */
export function RobotDownload({ title, downloadBytes }: RobotDownloadProps) {
  const { robots } = useSession();
  const { status, message, share, failure } = useStore(robots.store);
  const install = () => void robots.install(downloadBytes);
  if (status === "working") {
    return (
      <Notice tone="info" title="Bringing the robots" testId="robot-download">
        <progress className={styles.progress} value={share} max={1} aria-label="Downloading the robots" />
        <p className={styles.message} role="status">
          {message}
        </p>
      </Notice>
    );
  }
  return (
    <>
      {failure && <FailureNotice failure={failure} />}
      <Notice
        tone="info"
        title={title}
        testId="robot-download"
        action={
          <Button size="small" onClick={install} data-testid="download-robots">
            {failure ? "Try again" : `Download robots (${formatMegabytes(downloadBytes)})`}
          </Button>
        }
      >
        <p>All walking robots, hands and arms come together, once for this machine.</p>
      </Notice>
    </>
  );
}
