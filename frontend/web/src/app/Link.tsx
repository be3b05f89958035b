import type { AnchorHTMLAttributes, MouseEvent } from "react";
import { hrefOf, type Place } from "./location";
import { useSession } from "./session";

interface LinkProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  readonly to: Partial<Place>;
}

/** A real link within the page: opens at once, and in a new tab when asked to. */
export function Link({ to, onClick, ...rest }: LinkProps) {
  const { navigation } = useSession();
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    navigation.go(to);
  };
  return <a {...rest} href={hrefOf(to)} onClick={follow} />;
}
