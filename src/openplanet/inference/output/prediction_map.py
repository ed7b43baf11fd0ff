"""A prediction on a map: the cells shaded by probability, the best point, and the truth where it is known."""

from openplanet.inference.prediction import Prediction
from openplanet.maps.world_map import WorldMap, bounds_of
from openplanet.models.regions import WITHIN_KM

CANDIDATES = 5
WIDTH = 560  # px
LIKELY = 0.05  # candidates from this probability on decide how far the map reaches
LEAST_SHOWN = 0.002  # a cell less likely than this is not drawn: the map would be one pale wash


def prediction_map(
    prediction: Prediction, truth: tuple[float, float] | None = None, within_km: float = WITHIN_KM
) -> WorldMap:
    """Draw it close to where all that matters lies, or the world where that is far apart.

    ``truth``: (lat, lng) in degrees of where the photo was taken, where that is known. ``within_km``: the distance that
    the best point is for.
    """
    p, best, point = prediction.partition, prediction.best, prediction.best_point(within_km)
    likely = [c for c in prediction.top(CANDIDATES) if c.probability >= LIKELY or c.rank == 1]
    known = [] if truth is None else [truth]
    lats = [c.lat for c in likely] + [lat for lat, _ in known] + [point.lat]
    lngs = [c.lng for c in likely] + [lng for _, lng in known] + [point.lng]
    # the likeliest cell is always drawn, however flat the distribution
    least = min(LEAST_SHOWN, best.probability / 2)
    named = prediction.answer().text
    title = f"Where the model looks for this photo: {named}"
    drawn = (
        WorldMap(WIDTH, bounds_of(lats, lngs, 0.35, least=12), title=title)
        .cells(
            p.cell_id, prediction.probabilities, what="probability", percent=True, log=True, least=least, turn=p.turn
        )
        .points([point.lat], [point.lng], kind="guess", titles=[f"best point: {named}"], key="best point")
    )
    for lat, lng in known:
        drawn.points([lat], [lng], kind="truth", titles=["where it was taken"], key="truth")
    return drawn
