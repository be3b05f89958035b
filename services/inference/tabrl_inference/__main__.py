"""`python -m tabrl_inference`."""

from tabrl_chassis import service

from tabrl_inference.service import SERVICE


def main() -> None:
    """Runs the service until a signal."""
    service.main(SERVICE)


if __name__ == "__main__":
    main()
