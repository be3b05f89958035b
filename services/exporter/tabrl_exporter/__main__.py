"""Starts the Exporter: `python -m tabrl_exporter --help`."""

from tabrl_chassis import service

from tabrl_exporter.service import SERVICE


def main() -> None:
    """Run the service until a signal."""
    service.main(SERVICE)


if __name__ == "__main__":
    main()
