import { type DragEvent, type ReactNode, useRef, useState } from "react";
import styles from "./DropZone.module.css";
import { useTake } from "./useTake";

/** Everything inside takes a dropped file: a scene, or a policy that somebody shared. */
export function DropZone({
  className,
  children,
}: {
  readonly className?: string | undefined;
  readonly children: ReactNode;
}) {
  const [over, setOver] = useState(false);
  const depth = useRef(0);
  const take = useTake();

  const hasFile = (event: DragEvent) => event.dataTransfer.types.includes("Files");
  const leave = () => {
    depth.current = 0;
    setOver(false);
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: who cannot drop a file chooses it in the card for uploads
    <div
      className={className}
      onDragEnter={(event) => {
        if (!hasFile(event)) return;
        // Entering a part within is told before leaving the part around it.
        depth.current += 1;
        setOver(true);
      }}
      onDragOver={(event) => hasFile(event) && event.preventDefault()}
      onDragLeave={() => {
        depth.current -= 1;
        if (depth.current <= 0) leave();
      }}
      onDrop={(event) => {
        if (!hasFile(event)) return;
        event.preventDefault();
        leave();
        void take(event.dataTransfer.files, event.dataTransfer.items);
      }}
      data-testid="drop-zone"
    >
      {children}
      {over && (
        <div className={styles.over} aria-hidden="true">
          <p>Drop it anywhere</p>
          <p className={styles.what}>A zip or XML file with a robot, or a .tabrl file with a policy</p>
        </div>
      )}
    </div>
  );
}
