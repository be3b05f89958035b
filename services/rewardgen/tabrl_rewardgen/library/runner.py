"""What the library knows of a body that runs, walks or stands."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Arms", "Runner", "standing_quantity"]


@dataclass(frozen=True)
class Arms:
    """Two arms: names of their joints, with `{side}`, `{Side}` or `{s}` for left and right, and a raised shoulder.

    `raised` is the angle of the right shoulder then, in rad; that of the left is the opposite if they are `mirrored`.
    `elbow_rest` is the angle around which an elbow swings, that of the robot at home.
    """

    shoulder: str
    elbow: str
    raised: float
    mirrored: bool = True
    elbow_rest: float = 0.0


@dataclass(frozen=True)
class Runner:
    """What distinguishes one runner from another. Heights in m, speeds in m/s.

    `height` is an expression whose value is `standing` when it stands tall and `crouched` when it crouches; `body` is
    the one whose z axis points up then, and its x axis ahead. `arms` are those it can wave with.
    """

    title: str
    height: str
    standing: float
    crouched: float
    margin: float
    walk: float
    run: float
    planar: bool = True
    body: str = "torso"
    arms: Arms | None = None
    four_legs: bool = False

    @property
    def velocity(self) -> str:
        """An expression for the velocity ahead, to the left and up, which in the plane are the world's axes."""
        kind = "body_linear_velocity" if self.planar else "heading_velocity"
        return f'state.{kind}("{self.body}")'

    @property
    def upright(self) -> str:
        """An expression that is 1 upright and 0 upside down."""
        return f'0.5 * (1.0 + state.up("{self.body}"))'

    @property
    def elbow_rest(self) -> float:
        """The angle around which an elbow swings, in rad."""
        return self.arms.elbow_rest if self.arms else 0.0

    def arm(self, side: str) -> tuple[str, str, float]:
        """Return the joints of shoulder and elbow of an arm, left or right, and the raised shoulder's angle in rad."""
        assert self.arms is not None
        names = {"side": side, "Side": side.capitalize(), "s": side[0]}
        raised = self.arms.raised if side == "right" or not self.arms.mirrored else -self.arms.raised
        return self.arms.shoulder.format(**names), self.arms.elbow.format(**names), raised


def standing_quantity(body: Runner, slack: float = 0.0) -> str:
    """Return an expression that is 1 where it stands tall and upright; `slack` m lower is as good."""
    return f"at_least(height, {body.standing - slack:g}, {body.margin:g}) * upright"
