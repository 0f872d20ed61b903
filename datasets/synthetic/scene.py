"""What stands where: a scene is drawn from (seed, index) alone, and holds no renderer's object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from datasets.synthetic import ground as terrain
from datasets.synthetic import props
from datasets.synthetic.figures import figure
from datasets.synthetic.geometry import Mesh, merge, rotation, translation
from datasets.synthetic.ground import Ground
from datasets.synthetic.materials import Colour, Material, between, soil
from datasets.synthetic.sky import Sky, random_sky
from datasets.synthetic.weapons import BUILDERS, Weapon

NEGATIVE = "negative"


@dataclass(frozen=True, slots=True)
class Thing:
    """Parts that move together. `label` is a weapon class, or None for what must not be reported."""

    name: str
    label: str | None
    parts: tuple[tuple[Mesh, Material], ...]

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return merge(mesh for mesh, _ in self.parts).bounds()


@dataclass(frozen=True, slots=True)
class Camera:
    origin: tuple[float, float, float]
    target: tuple[float, float, float]
    roll_degrees: float
    fov_x_degrees: float


@dataclass(frozen=True, slots=True)
class Light:
    """Sun by elevation and azimuth in degrees; irradiance 0 is an overcast day."""

    elevation: float
    azimuth: float
    irradiance: Colour


@dataclass(frozen=True, slots=True)
class Weather:
    """What lies between subject and camera. `lamp` is a point light's (x, y, z, red, green, blue), `smoke` the
    opacity of a cloud about the subject and `smoke_shade` its reflectance, `flakes` the snow in the air."""

    name: str = "clear"
    lamp: tuple[float, ...] | None = None
    smoke: float = 0.0
    smoke_shade: float = 0.5
    flakes: int = 0
    seed: int = 0


@dataclass
class Scene:
    things: list[Thing]
    ground: Ground
    ground_centre: tuple[float, float]
    soil: Material
    camera: Camera
    light: Light
    sky: Sky
    fog_metres: float | None
    facts: dict[str, object] = field(default_factory=dict)
    weather: Weather = Weather()


def build(
    rng: np.random.Generator,
    kind: str,
    *,
    tow_models: Sequence[str] | None = None,
    open_horizon: bool = False,
) -> Scene:
    """A plain scene about one `kind` (a class of `weapons.BUILDERS` or `negative`), as the demo clip shows them.

    `tow_models` names the packed launchers that may appear; `open_horizon` keeps hills low, so that what is put behind
    the scene shows.
    """
    earth = soil(rng)
    land = random_ground(rng, open_horizon)
    weapon = None if kind == NEGATIVE else BUILDERS[kind](rng, earth, tow_models)
    heading = float(rng.uniform(0, 360))
    things: list[Thing] = []
    reach = 1.5
    if weapon is not None:
        reach = weapon.footprint
        land.level(0, 0, reach)
        base = translation(0, 0, float(land.height(0, 0)) - 0.015) @ rotation("z", heading)
        things += _placed(weapon, base)
        things += crew(rng, weapon, base, land)
    things += _surroundings(rng, land, reach, negative=weapon is None)
    subject = next((thing for thing in things if thing.label == kind), things[0])
    camera = _camera(rng, land, subject, reach)
    light = Light(
        float(rng.uniform(12, 75)),
        float(rng.uniform(0, 360)),
        tuple(np.array([1.0, 0.94, 0.84]) * rng.uniform(1.8, 5.0)) if rng.random() < 0.75 else (0.0, 0.0, 0.0),
    )
    fog = float(np.exp(rng.uniform(np.log(80), np.log(500)))) if rng.random() < 0.4 else None
    sky = random_sky(rng, earth)
    if max(light.irradiance) == 0:
        sky = sky.overcast()
    facts = {"kind": kind, "weapon": weapon.name if weapon else None, "heading": round(heading, 1)}
    surface = Material(
        earth,
        0.95,
        0.5,
        between(rng, (0.1, 0.1, 0.06), (0.5, 0.42, 0.3)),
        seed=int(rng.integers(1 << 30)),
        tile_metres=9.0,
    )
    middle = (camera.origin[0] * 0.75, camera.origin[1] * 0.75)
    return Scene(things, land, middle, surface, camera, light, sky, fog, facts)


def random_ground(rng: np.random.Generator, open_horizon: bool) -> Ground:
    berm = None
    if rng.random() < 0.5:
        berm = (
            float(rng.uniform(2.6, 5.0)),
            float(rng.uniform(0.3, 1.0)),
            float(rng.uniform(0.5, 1.2)),
            float(rng.uniform(0, 360)),
        )
    hills = float(rng.uniform(0, 9)) if rng.random() < 0.75 else float(rng.uniform(9, 22))
    if open_horizon:
        hills *= 0.1
    return Ground(float(rng.uniform(0.04, 0.44)), hills, berm, int(rng.integers(1 << 30)))


def _placed(weapon: Weapon, base: np.ndarray) -> list[Thing]:
    return [
        Thing(name, label, tuple((mesh.transformed(base), material) for mesh, material in parts))
        for name, label, parts in weapon.groups
    ]


def person(
    rng: np.random.Generator,
    land: Ground,
    x: float,
    y: float,
    facing: float,
    pose: str,
    base: np.ndarray | None = None,
) -> Thing:
    place = translation(x, y, 0) @ rotation("z", facing)
    if base is not None:
        place = base @ place
    px, py = float(place[0, 3]), float(place[1, 3])
    place = translation(0, 0, float(land.height(px, py)) - float(place[2, 3])) @ place
    return Thing(f"person_{pose}", None, tuple((mesh.transformed(place), m) for mesh, m in figure(rng, pose)))


def crew(rng: np.random.Generator, weapon: Weapon, base: np.ndarray, land: Ground) -> list[Thing]:
    people = []
    for x, y, facing, poses, chance in weapon.crew:
        if rng.random() < chance:
            people.append(
                person(
                    rng,
                    land,
                    x + rng.normal(0, 0.06),
                    y + rng.normal(0, 0.06),
                    facing + rng.normal(0, 12),
                    str(rng.choice(poses)),
                    base,
                )
            )
    return people


def _surroundings(rng: np.random.Generator, land: Ground, reach: float, *, negative: bool) -> list[Thing]:
    things: list[Thing] = []

    def place(name: str, painted: props.Painted, near: float, far: float) -> None:
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(near, far)
        x, y = float(distance * np.cos(angle)), float(distance * np.sin(angle))
        move = translation(x, y, float(land.height(x, y)) - 0.02) @ rotation("z", float(rng.uniform(0, 360)))
        things.append(Thing(name, None, tuple((mesh.transformed(move), m) for mesh, m in painted)))

    for number in range(int(rng.integers(1, 4)) if negative else int(rng.random() < 0.4)):
        near, far = (0.0, 2.0) if negative and number == 0 else (reach + 1, reach + 12)
        if negative and rng.random() < 0.18:
            place("carrier", BUILDERS["carrier"](rng, (0.3, 0.25, 0.2), None).groups[0][2], near, far)
        else:
            maker = props.LOOK_ALIKES[rng.integers(len(props.LOOK_ALIKES))]
            place(maker.__name__, maker(rng), near, far)
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.5, 0.25, 0.15, 0.1]))):
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(reach + 0.6, reach + 9)
        pose = str(rng.choice(["stand", "walk", "point", "kneel"]))
        things.append(
            person(
                rng,
                land,
                float(distance * np.cos(angle)),
                float(distance * np.sin(angle)),
                float(rng.uniform(0, 360)),
                pose,
            )
        )
    if rng.random() < 0.45:
        rows = int(rng.integers(1, 4))
        arc = props.sandbags(
            rng,
            land,
            reach + float(rng.uniform(0.3, 1.5)),
            float(rng.uniform(0, 360)),
            float(rng.uniform(40, 150)),
            rows,
        )
        things.append(Thing("sandbags", None, tuple(arc)))
    if rng.random() < 0.18:
        place("wall", props.wall(rng), reach + 6, reach + 25)
    stone = Material(between(rng, (0.2, 0.18, 0.15), (0.5, 0.46, 0.4)), 0.95, 0.4, seed=int(rng.integers(1 << 30)))
    count = int(rng.integers(40, 260))
    things.append(
        Thing(
            "rocks",
            None,
            (
                (
                    terrain.rocks(rng, land, count, float(rng.uniform(10, 30)), float(rng.uniform(0.15, 0.6))),
                    stone,
                ),
            ),
        )
    )
    if rng.random() < 0.45:
        straw = Material(between(rng, (0.1, 0.12, 0.04), (0.4, 0.34, 0.16)), 0.9, 0.2)
        things.append(
            Thing(
                "grass",
                None,
                ((terrain.grass(rng, land, int(rng.integers(60, 900)), float(rng.uniform(8, 20))), straw),),
            )
        )
    return things


def _camera(rng: np.random.Generator, land: Ground, subject: Thing, reach: float) -> Camera:
    low, high = subject.bounds()
    middle, size = (low + high) / 2, float(np.linalg.norm((high - low)[:2]) * 0.85 + 0.15 * (high - low)[2])
    nearest = max(1.6, size * 0.75, reach * 0.9)
    distance = float(np.exp(rng.uniform(np.log(nearest), np.log(max(40.0, 3 * nearest)))))
    share = float(np.exp(rng.uniform(np.log(0.07), np.log(0.9))))
    fov = float(np.clip(np.degrees(2 * np.arctan(size / (2 * share * distance))), 4, 85))
    azimuth = float(rng.uniform(0, 2 * np.pi))
    x, y = middle[0] + distance * np.cos(azimuth), middle[1] + distance * np.sin(azimuth)
    height = float(rng.uniform(0.3, 1.9)) if rng.random() < 0.85 else float(rng.uniform(2, 7))
    return aimed(
        land,
        (float(x), float(y)),
        height,
        middle,
        fov,
        float(rng.normal(0, 2.5)),
        rng.uniform(-0.55, 0.55, 2) * max(0.0, 1 - share),
    )


def aimed(
    land: Ground,
    place: tuple[float, float],
    height: float,
    middle: np.ndarray,
    fov: float,
    roll: float,
    offset: np.ndarray,
) -> Camera:
    """A camera `height` metres over the ground that sees `middle` over the terrain.

    `offset` moves the subject from the centre, in half widths: positive to the left and down.
    """
    x, y = place
    z = float(land.height(x, y)) + height
    for share in np.linspace(0.1, 0.85, 12):
        px, py = x + (middle[0] - x) * share, y + (middle[1] - y) * share
        needed = float(land.height(px, py)) + 0.2
        z = max(z, (needed - middle[2] * share) / (1 - share))
    view = np.asarray(middle) - (x, y, z)
    far = float(np.linalg.norm(view))
    left = np.cross((0, 0, 1), view / far)
    spread = far * np.tan(np.radians(fov / 2))
    target = np.asarray(middle) - left * float(offset[0]) * spread + np.array([0, 0, float(offset[1]) * spread * 0.5])
    return Camera((x, y, z), (float(target[0]), float(target[1]), float(target[2])), roll, fov)
