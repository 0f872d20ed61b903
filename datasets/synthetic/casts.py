"""Which models stand for which class, how they are mounted, and who serves them.

`held_out` picks forms, packed models and paints that no training picture shows (`HELD_OUT` lists them), for pictures
to be measured on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datasets.synthetic import cover, heavy, infantry, lookalikes, models, props, vehicles
from datasets.synthetic import weapons as packed
from datasets.synthetic.figures import figure
from datasets.synthetic.geometry import Mesh, rod, rotation, scaling, translation
from datasets.synthetic.infantry import Parts
from datasets.synthetic.materials import Colour, Material, car_paint, gunmetal, service_paint
from datasets.synthetic.props import Painted
from datasets.synthetic.tow import launcher
from datasets.synthetic.weapons import Crew, Group, Weapon, moved, painted, split

HELD_OUT: dict[str, tuple[str, ...]] = {
    "tow_launcher": (*models.TOW_DEMO, "primitives with the round sight housing and the long flare"),
    "tank": ("eastern",),
    "howitzer": ("field",),
    "humvee": ("slant_back",),
    "rocket_launcher": tuple(infantry.SHOULDER_ROCKETS_HELD_OUT),
    "machine_gun": ("smooth-barrelled heavy gun",),
    "mlrs": ("himars",),
    "atgm_launcher": tuple(infantry.TRIPOD_MISSILES_HELD_OUT),
    "paint": ("field grey", "earth brown", "winter white"),
    "sky": ("lilac dusk", "steel grey"),
}
PACKED_ROLES = {"glass": "lens_black", "cont": "cont_container"}
"""What the packed launchers' parts are made of, in the words of `weapons.painted`."""
BEHIND: Crew = (-0.95, 0.05, 0, ("sit", "kneel"), 0.75)
BESIDE: tuple[Crew, ...] = (
    (-0.5, 1.0, -20, ("kneel", "stand", "sit"), 0.4),
    (-1.3, -0.9, 15, ("stand", "kneel", "walk", "point"), 0.35),
    (0.5, 1.7, 200, ("stand", "walk"), 0.2),
)
Cast = Callable[[np.random.Generator, Colour, bool], Weapon]


def _coat(rng: np.random.Generator, earth: Colour, held_out: bool) -> Material:
    return service_paint(rng, earth, held_out=held_out)


def _dressed(
    rng: np.random.Generator, parts: Parts, earth: Colour, held_out: bool, coat: Material | None = None
) -> Painted:
    return list(painted(rng, parts, earth, coat or _coat(rng, earth, held_out)).values())


def _mirrored(parts: Parts) -> Parts:
    return {role: mesh.transformed(scaling(1, -1, 1)) for role, mesh in parts.items()}


def _man(rng: np.random.Generator, pose: str, place: np.ndarray) -> Painted:
    return moved(figure(rng, pose), place)


# TOW ----------------------------------------------------------------------------------------------------------------


def tow_launcher(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    """Six in ten on the tripod, the others on a Humvee, jeep, pickup, M113 or truck."""
    mount = str(
        rng.choice(["tripod", "humvee", "jeep", "pickup", "m113", "truck"], p=[0.58, 0.18, 0.08, 0.07, 0.06, 0.03])
    )
    if mount == "humvee":
        return _tow_on_humvee(rng, earth, held_out)
    if mount != "tripod":
        return _tow_on_vehicle(rng, earth, held_out, mount)
    if rng.random() < 0.4:
        name = str(rng.choice(models.TOW_DEMO if held_out else models.TOW_TRAINING))
        parts = {PACKED_ROLES.get(role, role): mesh for role, mesh in models.load(name).items()}
    else:
        name = "tow_primitives_held_out" if held_out else "tow_primitives"
        parts = launcher(rng, mount="tripod", held_out=held_out)
    parts = _mirrored(parts) if rng.random() < 0.1 else parts
    coat = _coat(rng, earth, held_out)
    weapon, kit = split(painted(rng, parts, earth, coat), "kit")
    groups: list[Group] = [("tow", "tow_launcher", weapon)]
    if kit:
        groups.append(("tow_kit", None, kit))
    groups += _draped(rng, weapon, 0.16)
    for number in range(int(rng.choice([0, 1, 2, 3], p=[0.65, 0.15, 0.12, 0.08]))):
        spot = translation(-0.6 - 0.1 * number, 1.3 + 0.3 * number, 0) @ rotation("z", float(rng.normal(0, 12)))
        groups.append((f"case_{number}", None, moved(cover.missile_container(rng, coat), spot)))
    return Weapon(name, tuple(groups), 1.4, packed.TOW_CREW if rng.random() < 0.8 else ())


def _draped(rng: np.random.Generator, parts: Painted, chance: float) -> list[Group]:
    if rng.random() >= chance:
        return []
    lows, highs = zip(*(mesh.bounds() for mesh, _ in parts), strict=True)
    return [("net", None, cover.net(rng, np.min(lows, axis=0), np.add(np.max(highs, axis=0), (0, 0, 0.04))))]


def _bearing(rng: np.random.Generator) -> np.ndarray:
    return rotation("z", float(rng.choice([0, 0, 0, 90, 180, -90]) + rng.normal(0, 15)))


def _tow_on_humvee(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    coat = _coat(rng, earth, held_out)
    parts, name = _humvee_parts(rng, held_out, roof=True)
    x = float(rng.uniform(-0.45, -0.1))
    turn = translation(x, 0, vehicles.mesh_top(parts, x) - 0.015) @ _bearing(rng)
    tow = moved(
        _dressed(rng, launcher(rng, mount="pedestal", column=(0.22, 0.6), held_out=held_out), earth, held_out, coat),
        turn,
    )
    groups: list[Group] = [
        ("humvee", "humvee", _dressed(rng, parts, earth, held_out, coat)),
        ("tow", "tow_launcher", tow),
    ]
    if rng.random() < 0.65:
        groups.append(("roof_gunner", None, packed.roof_gunner(rng, turn)))
    return Weapon(
        f"{name}_tow", tuple([*groups, *_draped(rng, tow, 0.1)]), 3.0, ((0.5, 1.9, 90, ("stand", "walk"), 0.3),)
    )


def _tow_on_vehicle(rng: np.random.Generator, earth: Colour, held_out: bool, mount: str) -> Weapon:
    coat = _coat(rng, earth, held_out)
    civil = car_paint(rng, earth) if mount in ("pickup", "truck") and rng.random() < 0.7 else coat
    if mount == "m113":
        parts = models.load("m113")
        x = float(rng.uniform(-0.7, 0.3))
        floor, column = vehicles.mesh_top(parts, x), (0.2, 0.5)
    else:
        parts = vehicles.truck(rng, "flat") if mount == "truck" else getattr(vehicles, mount)(rng)
        (x, floor), column = (
            vehicles.MOUNTS[mount],
            {"pickup": (0.45, 0.85), "jeep": (0.5, 0.8), "truck": (0.5, 0.9)}[mount],
        )
    turn = translation(x, 0, floor - 0.01) @ _bearing(rng)
    tow = moved(
        _dressed(rng, launcher(rng, mount="pedestal", column=column, held_out=held_out), earth, held_out, coat), turn
    )
    groups: list[Group] = [
        ("carrier", None, _dressed(rng, parts, earth, held_out, civil)),
        ("tow", "tow_launcher", tow),
    ]
    if rng.random() < 0.65:
        sunk = 0.8 if mount == "m113" else 0.0
        groups.append(("gunner", None, _man(rng, "stand", turn @ translation(-0.7, 0.15, -sunk))))
    return Weapon(
        f"{mount}_tow",
        tuple([*groups, *_draped(rng, tow, 0.08)]),
        3.2,
        ((0.5, 1.9, 90, ("stand", "walk", "point"), 0.35),),
    )


# Other classes ------------------------------------------------------------------------------------------------------


def _shouldered(rng: np.random.Generator, label: str | None, name: str, tube: Painted) -> Weapon:
    """A tube on a man's shoulder (most), across his hands, or on the ground."""
    posture = rng.random()
    if posture < 0.72:
        pose, height = ("shoulder", 1.47) if rng.random() < 0.6 else ("kneel_shoulder", 1.01)
        place = translation(0.2, -0.17, height) @ rotation("y", float(rng.normal(-4, 8)))
        return Weapon(name, (("tube", label, moved(tube, place)), ("gunner", None, figure(rng, pose))), 1.0)
    if posture < 0.87:
        place = (
            translation(0.18, 0, 1.0)
            @ rotation("z", float(rng.normal(60, 25)))
            @ rotation("y", float(rng.normal(-20, 20)))
        )
        return Weapon(
            f"{name}_carried", (("tube", label, moved(tube, place)), ("bearer", None, figure(rng, "carry"))), 1.0
        )
    low = min(mesh.bounds()[0][2] for mesh, _ in tube)
    lying = rotation("z", float(rng.uniform(0, 360))) @ translation(0, 0, -low + 0.01)
    return Weapon(
        f"{name}_on_ground", (("tube", label, moved(tube, lying)),), 1.0, ((-0.7, 0.6, 0, ("kneel", "sit"), 0.5),)
    )


def rocket_launcher(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    makers = infantry.SHOULDER_ROCKETS_HELD_OUT if held_out else infantry.SHOULDER_ROCKETS
    if not held_out and rng.random() < 0.3:
        return packed.rocket_launcher(rng, earth, None)
    names = list(makers)
    shares = np.array([2.0 if name == "rpg7_primitives" else 1.0 for name in names])
    name = str(rng.choice(names, p=shares / shares.sum()))
    return _shouldered(rng, "rocket_launcher", name, _dressed(rng, makers[name](rng), earth, held_out))


def atgm_launcher(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    """Missile launchers that are no TOW: on their tripods, a third on the shoulder, some on a pickup."""
    if not held_out and rng.random() < 0.36:
        name = str(rng.choice(list(infantry.SHOULDER_MISSILES)))
        return _shouldered(
            rng, "atgm_launcher", name, _dressed(rng, infantry.SHOULDER_MISSILES[name](rng), earth, held_out)
        )
    makers = infantry.TRIPOD_MISSILES_HELD_OUT if held_out else infantry.TRIPOD_MISSILES
    name = str(rng.choice(list(makers)))
    stand = _dressed(rng, makers[name](rng), earth, held_out)
    if rng.random() < 0.15:
        return _bolted(rng, earth, held_out, name, "atgm_launcher", stand)
    groups: list[Group] = [("atgm", "atgm_launcher", stand), *_draped(rng, stand, 0.08)]
    return Weapon(name, tuple(groups), 1.2, (BEHIND, *BESIDE))


def _bolted(
    rng: np.random.Generator, earth: Colour, held_out: bool, name: str, label: str | None, gun: Painted
) -> Weapon:
    """A gun or launcher that stands on its own feet, put into a pickup's bed, a jeep or a flat truck."""
    mount = str(rng.choice(["pickup", "jeep", "truck"], p=[0.62, 0.2, 0.18]))
    parts = vehicles.truck(rng, "flat") if mount == "truck" else getattr(vehicles, mount)(rng)
    x, floor = vehicles.MOUNTS[mount]
    coat = car_paint(rng, earth) if rng.random() < 0.7 and mount != "jeep" else _coat(rng, earth, held_out)
    turn = translation(x, 0, floor + (0.22 if mount == "pickup" else 0.0)) @ rotation(
        "z", float(rng.choice([0, 0, 90, 180]) + rng.normal(0, 20))
    )
    groups: list[Group] = [
        ("carrier", None, _dressed(rng, parts, earth, held_out, coat)),
        ("gun", label, moved(gun, turn)),
    ]
    if rng.random() < 0.7:
        groups.append(("gunner", None, _man(rng, "stand", turn @ translation(-0.75, 0, 0))))
    return Weapon(f"{mount}_{name}", tuple(groups), 3.2, ((0.5, 1.9, 90, ("stand", "walk"), 0.35),))


def machine_gun(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    draw = rng.random()
    if not held_out and draw < 0.35:
        return packed.machine_gun(rng, earth, None)
    if not held_out and draw < 0.5:
        gun = _dressed(rng, infantry.pkm(rng), earth, held_out)
        return Weapon(
            "pkm", (("gun", "machine_gun", gun),), 1.2, ((-0.85, 0, 0, ("sit", "kneel", "prone"), 0.7), *BESIDE)
        )
    if draw < 0.72:
        mount = str(rng.choice(["tripod", "wheels"], p=[0.7, 0.3]))
        gun = _dressed(rng, infantry.dshk(rng, mount=mount, held_out=held_out), earth, held_out)
        return Weapon(f"heavy_gun_{mount}", (("gun", "machine_gun", gun),), 1.3, (BEHIND, *BESIDE))
    gun = _dressed(rng, infantry.dshk(rng, mount="post", held_out=held_out), earth, held_out)
    return _bolted(rng, earth, held_out, "heavy_gun", "machine_gun", gun)


def mlrs(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    crew: tuple[Crew, ...] = (
        (1.5, 2.2, -90, ("stand", "walk", "point"), 0.35),
        (-2.5, -2.2, 90, ("stand", "walk"), 0.25),
    )
    if held_out:
        return Weapon("himars", (("mlrs", "mlrs", _dressed(rng, heavy.himars(rng), earth, held_out)),), 4.0, crew)
    draw = rng.random()
    if draw < 0.25:
        return Weapon("m270", (("mlrs", "mlrs", _dressed(rng, heavy.m270(rng), earth, held_out)),), 4.0, crew)
    if draw < 0.8:
        return Weapon("grad", (("mlrs", "mlrs", _dressed(rng, heavy.grad(rng), earth, held_out)),), 4.2, crew)
    rows, columns = int(rng.integers(2, 5)), int(rng.integers(2, 7))
    rack = infantry.merged(heavy.tube_block(rows, columns, 0.16, 0.066, float(rng.uniform(0.9, 2.0))))
    x, floor = vehicles.MOUNTS["pickup"]
    raised = (
        translation(x - 0.5, 0, floor + 0.5)
        @ rotation("z", float(rng.normal(0, 10)))
        @ rotation("y", -float(rng.uniform(0, 45)))
    )
    post = rod((x - 0.2, 0, floor), (x - 0.2, 0, floor + 0.7), 0.08)
    truck = _dressed(rng, vehicles.pickup(rng), earth, held_out, car_paint(rng, earth))
    whole = [*truck, (post, gunmetal(rng)), *moved(_dressed(rng, rack, earth, held_out), raised)]
    return Weapon("pickup_rockets", (("mlrs", "mlrs", whole),), 3.2, crew)


def howitzer(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    if not held_out and rng.random() < 0.45:
        return packed.howitzer(rng, earth, None)
    form = "field" if held_out else str(rng.choice(["m777", "d30"]))
    gun = _dressed(rng, heavy.howitzer(rng, form), earth, held_out)
    crew: tuple[Crew, ...] = tuple(
        (x, y, 0, ("stand", "kneel", "walk", "point"), 0.35) for x, y in ((-1.2, 1.6), (-1.5, -1.5), (0.6, 2.2))
    )
    return Weapon(form, (("gun", "howitzer", gun), *_draped(rng, gun, 0.12)), 3.4, crew)


def tank(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    if not held_out and rng.random() < 0.45:
        return packed.tank(rng, earth, None)
    form = "eastern" if held_out else "western"
    body = heavy.tank(rng, form)
    coat = _coat(rng, earth, held_out)
    groups: list[Group] = [("tank", "tank", _dressed(rng, body, earth, held_out, coat))]
    if rng.random() < 0.45:
        gun = {role: mesh for role, mesh in models.load("m2").items() if not role.startswith("legs")}
        turn = translation(-0.3, -0.6, vehicles.mesh_top(body, -0.3, -0.6) - 0.06) @ rotation(
            "z", float(rng.normal(0, 50))
        )
        groups.append(("roof_gun", "machine_gun", moved(_dressed(rng, gun, earth, held_out), turn)))
    return Weapon(
        form, tuple([*groups, *_draped(rng, groups[0][2], 0.08)]), 4.4, ((0.5, 2.8, 90, ("stand", "walk"), 0.3),)
    )


def _humvee_parts(rng: np.random.Generator, held_out: bool, *, roof: bool) -> tuple[Parts, str]:
    if held_out:
        return vehicles.humvee_kit(rng, "slant_back"), "slant_back"
    if rng.random() < 0.5:
        name = "humvee_simple" if roof else str(rng.choice(models.HUMVEES, p=[0.7, 0.3]))
        return models.load(name), name
    form = str(rng.choice(["four_door", "armoured"] if roof else ["two_door", "four_door", "soft_top", "armoured"]))
    return vehicles.humvee_kit(rng, form), form


def humvee(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    armed = rng.random() < 0.35
    parts, name = _humvee_parts(rng, held_out, roof=armed)
    coat = _coat(rng, earth, held_out)
    groups: list[Group] = [("humvee", "humvee", _dressed(rng, parts, earth, held_out, coat))]
    if armed:
        turn = translation(-0.2, 0, vehicles.mesh_top(parts, -0.2) + 0.01) @ rotation("z", float(rng.normal(0, 40)))
        gun = {role: mesh for role, mesh in models.load("m2").items() if not role.startswith("legs")}
        post: tuple[Mesh, Material] = (rod((0, 0, 0), (0, 0, 0.42), 0.04), gunmetal(rng))
        groups.append(("roof_gun", "machine_gun", moved([*_dressed(rng, gun, earth, held_out), post], turn)))
        if rng.random() < 0.6:
            groups.append(("roof_gunner", None, packed.roof_gunner(rng, turn)))
    return Weapon(name, tuple(groups), 3.0, ((0.5, 1.9, 90, ("stand", "walk"), 0.35),))


# No class of the taxonomy -------------------------------------------------------------------------------------------


def recoilless(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    """SPG-9 or M40 on legs or on a jeep or pickup: served as a TOW is, but no TOW."""
    name = str(rng.choice(list(infantry.RECOILLESS)))
    if name == "m40" and rng.random() < 0.5:
        return _bolted(rng, earth, held_out, name, None, _dressed(rng, infantry.m40(rng, legs=False), earth, held_out))
    stand = _dressed(rng, infantry.RECOILLESS[name](rng), earth, held_out)
    if rng.random() < 0.2:
        return _bolted(rng, earth, held_out, name, None, stand)
    return Weapon(name, (("recoilless", None, stand), *_draped(rng, stand, 0.1)), 1.4, (BEHIND, *BESIDE))


def stand(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    """An instrument, pipe or lamp on legs, or other clutter, with somebody at it."""
    makers = (
        *lookalikes.STANDS,
        props.instrument,
        props.instrument,
        props.mortar,
        props.mortar,
        props.pipes,
        props.wheelbarrow,
    )
    maker = makers[int(rng.integers(len(makers)))]
    return Weapon(
        maker.__name__, ((maker.__name__, None, maker(rng)),), 1.2, ((-0.7, 0.1, 0, ("stand", "kneel"), 0.5), *BESIDE)
    )


def unarmed_vehicle(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    name, room, parts = lookalikes.vehicle(rng, earth)
    return Weapon(name, ((name, None, parts),), room, ((0.5, 1.9, 90, ("stand", "walk"), 0.4),))


def riflemen(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    """People with rifles, sticks or nothing: no class of the taxonomy."""
    groups: list[Group] = []
    for number in range(int(rng.integers(1, 5))):
        spot = translation(float(rng.normal(0, 0.8)), number * 0.8 - 1, 0) @ rotation("z", float(rng.normal(0, 30)))
        aims = rng.random() < 0.3
        man = figure(rng, "shoulder" if aims else "carry")
        thing = cover.rifle(rng) if rng.random() < 0.7 else cover.stick(rng)
        held = (
            translation(0.3, -0.17, 1.4)
            if aims
            else translation(0.24, 0, 1.05) @ rotation("z", 60) @ rotation("y", float(rng.normal(20, 25)))
        )
        groups.append((f"man_{number}", None, moved([*man, *moved(thing, held)], spot)))
    return Weapon("riflemen", tuple(groups), 1.5)


CASTS: dict[str, Cast] = {
    "tow_launcher": tow_launcher,
    "tank": tank,
    "howitzer": howitzer,
    "humvee": humvee,
    "rocket_launcher": rocket_launcher,
    "machine_gun": machine_gun,
    "mlrs": mlrs,
    "atgm_launcher": atgm_launcher,
}
UNLABELLED: tuple[tuple[Cast, float], ...] = (
    (recoilless, 0.32),
    (stand, 0.34),
    (unarmed_vehicle, 0.2),
    (riflemen, 0.14),
)
NEIGHBOURS: tuple[tuple[str, float], ...] = (
    ("unlabelled", 0.45), ("atgm_launcher", 0.15), ("machine_gun", 0.14), ("rocket_launcher", 0.14), ("tow_launcher",
        0.04),
    ("humvee", 0.05), ("howitzer", 0.03),
)  # fmt: skip


def nothing_labelled(rng: np.random.Generator, earth: Colour, held_out: bool) -> Weapon:
    casts, shares = zip(*UNLABELLED, strict=True)
    return casts[int(rng.choice(len(casts), p=shares))](rng, earth, held_out)
