"""`python -m tabrl_scene`."""

from tabrl_chassis import service

from tabrl_scene.service import SERVICE


def main() -> None:
    """Runs the service until a signal."""
    service.main(SERVICE)


if __name__ == "__main__":
    main()
