"""How a table was measured, in sentences that stand below it."""

from collections.abc import Sequence

from openplanet.evaluation import answers as named
from openplanet.evaluation.measures import metrics
from openplanet.evaluation.measures.bootstrap import Groups
from openplanet.evaluation.measures.row import Row
from openplanet.evaluation.testsets.leakage import Leak
from openplanet.evaluation.testsets.nearness import Nearness
from openplanet.evaluation.testsets.photoset import PhotoSet
from openplanet.evaluation.testsets.published import Published

WHAT = {
    named.RANDOM: "the places of training photos drawn by chance",
    named.PRIOR: "always the cells that hold most training photos, whatever the photo shows",
    named.PRIOR_POINTS: "for each distance by itself the point with most training photos within it, the same for every "
    "photo: what is known without looking at one (its median, mean, GeoScore and country are the prior's)",
    named.NEAREST: "the places of the training photos that look most alike by colour, layout, edges and texture",
    named.DENSITY: "where most of the training photos lie that look alike by the same features, after Im2GPS",
    named.EMBEDDED_NEAREST: "the places of the training photos that look most alike by the network's own embedding",
    named.EMBEDDED: "where most of the training photos lie that look alike by that embedding, after Vo et al. 2017",
    named.MODEL: "the trained network: the mean position of the training photos of the most probable cells",
    named.POINTS: "the same network, asked for each distance by itself for the point with most probability within it "
    "(its median, mean, GeoScore and country are those of its likeliest cell)",
    named.CENTRES: "the same network, measured from the centre of the most probable cells: PlaNet's published figures "
    "are to be compared with this row, not with the model's",
    named.RIGHT_CELL: "what the cells cap: each photo's own cell, so that only its size is left of the error (no guess "
    "for a photo outside all cells)",
    named.BAYES: "the best that anyone could do, for each distance by itself: from the exact posterior, which is known "
    "because the planet is synthetic (on few photos luck can carry a model above it)",
}

FAR = "the model on the photos taken over {km:g} km from all training photos: their places cannot be known by heart"
KERNELS = "the same, with a kernel for each distance, the one that places most validation photos within it"
VAL = "the val split"
CAPPED, CAPPED_KM = 0.9, 25.0
"""Where fewer photos than that could be so near by their own cells, it is said."""
CROP = "Each photo is seen once: one centre crop, no average over crops or mirrored copies."
PROBABILITIES = (
    "Probabilities: NLL is the mean of -ln p of the true cell, over photos in a cell; Brier 0 to 2; ECE in 15 bins of "
    "equal width; “in 90 %”: how often the smallest set of cells with 90 % probability holds the truth. A photo in no "
    "cell or without an answer counts as missed in all but NLL."
)


def notes(
    photoset: PhotoSet,
    rows: Sequence[Row],
    first: Row,
    outside: int,
    cells: int,
    groups: Groups,
    leaks: Sequence[Leak],
    blind: Sequence[str],
    published: Sequence[Published],
    neighbours: bool = True,
    near: Nearness | None = None,
) -> tuple[str, ...]:
    """What a reader must know: of the set, the counting, the measures, each row, leaks, and others' figures."""
    failed = "could not be read" if cells else "have no guess"
    found = [
        f"{first.photos:,} photos with a known position. {first.failed:,} {failed} and count as wrong.",
        *photoset.notes,
        *([near.text] if near is not None else []),
    ]
    if cells:
        found.append(f"{outside:,} of them were taken outside all {cells:,} cells; they count like any other.")
        found += [*_capped(rows), CROP]
    found += [
        "Distances are great circles on a sphere of 6371.0088 km; within means at most."
        + (" A guess is the mean position of the training photos of a cell" if cells else " Guesses are as given")
        + "; best of five takes the nearest of the five likeliest.",
        f"Country, region and city: {metrics.COUNTRY_METHOD}.",
        "In the mean, a photo without a guess counts as half way round the Earth.",
        _drawn(groups),
    ]
    if any(row.distribution is not None for row in rows):
        found.append(PROBABILITIES)
    found += [f"{row.name}: {row.answers.what}." for row in rows]
    for row in rows:
        if row.labels:
            shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in row.labels)
            found.append(f"{row.name}, by the names that the set's authors give: {shares}.")
    if cells and named.NEAREST not in [row.name for row in rows]:
        missing = "no training photo has a position and can be read, or they are what is measured"
        found.append(f"No nearest neighbour: {missing if neighbours else 'left out, as asked (--no-neighbours)'}.")
    found += [f"Leakage guard: {leak.text}." for leak in leaks]
    found += [f"Leakage guard: not sure: {reason}" for reason in blind]
    if any(row.name == named.DENSITY for row in rows) and photoset.name == VAL:
        found.append("The kernels of the densities were chosen on photos that are measured here.")
    found += [_source(each) for each in published]
    return tuple(found)


def _capped(rows: Sequence[Row]) -> list[str]:
    """Whether the size of the cells, or places without any, keeps even a perfect model from being near."""
    row = next((each for each in rows if each.name == named.RIGHT_CELL), None)
    pairs = [] if row is None else zip(row.distances_km, row.shares, strict=True)
    low = [f"{100 * share:.1f} % within {km:g} km" for km, share in pairs if km <= CAPPED_KM and share < CAPPED]
    text = f"Cells cap the accuracy: with the right cell always named, {' and '.join(low)}; smaller cells cap it less."
    return [text] if low else []


def _source(each: Published) -> str:
    memory = "" if each.confirmed else " † Written down from memory: no stored text confirms these figures."
    return f"Published, not run: {each.system} ({each.year}): {each.source}.{memory}"


def _drawn(groups: Groups) -> str:
    if groups.count == 1:
        return f"Intervals say nothing here: all photos are of one {groups.what.removesuffix('s')}, drawn every time."
    text = (
        f"Intervals hold 95 %: 1,000 times, {groups.text} were drawn again with all their photos, because "
        "photos of one album are alike."
    )
    if groups.few:
        text += f" {groups.effective:.1f} are few: the intervals are too narrow (benchmarks/cross_validation.py)."
    return text
