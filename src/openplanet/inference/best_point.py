"""The point to name depends on what it is for: the likeliest cell, or the point with most probability around it.

A photo of a beach may have 5 % for one cell and 3 % each for ten cells of one coast. Whoever wants to be within
1 km names the first; whoever wants the country names the coast.

Shapes: C cells, P candidate points, K guesses.
"""

import numpy as np
from numpy.typing import NDArray

from openplanet.earth import geo
from openplanet.earth.partition.adaptive import Partition

Floats = NDArray[np.float64]

CANDIDATES = 128  # cells, the likeliest first, whose centroids are tried


class PointFinder:
    """Finds, for predictions over one partition, the points with most probability within a distance."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self._xyz_C3 = geo.to_xyz(partition.centroid_lat, partition.centroid_lng)

    def best_within(self, probability_C: Floats, km: float, k: int = 1) -> tuple[Floats, Floats, Floats]:
        """lat [K], lng [K] and the probability [K] within ``km`` (<=) of each, the best point first.

        Points are centroids of likely cells; a cell counts where its centroid is near enough, as a whole. Each
        further point is the best for what those before it leave. For a ``km`` below the distance between
        centroids they are the likeliest cells.
        """
        point_P = np.argsort(-probability_C, kind="stable")[:CANDIDATES]
        chord = 2 * np.sin(min(km / geo.EARTH_RADIUS_KM, np.pi) / 2)
        cosine = 1 - chord * chord / 2
        near_PC = self._xyz_C3[point_P] @ self._xyz_C3.T >= cosine - 1e-12
        near_PC[np.arange(len(point_P)), point_P] = True
        left_C = probability_C.astype(np.float64, copy=True)
        chosen, mass = [], []
        for _ in range(min(k, len(point_P))):
            mass_P = near_PC @ left_C
            best = int(mass_P.argmax())
            chosen.append(point_P[best])
            mass.append(float(mass_P[best]))
            left_C[near_PC[best]] = 0.0
        cells = np.array(chosen, dtype=np.int64)
        return self.partition.centroid_lat[cells], self.partition.centroid_lng[cells], np.array(mass)
