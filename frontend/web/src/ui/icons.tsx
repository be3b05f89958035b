import type { ReactNode } from "react";

function icon(paths: ReactNode) {
  return (
    <svg
      width="16"
      height="16"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {paths}
    </svg>
  );
}

export const PlayIcon = () => icon(<path d="M5 3.2v9.6l7.5-4.8z" fill="currentColor" />);
export const PauseIcon = () => icon(<path d="M5.5 3.5v9M10.5 3.5v9" strokeWidth="2.4" />);
export const RestartIcon = () =>
  icon(
    <>
      <path d="M3 8a5 5 0 1 0 1.6-3.7" />
      <path d="M4.2 1.8v2.8H7" />
    </>,
  );
export const SearchIcon = () =>
  icon(
    <>
      <circle cx="7" cy="7" r="4.2" />
      <path d="m10.2 10.2 3.3 3.3" />
    </>,
  );
export const BackIcon = () => icon(<path d="M9.5 3.5 5 8l4.5 4.5" />);
export const NextIcon = () => icon(<path d="M6.5 3.5 11 8l-4.5 4.5" />);
export const PlusIcon = () => icon(<path d="M8 3v10M3 8h10" />);
export const CloseIcon = () => icon(<path d="m4 4 8 8M12 4l-8 8" />);
export const AlertIcon = () =>
  icon(
    <>
      <path d="M8 2.2 14.2 13H1.8z" />
      <path d="M8 6.5v3M8 11.2v.1" />
    </>,
  );
export const HistoryIcon = () =>
  icon(
    <>
      <circle cx="8" cy="8" r="5.6" />
      <path d="M8 4.8V8l2.2 1.5" />
    </>,
  );
export const RobotIcon = () =>
  icon(
    <>
      <rect x="3" y="5.5" width="10" height="7.5" rx="2" />
      <path d="M8 5.5V3M6.2 9v.6M9.8 9v.6" />
      <circle cx="8" cy="2.4" r=".7" />
    </>,
  );
export const PoliciesIcon = () =>
  icon(
    <>
      <path d="m8 2 5.6 2.8L8 7.6 2.4 4.8z" />
      <path d="m2.4 8 5.6 2.8L13.6 8M2.4 11.2 8 14l5.6-2.8" />
    </>,
  );
export const SideBySideIcon = () =>
  icon(
    <>
      <rect x="2.2" y="3" width="4.8" height="10" rx="1" />
      <rect x="9" y="3" width="4.8" height="10" rx="1" />
    </>,
  );
export const DayIcon = () =>
  icon(
    <>
      <circle cx="8" cy="8" r="2.8" />
      <path d="M8 1.6v1.2M8 13.2v1.2M1.6 8h1.2M13.2 8h1.2M3.5 3.5l.8.8M11.7 11.7l.8.8M3.5 12.5l.8-.8M11.7 4.3l.8-.8" />
    </>,
  );
export const NightIcon = () => icon(<path d="M13 9.6A5.6 5.6 0 0 1 6.4 3a5.6 5.6 0 1 0 6.6 6.6z" />);
export const SystemIcon = () =>
  icon(
    <>
      <circle cx="8" cy="8" r="5.6" />
      <path d="M8 2.4a5.6 5.6 0 0 1 0 11.2z" fill="currentColor" />
    </>,
  );
export const CheckIcon = () => icon(<path d="m3.5 8.5 3 3 6-7" />);
export const ArrowIcon = () => icon(<path d="M3 8h9.5M9 4.5 12.5 8 9 11.5" />);
export const StopIcon = () => icon(<rect x="4" y="4" width="8" height="8" rx="1" fill="currentColor" />);
export const TagIcon = () =>
  icon(
    <>
      <path d="M8.6 2.5h4.9v4.9l-6.2 6.1-4.8-4.8z" />
      <path d="M11 5v.1" />
    </>,
  );
export const ImportIcon = () =>
  icon(
    <>
      <path d="M8 2.5v7.5M5 7.2l3 3 3-3" />
      <path d="M2.8 11v2.5h10.4V11" />
    </>,
  );
export const DeleteIcon = () => icon(<path d="M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9M6.8 7v4M9.2 7v4" />);
export const ChevronIcon = () => icon(<path d="m4.5 6.2 3.5 3.6 3.5-3.6" />);
export const StepIcon = () =>
  icon(
    <>
      <path d="M3.5 3.8v8.4L9.5 8z" fill="currentColor" />
      <path d="M12.2 3.8v8.4" strokeWidth="2" />
    </>,
  );
export const CameraHomeIcon = () =>
  icon(
    <>
      <path d="M2.2 5.4V2.2h3.2M10.6 2.2h3.2v3.2M13.8 10.6v3.2h-3.2M5.4 13.8H2.2v-3.2" />
      <circle cx="8" cy="8" r="2.1" />
    </>,
  );
export const MoreIcon = () => icon(<path d="M3.4 8h.1M8 8h.1M12.6 8h.1" strokeWidth="2.4" />);
export const PictureIcon = () =>
  icon(
    <>
      <path d="M2 5.2h2.6l1-1.7h4.8l1 1.7H14v7.6H2z" />
      <circle cx="8" cy="8.8" r="2.2" />
    </>,
  );
export const RecordIcon = () =>
  icon(
    <>
      <circle cx="8" cy="8" r="5.8" />
      <circle cx="8" cy="8" r="2.6" fill="currentColor" stroke="none" />
    </>,
  );
export const DriveIcon = () =>
  icon(
    <>
      <rect x="1.4" y="4.4" width="13.2" height="7.6" rx="3.6" />
      <path d="M4.9 6.8v2.8M3.5 8.2h2.8M10.2 9.4h.1M12 7.2h.1" />
    </>,
  );
export const PushIcon = () =>
  icon(
    <>
      <path d="M1.8 8h6.4M5.6 5.2 8.4 8l-2.8 2.8" />
      <rect x="10.4" y="3.4" width="3.6" height="9.2" rx="1" />
    </>,
  );
export const PoseIcon = () =>
  icon(
    <>
      <path d="M2 4.4h5.4M11 4.4h3M2 11.6h3M8.6 11.6H14" />
      <circle cx="9.2" cy="4.4" r="1.7" />
      <circle cx="6.8" cy="11.6" r="1.7" />
    </>,
  );
export const WandIcon = () =>
  icon(
    <>
      <path d="m2.8 13.2 7-7" />
      <path d="M11.5 1.8v2.4M11.5 7.3v1.9M8 4.8h1.6M13.2 4.8h1.2" />
    </>,
  );
