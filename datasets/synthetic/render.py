"""Mitsuba renders a scene; a depth test says which pixels of each weapon are really seen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from datasets.synthetic.geometry import Mesh, corner_normals
from datasets.synthetic.materials import Material, texture
from datasets.synthetic.scene import Camera, Scene, Thing

MIN_VISIBLE_SHARE = 0.25
MIN_SIDE_PX = 12
MIN_INSIDE_SHARE = 0.4
DEPTH_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Seen:
    """A labelled thing in the picture. `box_px` (x1, y1, x2, y2) is tight about its visible pixels, end exclusive."""

    label: str
    box_px: tuple[int, int, int, int]
    visible_share: float
    cut_away: bool
    """Under `MIN_INSIDE_SHARE` of its outline lies in the frame: a fragment, which would teach the wrong thing."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Linear RGB radiance before any camera look; `cover` is 0 where only sky is seen; depth in metres, inf for sky."""

    radiance: np.ndarray
    cover: np.ndarray
    depth_metres: np.ndarray
    seen: tuple[Seen, ...]

    def __repr__(self) -> str:
        return f"Frame({self.radiance.shape[1]}x{self.radiance.shape[0]}, {len(self.seen)} seen)"


@cache
def _mitsuba() -> ModuleType:
    import drjit
    import mitsuba

    mitsuba.set_variant("scalar_rgb")
    mitsuba.set_log_level(mitsuba.LogLevel.Error)
    drjit.set_thread_count(1)
    return mitsuba


def _bsdf(material: Material) -> Any:
    mi = _mitsuba()
    image = {
        "type": "bitmap",
        "bitmap": mi.Bitmap(texture(material).astype(np.float32)),
        "raw": True,
        "wrap_mode": "repeat",
    }
    inner: dict[str, Any]
    if material.roughness > 0.8:
        inner = {"type": "diffuse", "reflectance": image}
    else:
        inner = {"type": "principled", "base_color": image, "roughness": material.roughness, "specular": 0.4}
    return mi.load_dict({"type": "twosided", "bsdf": inner})


def _shape(mesh: Mesh, bsdf: Any, tile_metres: float) -> Any:
    """A Mitsuba mesh with vertices of its own per corner, so that sharp edges stay sharp; textured by plane."""
    mi = _mitsuba()
    corners = mesh.vertices[mesh.faces].reshape(-1, 3)
    edges = corners.reshape(-1, 3, 3)
    facing = np.abs(np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])).argmax(axis=1).repeat(3)
    first, second = np.where(facing == 0, 1, 0), np.where(facing == 2, 1, 2)
    rows = np.arange(len(corners))
    uv = np.stack([corners[rows, first], corners[rows, second]], axis=1) / tile_metres
    properties = mi.Properties()
    properties["mesh_bsdf"] = bsdf
    shape = mi.Mesh("", len(corners), len(mesh.faces), properties, True, True)
    values = mi.traverse(shape)
    values["vertex_positions"] = corners.astype(np.float32).ravel()
    values["vertex_normals"] = corner_normals(mesh).astype(np.float32).ravel()
    values["vertex_texcoords"] = uv.astype(np.float32).ravel()
    values["faces"] = rows.astype(np.uint32)
    values.update()
    return shape


def _sensor(camera: Camera, width: int, height: int, samples: int, seed: int, *, exact: bool) -> dict[str, Any]:
    mi = _mitsuba()
    _, _, up = axes(camera)
    return {
        "type": "perspective",
        "fov": camera.fov_x_degrees,
        "fov_axis": "x",
        "near_clip": 0.05,
        "far_clip": 2000.0,
        "to_world": mi.ScalarTransform4f().look_at(list(camera.origin), list(camera.target), up.tolist()),
        "sampler": {"type": "independent", "sample_count": samples, "seed": seed},
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "pixel_format": "rgba",
            "component_format": "float32",
            "rfilter": {"type": "box"} if exact else {"type": "gaussian", "stddev": 0.45},
        },
    }  # fmt: skip


def axes(camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The camera's forward, right and up, roll included."""
    view = np.asarray(camera.target) - camera.origin
    view /= np.linalg.norm(view)
    right = np.cross(view, (0, 0, 1))
    right /= np.linalg.norm(right)
    up = np.cross(right, view)
    turn = np.radians(camera.roll_degrees)
    return view, np.cos(turn) * right + np.sin(turn) * up, np.cos(turn) * up - np.sin(turn) * right


def directions(camera: Camera, width: int, height: int) -> np.ndarray:
    """Unit view direction through the middle of each pixel (height, width, 3)."""
    view, right, up = axes(camera)
    spread = np.tan(np.radians(camera.fov_x_degrees / 2))
    x = (np.arange(width) + 0.5) / width * 2 - 1
    y = (1 - (np.arange(height) + 0.5) / height * 2) * height / width
    rays = view + spread * (x[None, :, None] * right + y[:, None, None] * up)
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def _lights(scene: Scene) -> dict[str, Any]:
    mi = _mitsuba()
    dome = mi.Bitmap(scene.sky.dome().astype(np.float32))
    lights: dict[str, Any] = {
        "dome": {"type": "envmap", "bitmap": dome, "to_world": mi.ScalarTransform4f().rotate([1, 0, 0], 90)}
    }
    if max(scene.light.irradiance) > 0:
        raised, around = np.radians(scene.light.elevation), np.radians(scene.light.azimuth)
        sun = (np.cos(raised) * np.cos(around), np.cos(raised) * np.sin(around), np.sin(raised))
        lights["sun"] = {
            "type": "directional",
            "direction": [-float(value) for value in sun],
            "irradiance": {"type": "rgb", "value": [float(value) for value in scene.light.irradiance]},
        }
    if scene.weather.lamp is not None:
        *place, red, green, blue = scene.weather.lamp
        lights["lamp"] = {
            "type": "point",
            "position": place,
            "intensity": {"type": "rgb", "value": [red, green, blue]},
        }
    return lights


class Renderer:
    """Holds the shapes of one scene, so that several cameras may look at it."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        coats: dict[Material, Any] = {}

        def coat(material: Material) -> Any:
            if material not in coats:
                coats[material] = _bsdf(material)
            return coats[material]

        def shapes(thing: Thing) -> list[Any]:
            return [_shape(mesh, coat(material), material.tile_metres) for mesh, material in thing.parts]

        self._things = [(thing, shapes(thing)) for thing in scene.things]
        self._land = _shape(scene.ground.mesh(scene.ground_centre), coat(scene.soil), scene.soil.tile_metres)

    def _load(
        self, shapes: list[Any], sensor: dict[str, Any], integrator: dict[str, Any], lights: dict[str, Any]
    ) -> Any:
        parts = {f"shape_{number}": shape for number, shape in enumerate(shapes)}
        return _mitsuba().load_dict({"type": "scene", "integrator": integrator, "sensor": sensor, **lights, **parts})

    def depth(self, things: list[str] | None, camera: Camera, width: int, height: int, seed: int) -> np.ndarray:
        """Distance to the nearest surface in each pixel: of the whole scene, or of the named things alone."""
        mi = _mitsuba()
        chosen = [shape for thing, group in self._things if things is None or thing.name in things for shape in group]
        if things is None:
            chosen.append(self._land)
        sensor = _sensor(camera, width, height, 1, seed, exact=True)
        loaded = self._load(chosen, sensor, {"type": "aov", "aovs": "distance:depth"}, {})
        image = np.array(mi.render(loaded, spp=1, seed=seed))[..., -1]
        return np.where(image > 0, image, np.inf)

    def labels(
        self, *, width: int, height: int, seed: int, camera: Camera | None = None
    ) -> tuple[np.ndarray, tuple[Seen, ...]]:
        """The distances of the whole scene, and what is seen of each labelled thing."""
        view = camera or self._scene.camera
        whole = self.depth(None, view, width, height, seed)
        seen = []
        for thing, _ in self._things:
            if thing.label is not None:
                alone = self.depth([thing.name], view, width, height, seed)
                found = visible(thing.label, alone, whole, outline(thing, view, width, height))
                if found is not None:
                    seen.append(found)
        return whole, tuple(seen)

    def radiance(
        self, *, width: int, height: int, samples: int, seed: int, camera: Camera | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Linear RGB (height, width, 3) and cover (height, width)."""
        everything = [shape for _, group in self._things for shape in group] + [self._land]
        sensor = _sensor(camera or self._scene.camera, width, height, samples, seed, exact=False)
        path = {"type": "path", "max_depth": 4, "hide_emitters": True}
        loaded = self._load(everything, sensor, path, _lights(self._scene))
        image = np.array(_mitsuba().render(loaded, spp=samples, seed=seed))
        return image[..., :3], np.clip(image[..., 3], 0, 1)

    def frame(self, *, width: int, height: int, samples: int, seed: int, camera: Camera | None = None) -> Frame:
        picture, cover = self.radiance(width=width, height=height, samples=samples, seed=seed, camera=camera)
        whole, seen = self.labels(width=width, height=height, seed=seed, camera=camera)
        return Frame(picture, cover, whole, seen)


def outline(thing: Thing, camera: Camera, width: int, height: int) -> tuple[float, float, float, float]:
    """The box of the whole thing in pixels, the frame's edges disregarded."""
    points = np.concatenate([mesh.vertices for mesh, _ in thing.parts]) - camera.origin
    view, right, up = axes(camera)
    depth = np.maximum(points @ view, 0.05)
    scale = width / 2 / np.tan(np.radians(camera.fov_x_degrees / 2))
    x, y = width / 2 + points @ right / depth * scale, height / 2 - points @ up / depth * scale
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def visible(
    label: str, alone: np.ndarray, whole: np.ndarray, full: tuple[float, float, float, float] | None = None
) -> Seen | None:
    """The box of what is seen of a thing; None where under a quarter shows or the box is too small to learn from."""
    present = np.isfinite(alone)
    mask = present & (alone <= whole * (1 + DEPTH_TOLERANCE) + DEPTH_TOLERANCE)
    if not mask.any():
        return None
    share = float(mask.sum() / present.sum())
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box_px = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    if share < MIN_VISIBLE_SHARE or max(box_px[2] - box_px[0], box_px[3] - box_px[1]) < MIN_SIDE_PX:
        return None
    height, width = whole.shape
    inside = 1.0
    if full is not None:
        x1, y1, x2, y2 = full
        framed = max(0.0, min(x2, width) - max(x1, 0)) * max(0.0, min(y2, height) - max(y1, 0))
        inside = framed / max((x2 - x1) * (y2 - y1), 1e-6)
    return Seen(label, box_px, round(share, 3), inside < MIN_INSIDE_SHARE)
