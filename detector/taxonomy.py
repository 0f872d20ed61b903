"""The weapon classes: what each is called, how it is told apart, and the colour it is drawn in."""

from __future__ import annotations

from dataclasses import dataclass

from detector.errors import UnknownClass


@dataclass(frozen=True, slots=True)
class WeaponClass:
    """One entry of the taxonomy. `colour` is an sRGB hex string, the same in every output."""

    id: str
    name: str
    group: str
    synonyms: tuple[str, ...]
    told_apart_by: str
    colour: str


TAXONOMY: tuple[WeaponClass, ...] = (
    WeaponClass(
        "tow_launcher",
        "TOW launcher",
        "anti_tank",
        ("tow", "m220", "bgm-71", "m41 itas"),
        "Long tube with a step in its diameter on a tripod or pedestal, a sight box beside the tube.",
        "#e4572e",
    ),
    WeaponClass(
        "tank",
        "Tank",
        "armour",
        ("mbt", "main battle tank", "m1a1", "t-72"),
        "Tracks, and a turret with one long gun that overhangs the hull.",
        "#f3a712",
    ),
    WeaponClass(
        "rocket_launcher",
        "Shoulder-fired rocket launcher",
        "anti_tank",
        ("rpg", "rpg-7", "at4", "bazooka"),
        "A tube of arm's length to a man's height that one person carries and fires from the shoulder.",
        "#a8c686",
    ),
    WeaponClass(
        "howitzer",
        "Towed howitzer",
        "artillery",
        ("m198", "m777", "d-30", "field gun"),
        "A long barrel on a wheeled carriage with trails, no hull and no engine.",
        "#669bbc",
    ),
    WeaponClass(
        "humvee",
        "Humvee",
        "vehicle",
        ("hmmwv", "m998", "m1025", "m1114"),
        "Low, very wide four-wheeled vehicle with a flat bonnet and upright windscreen.",
        "#b388eb",
    ),
    WeaponClass(
        "machine_gun",
        "Machine gun",
        "small_arms",
        ("mg", "m2 browning", "dshk", "pkm", "m240"),
        "Belt-fed or heavy-barrelled gun on a bipod, tripod, vehicle or pintle.",
        "#4ecdc4",
    ),
    WeaponClass(
        "mlrs",
        "Multiple rocket launcher",
        "artillery",
        ("bm-21", "grad", "m270", "himars"),
        "A block of many tubes or pods on a truck or tracked carrier.",
        "#ff7eb6",
    ),
    WeaponClass(
        "self_propelled_howitzer",
        "Self-propelled howitzer",
        "artillery",
        ("m109", "2s3", "paladin", "k9"),
        "Tracked or wheeled hull with a large boxy turret and a long howitzer barrel.",
        "#5bc0eb",
    ),
    WeaponClass(
        "apc_ifv",
        "Armoured personnel carrier or fighting vehicle",
        "armour",
        ("apc", "ifv", "bmp", "m113", "bradley", "btr"),
        "Armoured hull for troops, with a small turret or none.",
        "#c9ada7",
    ),
    WeaponClass(
        "atgm_launcher",
        "Other anti-tank missile launcher",
        "anti_tank",
        ("kornet", "konkurs", "javelin", "milan"),
        "Guided-missile tube or pod that is not a TOW.",
        "#d62828",
    ),
)

NAMED_CLASSES = ("tow_launcher", "tank", "rocket_launcher", "howitzer", "humvee", "machine_gun")
"""The six classes of the founding case."""

_BY_WORD = {word: entry for entry in TAXONOMY for word in (entry.id, *entry.synonyms)}


def weapon_class(word: str) -> WeaponClass:
    """The entry whose id or synonym is `word` (case, spaces and `-`/`_` in ids are forgiven).

    Raises UnknownClass, which names the known ids.
    """
    asked = word.strip().lower()
    entry = _BY_WORD.get(asked) or _BY_WORD.get(asked.replace(" ", "_").replace("-", "_"))
    if entry is None:
        known = ", ".join(e.id for e in TAXONOMY)
        raise UnknownClass(f"'{word}' is not a weapon class; use one of: {known}.")
    return entry
