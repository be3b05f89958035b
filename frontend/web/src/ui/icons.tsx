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
export const CheckIcon = () => icon(<path d="m3.5 8.5 3 3 6-7" />);
export const ArrowIcon = () => icon(<path d="M3 8h9.5M9 4.5 12.5 8 9 11.5" />);
export const StopIcon = () => icon(<rect x="4" y="4" width="8" height="8" rx="1" fill="currentColor" />);
export const TrashIcon = () => icon(<path d="M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5" />);
export const WandIcon = () =>
  icon(
    <>
      <path d="m2.8 13.2 7-7" />
      <path d="M11.5 1.8v2.4M11.5 7.3v1.9M8 4.8h1.6M13.2 4.8h1.2" />
    </>,
  );
