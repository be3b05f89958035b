import type { ButtonHTMLAttributes, ReactNode } from "react";
import styles from "./Button.module.css";

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly variant?: "primary" | "secondary" | "quiet";
  readonly size?: "medium" | "small";
  readonly icon?: ReactNode;
  /** Work that this button started is under way: it stays in place and takes no clicks. */
  readonly busy?: boolean;
}

export function Button({
  variant = "secondary",
  size = "medium",
  icon,
  busy,
  children,
  className,
  ...rest
}: ButtonProps) {
  const classes = [styles.button, styles[variant], styles[size], children ? "" : styles.iconOnly, className];
  return (
    <button type="button" {...rest} disabled={rest.disabled || busy} aria-busy={busy} className={classes.join(" ")}>
      {icon}
      {children}
    </button>
  );
}
