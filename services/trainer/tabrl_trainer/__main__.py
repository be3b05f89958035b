"""Starts the Trainer: `python -m tabrl_trainer --help`."""

from tabrl_chassis import service

from tabrl_trainer.service import SERVICE


def main() -> None:
    """Run the service until a signal."""
    service.main(SERVICE)


if __name__ == "__main__":
    main()
