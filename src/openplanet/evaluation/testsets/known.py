"""The public test sets: how many photos each has, what its files are called, where they come from.

A new one is an entry here and a case in its test. Its files are never downloaded by us: they are other people's
photos, under terms of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownSet:
    """What is known of a test set as its authors publish it."""

    key: str
    title: str
    counts: tuple[int, ...]  # rows of its table in the copies that are about; empty: not known
    fingerprint: str  # of the table (testsets.table.fingerprint); "": not known
    tables: tuple[str, ...]  # names of the table's file, the likeliest first
    how_to_get: str
    note: str = ""
    labels: Mapping[str, str] | None = None  # measure → column with the name of the place, if it has any


_POSITIONS = "its table of positions from the repository TIBHannover/GeoEstimation (releases and meta/)"

IM2GPS = KnownSet(
    key="im2gps",
    title="Im2GPS",
    counts=(237,),
    fingerprint="84e393c48cd7e4fec855ba656f8497c350ba4ca89bf1ad16804243bf3dba4d8e",
    tables=("im2gps_places365.csv", "im2gps.csv"),
    how_to_get="the 237 pictures (gpgs_query_imgs.zip) from http://graphics.cs.cmu.edu/projects/im2gps/ and "
    f"{_POSITIONS}: im2gps_places365.csv",
)

IM2GPS3K = KnownSet(
    key="im2gps3k",
    title="Im2GPS3k",
    counts=(2997, 3000),
    fingerprint="5360896d940dced840a360b1cbb139e6c780c7c58676eaea55ce778699327649",
    tables=("im2gps3k_places365.csv", "im2gps3k.csv"),
    how_to_get="the pictures (im2gps3ktest.zip) from https://github.com/lugiavn/revisiting-im2gps and "
    f"{_POSITIONS}: im2gps3k_places365.csv",
    note="Im2GPS3k was published with 3,000 pictures; the table of positions that most papers use has 2,997 of them. "
    "Measured is what stands in the table given here. Three photos can move a share by 0.1 points at most.",
)

YFCC4K = KnownSet(
    key="yfcc4k",
    title="YFCC4k",
    counts=(4536,),
    fingerprint="d992af9ddb75d4a91e0d18b1d5af3cfbdef6892ac5506aa751f41e6ea63d3b6d",
    tables=("yfcc4k.csv", "yfcc4k_places365.csv"),
    how_to_get="pictures and positions (yfcc4k.zip) from https://github.com/lugiavn/revisiting-im2gps",
)

YFCC26K = KnownSet(
    key="yfcc26k",
    title="YFCC26k",
    counts=(25600, 23035),
    fingerprint="bb5daf8946e47578d0e64c2982ddbd2b3d3b0ffc9b5dbba6cd42bcf35e1fa193",
    tables=("yfcc25600_places365.csv", "yfcc26k.csv"),
    how_to_get=f"{_POSITIONS}: yfcc25600_places365.csv, and the pictures that Flickr still has, by their ids",
    note="YFCC26k was published with 25,600 photos; copies made later have the 23,035 that Flickr still had. Figures "
    "on the one and on the other are not of the same photos.",
)

GWS15K = KnownSet(
    key="gws15k",
    title="GWS15k",
    counts=(15000,),
    fingerprint="",
    tables=("gws15k.csv", "metadata.csv"),
    how_to_get="the pictures with their table from the authors of GeoDecoder (Clark et al. 2023); they may not be "
    "passed on, so that copies fetched at another time are other photos",
    note="GWS15k is made anew by everyone from a list of places: two copies need not hold the same pictures.",
)

OSV5M = KnownSet(
    key="osv5m",
    title="OpenStreetView-5M (test)",
    counts=(210122,),
    fingerprint="",
    tables=("test.csv",),
    how_to_get="test.csv and images/test (zip archives are read as they are) from "
    "https://huggingface.co/datasets/osv5m/osv5m",
    note="OSV-5M's own measures: country, region, area and city compare names (its columns unique_country, "
    "unique_region, unique_sub-region, unique_city) with those of the city nearest to the guess; photos without a "
    "name are left out of that measure, as its authors do.",
    labels={
        "country": "unique_country",
        "region": "unique_region",
        "area": "unique_sub-region",
        "city": "unique_city",
    },
)

KNOWN = {each.key: each for each in (IM2GPS, IM2GPS3K, YFCC4K, YFCC26K, GWS15K, OSV5M)}
