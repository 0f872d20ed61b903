"""Triangle meshes and the few primitives that everything in a scene is built from. Metres; X forward, Y left, Z up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

CREASE_COSINE = float(np.cos(np.radians(42)))


@dataclass(frozen=True, slots=True)
class Mesh:
    """Vertices (n, 3) in metres and triangles (m, 3), counter-clockwise seen from outside."""

    vertices: np.ndarray
    faces: np.ndarray

    def transformed(self, matrix: np.ndarray) -> Mesh:
        moved = self.vertices @ matrix[:3, :3].T + matrix[:3, 3]
        faces = self.faces[:, ::-1] if np.linalg.det(matrix[:3, :3]) < 0 else self.faces
        return Mesh(moved, faces)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return self.vertices.min(axis=0), self.vertices.max(axis=0)

    def __repr__(self) -> str:
        return f"Mesh({len(self.vertices)} vertices, {len(self.faces)} faces)"


def merge(meshes: Iterable[Mesh]) -> Mesh:
    parts = list(meshes)
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=False)]),
    )


def translation(x: float, y: float, z: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, 3] = x, y, z
    return matrix


def scaling(x: float, y: float, z: float) -> np.ndarray:
    return np.diag([x, y, z, 1.0])


def rotation(axis: str, degrees: float) -> np.ndarray:
    """Right-handed rotation about `x`, `y` or `z`. A positive `y` rotation lowers the nose."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(4)
    matrix[first, first] = matrix[second, second] = cosine
    matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def box(size: Sequence[float], centre: Sequence[float] = (0, 0, 0), bevel: float = 0.0) -> Mesh:
    """A box; `bevel` cuts its edges and corners, which then catch the light as real sheet metal does."""
    half = np.asarray(size, dtype=float) / 2
    if bevel <= 0:
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        faces = np.array([triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))])
        return Mesh(signs * half + np.asarray(centre), faces)
    corners = _bevelled(half, min(bevel, 0.45 * float(half.min())))
    return Mesh(corners + np.asarray(centre), _bevelled_faces())


def _bevelled(half: np.ndarray, cut: float) -> np.ndarray:
    """24 points: each corner of the box thrice, drawn back by `cut` along the two axes that are not its own."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    return np.concatenate([signs * (half - cut * (np.arange(3) != axis)) for axis in range(3)])


@cache
def _bevelled_faces() -> np.ndarray:
    return convex_hull(_bevelled(np.ones(3), 0.1)).faces


def convex_hull(points: np.ndarray) -> Mesh:
    """The hull of a handful of points: every triple that all others lie behind spans a face."""
    centre = points.mean(axis=0)
    faces: list[tuple[int, int, int]] = []
    seen: set[frozenset[int]] = set()
    count = len(points)
    for i in range(count):
        for j in range(i + 1, count):
            for k in range(j + 1, count):
                normal = np.cross(points[j] - points[i], points[k] - points[i])
                length = np.linalg.norm(normal)
                if length < 1e-12:
                    continue
                normal /= length
                if normal @ (points[i] - centre) < 0:
                    normal = -normal
                heights = (points - points[i]) @ normal
                if heights.max() > 1e-9:
                    continue
                rim = np.flatnonzero(heights > -1e-9)
                key = frozenset(rim.tolist())
                if key in seen:
                    continue
                seen.add(key)
                faces.extend(_fan(points, rim, normal))
    return Mesh(points, np.array(faces))


def _fan(points: np.ndarray, rim: np.ndarray, normal: np.ndarray) -> list[tuple[int, int, int]]:
    middle = points[rim].mean(axis=0)
    first = points[rim[0]] - middle
    second = np.cross(normal, first)
    angles = np.arctan2((points[rim] - middle) @ second, (points[rim] - middle) @ first)
    order = rim[np.argsort(angles)]
    return [(int(order[0]), int(order[n]), int(order[n + 1])) for n in range(1, len(order) - 1)]


def lathe(profile: Sequence[tuple[float, float]], segments: int = 20) -> Mesh:
    """A surface of revolution about X from (x, radius) pairs in rising x; the ends are closed."""
    stations = np.asarray(profile, dtype=float)
    angles = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    rings = np.stack(
        [np.stack([np.full(segments, x), r * np.cos(angles), r * np.sin(angles)], axis=1) for x, r in stations]
    ).reshape(-1, 3)
    count = len(stations)
    here = np.arange(segments)
    after = (here + 1) % segments
    faces = []
    for n in range(count - 1):
        a, b, c, d = (
            n * segments + here,
            n * segments + after,
            (n + 1) * segments + here,
            (n + 1) * segments + after,
        )
        faces += [np.stack([a, b, c], axis=1), np.stack([b, d, c], axis=1)]
    back, front = len(rings), len(rings) + 1
    faces.append(np.stack([np.full(segments, back), after, here], axis=1))
    last = (count - 1) * segments
    faces.append(np.stack([np.full(segments, front), last + here, last + after], axis=1))
    caps = np.array([[stations[0, 0], 0, 0], [stations[-1, 0], 0, 0]])
    return Mesh(np.concatenate([rings, caps]), np.concatenate(faces))


def extrude(profile: Sequence[tuple[float, float]], width: float, y: float = 0.0) -> Mesh:
    """A side view of (x, z) points drawn out across Y to `width`, centred on `y`; its outline must be seen whole from
    its middle."""
    outline = np.asarray(profile, dtype=float)
    x, z = outline[:, 0], outline[:, 1]
    if (x * np.roll(z, -1) - np.roll(x, -1) * z).sum() < 0:
        outline = outline[::-1]
    count = len(outline)
    flat = np.concatenate([outline, outline.mean(axis=0, keepdims=True)])
    sides = [np.stack([flat[:, 0], np.full(count + 1, y + side * width / 2), flat[:, 1]], 1) for side in (-1, 1)]
    here = np.arange(count)
    after = (here + 1) % count
    right, left = count, 2 * count + 1
    near, far = here + count + 1, after + count + 1
    faces = [
        np.stack([np.full(count, right), here, after], 1),
        np.stack([np.full(count, left), far, near], 1),
        np.stack([near, far, after], 1),
        np.stack([near, after, here], 1),
    ]
    return Mesh(np.concatenate(sides), np.concatenate(faces))


def frustum(bottom: Sequence[float], top: Sequence[float], low: float, high: float) -> Mesh:
    """A block from z = `low` to `high`; `bottom` and `top` are (rear x, front x, half width)."""
    block = box((2, 2, 2))
    points = block.vertices.copy()
    for level, (rear, front, half) in ((-1, bottom), (1, top)):
        chosen = block.vertices[:, 2] == level
        points[chosen, 0] = np.where(block.vertices[chosen, 0] < 0, rear, front)
        points[chosen, 1] *= half
    points[:, 2] = np.where(block.vertices[:, 2] < 0, low, high)
    return Mesh(points, block.faces)


def upright(profile: Sequence[tuple[float, float]], segments: int = 20) -> Mesh:
    """A surface of revolution about Z from (z, radius) pairs in rising z."""
    return lathe(profile, segments).transformed(rotation("y", -90))


def aim(start: Sequence[float], end: Sequence[float]) -> np.ndarray:
    """A transform that carries the X axis from the origin onto the line from `start` towards `end`."""
    direction = np.asarray(end, dtype=float) - np.asarray(start, dtype=float)
    direction /= np.linalg.norm(direction)
    helper = np.array([0.0, 0.0, 1.0]) if abs(direction[2]) < 0.95 else np.array([0.0, 1.0, 0.0])
    left = np.cross(helper, direction)
    left /= np.linalg.norm(left)
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([direction, left, np.cross(direction, left)], axis=1)
    matrix[:3, 3] = start
    return matrix


def rod(
    start: Sequence[float],
    end: Sequence[float],
    radius: float,
    end_radius: float | None = None,
    segments: int = 10,
) -> Mesh:
    length = float(np.linalg.norm(np.asarray(end, dtype=float) - np.asarray(start, dtype=float)))
    tip = radius if end_radius is None else end_radius
    return lathe([(0, radius), (length, tip)], segments).transformed(aim(start, end))


def ellipsoid(radii: Sequence[float], centre: Sequence[float] = (0, 0, 0), segments: int = 14) -> Mesh:
    angles = np.linspace(-np.pi / 2 + 0.08, np.pi / 2 - 0.08, segments // 2 + 1)
    ball = lathe([(float(np.sin(a)), float(np.cos(a))) for a in angles], segments)
    return ball.transformed(translation(*centre) @ scaling(*radii))


def corner_normals(mesh: Mesh) -> np.ndarray:
    """One normal per triangle corner (3m, 3): smooth across soft edges, sharp where faces meet at over 42 degrees.

    Faces count by their angle at the corner, so that it does not matter which way a quad was cut in two.
    """
    corners = mesh.vertices[mesh.faces]
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit = crosses / np.maximum(np.linalg.norm(crosses, axis=1, keepdims=True), 1e-12)
    _, place = np.unique(np.round(mesh.vertices / 1e-4).astype(np.int64), axis=0, return_inverse=True)
    group = place.reshape(-1)[mesh.faces].reshape(-1)
    face_of = np.repeat(np.arange(len(mesh.faces)), 3)
    order = np.argsort(group, kind="stable")
    counts = np.bincount(group)
    starts = np.cumsum(counts) - counts
    size = counts[group]
    rows = np.repeat(np.arange(len(group)), size)
    offsets = np.arange(len(rows)) - np.repeat(np.cumsum(size) - size, size)
    neighbours = order[starts[group[rows]] + offsets]
    soft = np.einsum("ij,ij->i", unit[face_of[rows]], unit[face_of[neighbours]]) > CREASE_COSINE
    weights = _corner_angles(corners).reshape(-1)[neighbours[soft]]
    normals = np.stack(
        [
            np.bincount(rows[soft], weights=weights * unit[face_of[neighbours[soft]], axis], minlength=len(group))
            for axis in range(3)
        ],
        axis=1,
    )
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(lengths > 1e-12, normals / np.maximum(lengths, 1e-12), unit[face_of])


def _corner_angles(corners: np.ndarray) -> np.ndarray:
    after, before = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    lengths = np.linalg.norm(after, axis=2) * np.linalg.norm(before, axis=2)
    return np.arccos(np.clip((after * before).sum(axis=2) / np.maximum(lengths, 1e-12), -1, 1))
