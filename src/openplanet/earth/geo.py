"""Positions on a spherical Earth: distance, unit vectors, means. Degrees, lat before lng (N points)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from openplanet.errors import InputError

Floats = NDArray[np.float64]
Turn = tuple[float, float, float, float]
NO_TURN: Turn = (1.0, 0.0, 0.0, 0.0)

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG

# Points whose unit vectors cancel to less than this share of their weight have no direction to speak of:
# what is left of the sum is rounding.
CANCELLED = 1e-12


def distance_km(lat1: ArrayLike, lng1: ArrayLike, lat2: ArrayLike, lng2: ArrayLike) -> Floats:
    """Great-circle distance in km on a sphere of mean radius; float64, inputs in degrees broadcast.

    NaN in gives NaN out. Exact to rounding at every distance: the arctangent of both sine and cosine has
    neither the haversine's weakness at antipodes nor the cosine rule's at a few metres.
    """
    phi1, phi2 = np.radians(np.asarray(lat1, np.float64)), np.radians(np.asarray(lat2, np.float64))
    dlat = np.radians(np.subtract(lat2, lat1, dtype=np.float64))
    dlng = np.radians(np.subtract(lng2, lng1, dtype=np.float64))
    east = np.cos(phi2) * np.sin(dlng)
    # = cos(phi1) sin(phi2) - sin(phi1) cos(phi2) cos(dlng), without subtracting two nearly equal numbers
    north = np.sin(dlat) + 2 * np.sin(phi1) * np.cos(phi2) * np.sin(dlng / 2) ** 2
    along = np.sin(phi1) * np.sin(phi2) + np.cos(phi1) * np.cos(phi2) * np.cos(dlng)
    return np.asarray(EARTH_RADIUS_KM * np.arctan2(np.hypot(east, north), along))


def to_xyz(lat: ArrayLike, lng: ArrayLike) -> Floats:
    """Unit vectors [..., 3]: x to (0, 0), y to (0, 90 east), z to the north pole."""
    phi, theta = np.radians(np.asarray(lat, np.float64)), np.radians(np.asarray(lng, np.float64))
    cos_phi, theta = np.broadcast_arrays(np.cos(phi), theta)
    return np.stack([np.cos(theta) * cos_phi, np.sin(theta) * cos_phi, np.sin(phi) + 0 * theta], axis=-1)


def from_xyz(xyz: ArrayLike) -> tuple[Floats, Floats]:
    """(lat, lng) of vectors [..., 3] of any length but zero; lng in -180..180, and 0 at the poles."""
    vector = np.asarray(xyz, np.float64) + 0.0  # + 0.0 turns -0.0 into 0.0, else the pole's lng may be ±180
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x))


def turn(lat: ArrayLike, lng: ArrayLike, by: Turn, back: bool = False) -> tuple[Floats, Floats]:
    """(lat, lng) after the turn of the sphere ``by`` (a unit quaternion w, x, y, z), or after its undoing."""
    w, x, y, z = by
    x, y, z = (-x, -y, -z) if back else (x, y, z)
    p, q, r = np.moveaxis(to_xyz(lat, lng), -1, 0)
    # Sums written out: a matrix product may round otherwise for another number of positions.
    turned = (
        (1 - 2 * (y * y + z * z)) * p + 2 * (x * y - w * z) * q + 2 * (x * z + w * y) * r,
        2 * (x * y + w * z) * p + (1 - 2 * (x * x + z * z)) * q + 2 * (y * z - w * x) * r,
        2 * (x * z - w * y) * p + 2 * (y * z + w * x) * q + (1 - 2 * (x * x + y * y)) * r,
    )
    return from_xyz(np.stack(turned, axis=-1))


def mean_position(lat_N: ArrayLike, lng_N: ArrayLike, weights_N: ArrayLike | None = None) -> tuple[float, float]:
    """(lat, lng) of the mean direction of N points: right across the antimeridian and at the poles.

    ``weights_N`` are not negative (default: all 1). Raises InputError where there is no such direction: for
    an empty set, for weights that sum to 0 and for points that cancel out (two antipodes).
    """
    xyz_N3 = np.atleast_2d(to_xyz(lat_N, lng_N))
    weights = np.ones(len(xyz_N3)) if weights_N is None else np.atleast_1d(np.asarray(weights_N, np.float64))
    if weights.shape != (len(xyz_N3),) or not (weights >= 0).all():
        raise InputError(f"one weight, not negative, is needed for each of the {len(xyz_N3)} positions")
    total = float(weights.sum())
    mean_3 = (xyz_N3 * weights[:, None]).sum(axis=0)
    if total == 0 or not np.linalg.norm(mean_3) > CANCELLED * total:
        raise InputError(f"{len(xyz_N3)} positions have no mean: there are none, one is NaN, or they cancel out")
    lat, lng = from_xyz(mean_3)
    return float(lat), float(lng)


def check_coordinates(lat: ArrayLike, lng: ArrayLike, where: str, first_row: int = 0) -> None:
    """Raise InputError, naming ``where`` and the row, on NaN or out of lat -90..90, lng -180..180.

    ``lat`` and ``lng`` must have one shape; ``first_row`` is added to the row number that is named.
    """
    lat, lng = np.asarray(lat, np.float64), np.asarray(lng, np.float64)
    if lat.shape != lng.shape:
        raise InputError(f"{where}: {lat.size} values of lat do not go with {lng.size} of lng")
    good = (np.abs(lat) <= 90) & (np.abs(lng) <= 180)  # False for NaN
    if not good.all():
        bad = int(np.argmin(good.ravel()))
        raise InputError(
            f"{where}: row {first_row + bad}: lat {lat.ravel()[bad]}, lng {lng.ravel()[bad]} is no position "
            "(degrees: lat -90 to 90, lng -180 to 180); correct the row or leave it out"
        )
