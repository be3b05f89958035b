"""Starts RewardGen: `python -m tabrl_rewardgen --help`."""

from tabrl_chassis import service

from tabrl_rewardgen.service import SERVICE


def main() -> None:
    """Run the service until a signal."""
    service.main(SERVICE)


if __name__ == "__main__":
    main()
