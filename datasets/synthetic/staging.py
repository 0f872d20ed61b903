"""Scenes for training and measuring: a subject with its crew, neighbours that look like it, a setting and weather.

`scene` holds what all scenes share and the plainer scenes that the demo clip's script was written on.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from datasets.synthetic import cover, props
from datasets.synthetic import ground as terrain
from datasets.synthetic.casts import CASTS, NEIGHBOURS, nothing_labelled
from datasets.synthetic.figures import figure
from datasets.synthetic.geometry import rotation, translation
from datasets.synthetic.ground import Ground
from datasets.synthetic.materials import Colour, Material, between, soil
from datasets.synthetic.props import Painted
from datasets.synthetic.render import outline
from datasets.synthetic.scene import NEGATIVE, Camera, Light, Scene, Thing, Weather, aimed, crew, person, random_ground
from datasets.synthetic.sky import random_sky, unseen_sky
from datasets.synthetic.weapons import Weapon, stretched

WEATHERS = {"clear": 0.55, "haze": 0.1, "dust": 0.06, "smoke": 0.1, "night": 0.11, "snow": 0.08}
SETTINGS = {"open": 0.66, "street": 0.2, "grove": 0.14}
ASPECT = (64, 36)
CAMERA_TRIES = 14
PROPORTIONS = (0.87, 1.15)
"""Least and greatest factor on each of length, width and height of a weapon in a scene with other proportions."""
PAINT_PX = 96


def build(
    rng: np.random.Generator,
    kind: str,
    *,
    held_out: bool = False,
    open_horizon: bool = False,
    other_proportions: bool = False,
) -> Scene:
    """A scene about one `kind` (a class of `casts.CASTS`, or `negative`: look-alikes only).

    `held_out` uses models, paints and skies that no other scene shows; `open_horizon` keeps what would hide a
    photograph behind the scene low. With `other_proportions` each weapon and look-alike is a little longer, wider or
    taller than its model, so that the few models there are do not stand for the whole class.
    """
    weather = str(rng.choice(list(WEATHERS), p=list(WEATHERS.values())))
    setting = "open" if open_horizon else str(rng.choice(list(SETTINGS), p=list(SETTINGS.values())))
    earth = cover.earth_of(soil(rng), snow=weather == "snow", street=setting == "street", rng=rng)
    land = random_ground(rng, open_horizon or setting == "street")
    if setting == "street":
        land.bumps, land.hills, land.berm = 0.02, 0.0, None
    azimuth = float(rng.uniform(0, 2 * np.pi))

    def cast(kind: str) -> Weapon:
        drawn = nothing_labelled(rng, earth, held_out) if kind == NEGATIVE else CASTS[kind](rng, earth, held_out)
        return stretched(drawn, *rng.uniform(*PROPORTIONS, 3)) if other_proportions else drawn

    subject = cast(kind)
    stage = _Stage(rng, land)
    stage.enter(subject, 0, 0, float(rng.uniform(0, 360)), crowd=1.0)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.52, 0.33, 0.15]))):
        stage.beside(cast(_neighbour(rng, kind)), azimuth)
    if rng.random() < 0.16:
        stage.line_up(azimuth, subject.footprint)
    stage.dress(setting, azimuth, subject.footprint, earth)

    camera = _camera(rng, land, stage.things, kind, subject.footprint, azimuth)
    scene = _lit(rng, stage.things, land, camera, earth, weather, held_out)
    scene.facts = {"kind": kind, "weapon": subject.name, "weather": weather, "setting": setting}
    return scene


def _neighbour(rng: np.random.Generator, kind: str) -> str:
    """What stands beside a subject of `kind`."""
    names, shares = zip(*NEIGHBOURS, strict=True)
    name = str(rng.choice(names, p=shares))
    return NEGATIVE if kind == NEGATIVE or name == "unlabelled" else name


class _Stage:
    """The things of a scene as they come in; every one gets a name of its own."""

    def __init__(self, rng: np.random.Generator, land: Ground) -> None:
        self.rng, self.land, self.things = rng, land, list[Thing]()
        self._taken: list[tuple[float, float, float]] = []

    def put(self, name: str, label: str | None, parts: Painted, place: np.ndarray | None = None) -> None:
        moved = tuple(
            (mesh if place is None else mesh.transformed(place), replace(material, pixels=PAINT_PX))
            for mesh, material in parts
        )
        self.things.append(Thing(f"{len(self.things)}_{name}", label, moved))

    def stand(
        self, name: str, parts: Painted, x: float, y: float, *, sink: float = 0.02, turn: float | None = None
    ) -> None:
        spin = float(self.rng.uniform(0, 360)) if turn is None else turn
        self.put(name, None, parts, translation(x, y, float(self.land.height(x, y)) - sink) @ rotation("z", spin))

    def enter(self, weapon: Weapon, x: float, y: float, heading: float, *, crowd: float) -> None:
        """A weapon and its crew; `crowd` scales how many come."""
        self.land.level(x, y, weapon.footprint)
        self._taken.append((x, y, weapon.footprint))
        base = translation(x, y, float(self.land.height(x, y)) - 0.015) @ rotation("z", heading)
        for name, label, parts in weapon.groups:
            self.put(name, label, parts, base)
        if self.rng.random() < crowd:
            for thing in crew(self.rng, weapon, base, self.land):
                self.put(thing.name, None, list(thing.parts))

    def beside(self, weapon: Weapon, azimuth: float) -> None:
        """A neighbour at the subject's side or behind it, seen from the camera at `azimuth`."""
        for _ in range(6):
            side = float(self.rng.choice([-1, 1]) * self.rng.uniform(0.9, 2.9))
            distance = self._taken[0][2] + weapon.footprint + float(self.rng.exponential(3.0))
            x, y = float(distance * np.cos(azimuth + side)), float(distance * np.sin(azimuth + side))
            if all(np.hypot(x - a, y - b) > r + weapon.footprint * 0.9 for a, b, r in self._taken):
                self.enter(weapon, x, y, float(self.rng.uniform(0, 360)), crowd=0.6)
                return

    def line_up(self, azimuth: float, reach: float) -> None:
        """Three to seven men in a row behind the weapon, facing the camera, some armed, often with a flag."""
        count = int(self.rng.integers(3, 8))
        back = reach + float(self.rng.uniform(0.2, 1.5))
        facing = float(np.degrees(azimuth))
        away, side = np.array([-np.cos(azimuth), -np.sin(azimuth)]), np.array([-np.sin(azimuth), np.cos(azimuth)])
        for number in range(count):
            x, y = away * (back + self.rng.normal(0, 0.1)) + side * (
                (number - count / 2) * 0.75 + self.rng.normal(0, 0.1)
            )
            pose = str(self.rng.choice(["carry", "stand", "arms_up", "kneel"], p=[0.5, 0.25, 0.15, 0.1]))
            man = figure(self.rng, pose)
            if pose == "carry":
                hold = translation(0.24, 0, 1.05) @ rotation("z", 60) @ rotation("y", float(self.rng.normal(20, 20)))
                man = [*man, *[(mesh.transformed(hold), m) for mesh, m in cover.rifle(self.rng)]]
            self.stand("man", man, float(x), float(y), turn=facing + float(self.rng.normal(0, 15)))
        if self.rng.random() < 0.6:
            x, y = away * (back + 0.4) + side * float(self.rng.uniform(-2, 2))
            self.stand("flag", cover.flag(self.rng), float(x), float(y))

    def spot(self, near: float, far: float, azimuth: float | None = None, clear: float = 0.0) -> tuple[float, float]:
        """A free place between two distances; `clear` radians about the camera's `azimuth` stay open."""
        x = y = 0.0
        for _ in range(8):
            angle = float(
                self.rng.uniform(0, 2 * np.pi)
                if azimuth is None
                else azimuth + self.rng.uniform(clear, 2 * np.pi - clear)
            )
            distance = float(self.rng.uniform(near, far))
            x, y = distance * np.cos(angle), distance * np.sin(angle)
            if all(np.hypot(x - a, y - b) > r for a, b, r in self._taken[1:]):
                break
        return x, y

    def dress(self, setting: str, azimuth: float, reach: float, earth: Colour) -> None:
        """People passing, sandbags, plants, rocks, houses."""
        rng = self.rng
        for _ in range(int(rng.choice([0, 1, 2, 4], p=[0.55, 0.22, 0.13, 0.1]))):
            x, y = self.spot(reach + 0.6, reach + 9)
            pose = str(rng.choice(["stand", "walk", "point", "kneel", "carry"]))
            self.put(f"person_{pose}", None, list(person(rng, self.land, x, y, float(rng.uniform(0, 360)), pose).parts))
        if rng.random() < 0.35:
            start = (
                float(np.degrees(azimuth) + rng.uniform(-70, 10)) if rng.random() < 0.45 else float(rng.uniform(0, 360))
            )
            arc = props.sandbags(
                rng,
                self.land,
                reach + float(rng.uniform(0.2, 1.3)),
                start,
                float(rng.uniform(40, 150)),
                int(rng.integers(1, 5)),
            )
            self.put("sandbags", None, arc)
        if rng.random() < 0.12:
            self.stand("flag", cover.flag(rng), *self.spot(reach + 0.8, reach + 5))
        for maker, chance, most in ((cover.bush, 0.3, 9), (props.crates, 0.15, 2), (props.barrels, 0.1, 2)):
            if rng.random() < chance:
                for _ in range(int(rng.integers(1, most + 1))):
                    self.stand(maker.__name__, maker(rng), *self.spot(reach + 0.5, reach + 14))
        if setting == "street":
            for _ in range(int(rng.integers(2, 5))):
                x, y = self.spot(reach + 9, reach + 24, azimuth, 1.1)
                self.stand("house", cover.house(rng), x, y, turn=float(np.degrees(np.arctan2(y, x)) + rng.normal(0, 8)))
            for _ in range(int(rng.integers(0, 3))):
                self.stand("lamp_post", cover.lamp_post(rng), *self.spot(reach + 2, reach + 12, azimuth, 0.6))
        elif setting == "grove":
            for _ in range(int(rng.integers(3, 9))):
                self.stand("tree", cover.tree(rng), *self.spot(reach + 4, reach + 26, azimuth, 0.7))
        elif rng.random() < 0.12:
            self.stand("wall", props.wall(rng), *self.spot(reach + 6, reach + 25, azimuth, 1.0))
        stone = Material(between(rng, (0.2, 0.18, 0.15), (0.5, 0.46, 0.4)), 0.95, 0.4, seed=int(rng.integers(1 << 30)))
        count = int(rng.integers(20, 120) if setting == "street" else rng.integers(40, 260))
        self.put(
            "rocks",
            None,
            [(terrain.rocks(rng, self.land, count, float(rng.uniform(10, 30)), float(rng.uniform(0.1, 0.5))), stone)],
        )
        if setting != "street" and rng.random() < 0.45:
            straw = Material(between(rng, (0.1, 0.12, 0.04), (0.4, 0.34, 0.16)), 0.9, 0.2)
            blades = terrain.grass(rng, self.land, int(rng.integers(60, 1400)), float(rng.uniform(8, 20)))
            self.put("grass", None, [(blades, straw)])


def _camera(
    rng: np.random.Generator, land: Ground, things: list[Thing], kind: str, reach: float, azimuth: float
) -> Camera:
    """A view in which the subject lies mostly inside the frame and no other weapon is cut to a fragment."""
    subject = next((thing for thing in things if thing.label == kind), things[0])
    low, high = subject.bounds()
    middle, size = (low + high) / 2, float(np.linalg.norm((high - low)[:2]) * 0.85 + 0.15 * (high - low)[2])
    nearest = max(1.6, size * 0.75, reach * 0.9)
    camera = None
    for _ in range(CAMERA_TRIES):
        distance = float(np.exp(rng.uniform(np.log(nearest), np.log(max(40.0, 3 * nearest)))))
        share = float(
            rng.choice(
                [np.exp(rng.uniform(np.log(0.05), np.log(0.3))), rng.uniform(0.3, 0.85), rng.uniform(0.85, 1.1)],
                p=[0.45, 0.47, 0.08],
            )
        )
        fov = float(np.clip(np.degrees(2 * np.arctan(size / (2 * share * distance))), 3, 80))
        angle = azimuth + float(rng.normal(0, 0.25))
        height = float(rng.uniform(0.35, 1.9)) if rng.random() < 0.86 else float(rng.uniform(2, 7))
        place = (float(middle[0] + distance * np.cos(angle)), float(middle[1] + distance * np.sin(angle)))
        offset = rng.uniform(-0.55, 0.55, 2) * max(0.0, 1 - share)
        camera = aimed(land, place, height, middle, fov, float(rng.normal(0, 2.5)), offset)
        insides = [
            (thing is subject, _inside(thing, camera))
            for thing in things
            if thing.label is not None or thing is subject
        ]
        if all(share_in > (0.55 if own else 0.5) or (not own and share_in == 0) for own, share_in in insides):
            break
    assert camera is not None
    return camera


def _inside(thing: Thing, camera: Camera) -> float:
    """The share of the thing's outline that lies in the frame; 0 for what is behind the camera."""
    low, high = thing.bounds()
    if (np.asarray(camera.target) - camera.origin) @ ((low + high) / 2 - camera.origin) <= 0:
        return 0.0
    width, height = ASPECT
    x1, y1, x2, y2 = outline(thing, camera, width, height)
    framed = max(0.0, min(x2, width) - max(x1, 0)) * max(0.0, min(y2, height) - max(y1, 0))
    return framed / max((x2 - x1) * (y2 - y1), 1e-6)


def _lit(
    rng: np.random.Generator,
    things: list[Thing],
    land: Ground,
    camera: Camera,
    earth: Colour,
    weather: str,
    held_out: bool,
) -> Scene:
    """The scene with ground, sun, sky and air."""
    sunny = rng.random() < (0.75 if weather in ("clear", "dust") else 0.5)
    sun = tuple(np.array([1.0, 0.94, 0.84]) * rng.uniform(1.8, 5.0)) if sunny else (0.0, 0.0, 0.0)
    sky = unseen_sky(rng, earth) if held_out else random_sky(rng, earth)
    air = Weather(weather)
    fog = float(np.exp(rng.uniform(np.log(80), np.log(500)))) if rng.random() < 0.35 else None
    far = float(np.linalg.norm(np.asarray(camera.target) - camera.origin))
    if fog is not None or weather in ("haze", "dust"):
        thick = weather in ("haze", "dust")
        fog = max(fog or 0.0, far * float(rng.uniform(0.9, 3.0) if thick else 1.5), 12.0)
    if weather == "dust":
        tint = np.asarray(earth) / max(earth) * rng.uniform(0.5, 0.8)
        sky = sky.tinted(tuple(tint))
    elif weather == "smoke":
        shade = float(rng.choice([rng.uniform(0.03, 0.12), rng.uniform(0.4, 0.8)]))
        air = Weather(weather, smoke=float(rng.uniform(0.45, 0.95)), smoke_shade=shade, seed=int(rng.integers(1 << 30)))
    elif weather == "night":
        moon = rng.random() < 0.5
        sun = tuple(np.array([0.75, 0.85, 1.0]) * rng.uniform(0.05, 0.3)) if moon else (0.0, 0.0, 0.0)
        sky = sky.at_night(float(rng.uniform(0.006, 0.04)))
        if not moon or rng.random() < 0.5:
            air = Weather(weather, lamp=_lamp(rng, camera))
        fog = None
    elif weather == "snow":
        air = Weather(weather, flakes=int(rng.integers(0, 260)), seed=int(rng.integers(1 << 30)))
    if max(sun) == 0 and weather != "night":
        sky = sky.overcast()
    snow = weather == "snow"
    surface = Material(
        earth,
        0.95,
        float(rng.uniform(0.1, 0.35)) if snow else 0.5,
        between(rng, (0.3, 0.28, 0.24), (0.5, 0.46, 0.4)) if snow else between(rng, (0.1, 0.1, 0.06), (0.5, 0.42, 0.3)),
        seed=int(rng.integers(1 << 30)),
        tile_metres=float(rng.uniform(5, 14)),
    )
    centre = (camera.origin[0] * 0.75, camera.origin[1] * 0.75)
    light = Light(float(rng.uniform(12, 75)), float(rng.uniform(0, 360)), sun)
    return Scene(things, land, centre, surface, camera, light, sky, fog, weather=air)


def _lamp(rng: np.random.Generator, camera: Camera) -> tuple[float, ...]:
    """A torch or headlamp beside the camera, or a fire near what it looks at: place, then colour times strength."""
    view = np.asarray(camera.target) - camera.origin
    if rng.random() < 0.7:
        place = np.add(camera.origin, rng.normal((0, 0, 0.3), 0.3))
        reach = float(np.linalg.norm(view))
        colour = np.array([1.0, 0.96, 0.88])
    else:
        place = np.add(camera.target, (*rng.uniform(-5, 5, 2), 1.5))
        reach = 4.0
        colour = np.array([1.0, 0.55, 0.2])
    return tuple(float(value) for value in (*place, *(colour * reach**2 * rng.uniform(0.3, 1.0))))
