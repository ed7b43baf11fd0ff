import numpy as np
import pytest

from openplanet.earth import places
from openplanet.earth.geo import distance_km, from_xyz
from openplanet.earth.partition import adaptive
from openplanet.errors import InputError


@pytest.mark.parametrize(
    ("lat", "lng", "country", "code"),
    [
        (48.8584, 2.2945, "France", "FR"),
        (-33.8568, 151.2153, "Australia", "AU"),
        (41.0082, 28.9784, "Türkiye", "TR"),
        (55.7558, 37.6173, "Russia", "RU"),
        (37.5665, 126.978, "South Korea", "KR"),
        (-4.3217, 15.3126, "Democratic Republic of the Congo", "CD"),
        (50.0755, 14.4378, "Czechia", "CZ"),
        (41.9029, 12.4534, "Vatican City", "VA"),
    ],
)
def test_country(lat, lng, country, code):
    (place,) = places.nearest(lat, lng)
    assert (place.country, place.country_code) == (country, code)
    assert place.distance_km < 20


def test_names_region_and_city():
    paris, honolulu = places.nearest([48.8566, 21.3069], [2.3522, -157.8583])
    assert (paris.city, paris.region) == ("Paris", "Île-de-France")
    assert (honolulu.region, honolulu.country) == ("Hawaii", "United States")
    assert paris.name == "Paris, Île-de-France, France"


def test_name_has_no_empty_or_repeated_part():
    assert places.Place("Singapore", "", "Singapore", "SG", 1.0).name == "Singapore"


@pytest.mark.parametrize(
    ("lat", "lng", "city"),
    [
        (-16.8, -179.98, "Labasa"),  # Taveuni, Fiji lies on both sides of the antimeridian
        (-16.8, 179.98, "Labasa"),
        (66.3, 179.9, "Egvekinot"),  # Chukotka: the city itself is at 179.1 west
        (66.3, -179.9, "Egvekinot"),
        (89.9, -120.0, "Longyearbyen"),  # in degrees of longitude, Alaska would be nearer
    ],
)
def test_nearest_across_the_antimeridian_and_at_the_pole(lat, lng, city):
    assert places.nearest(lat, lng)[0].city == city


def test_agrees_with_a_search_through_all_cities():
    rng = np.random.default_rng(0)
    spread, polar = np.degrees(np.arcsin(rng.uniform(-1, 1, 40))), rng.uniform(85, 90, 5)
    lat_N = np.concatenate([spread, polar, [90.0, -90.0]])
    lng_N = np.concatenate([rng.uniform(-180, 180, 45), [0.0, 180.0]])
    city_lat, city_lng = from_xyz(places._cities().tree.data)
    for lat, lng, place in zip(lat_N, lng_N, places.nearest(lat_N, lng_N), strict=True):
        assert place.distance_km == pytest.approx(np.min(distance_km(lat, lng, city_lat, city_lng)), abs=1e-6)


def test_every_country_in_the_data_has_a_name_not_inverted():
    countries = {(country, code) for country, _, _, code in places._cities().names}
    assert all(country and "," not in country for country, _ in countries)
    assert len({country for country, _ in countries}) == len({code for _, code in countries}) > 240


def test_nothing_asked_nothing_found():
    assert places.nearest([], []) == []


@pytest.mark.parametrize(("lat", "lng"), [(float("nan"), 0.0), (91.0, 0.0), (0.0, 181.0)])
def test_refuses_what_is_no_position(lat, lng):
    with pytest.raises(InputError, match="position"):
        places.nearest(lat, lng)


def test_largest_cities_of_an_area_come_largest_first():
    names, lat_N, lng_N = places.largest((-36, 148, -32, 153), 3)
    assert names[0] == "Sydney"
    assert len(names) == len(lat_N) == len(lng_N) == 3


def test_largest_cities_across_the_antimeridian():
    for west, east in [(176, -170), (176, 190), (-184, -170)]:
        names, _, lng_N = places.largest((-20, west, -12, east), 50)
        assert {"Suva", "Apia"} <= set(names)
        assert ((lng_N > 176) | (lng_N < -170)).all()
    assert len(places.largest((-90, -180, 90, 180), 10**6)[0]) > 150_000


def test_codes_are_equal_where_names_are():
    rng = np.random.default_rng(3)
    lat, lng = from_xyz(rng.normal(size=(400, 3)))
    codes, named = places.codes(lat, lng), places.nearest(lat, lng)
    np.testing.assert_allclose(codes.km_N, [place.distance_km for place in named])
    assert [places.country_code(number) for number in codes.country_N.tolist()] == [p.country_code for p in named]
    assert [places.country_name(number) for number in codes.country_N.tolist()] == [p.country for p in named]
    for numbers, names in (
        (codes.region_N, [(place.country_code, place.region) for place in named]),
        (codes.country_N, [place.country_code for place in named]),
    ):
        assert len(set(numbers.tolist())) == len(set(names)) == len(set(zip(numbers.tolist(), names, strict=True)))


def test_no_position_has_no_code():
    codes = places.codes([np.nan, 48.86], [0.0, 2.35])
    assert codes.country_N[0] == codes.region_N[0] == codes.city_N[0] == -1 and codes.km_N[0] == np.inf
    assert places.country_code(-1) == places.country_name(-1) == "" and places.country_code(codes.country_N[1]) == "FR"
    assert np.isnan(places.km_to_city([np.nan], [0.0], 1000)[0])


def test_km_to_city_is_the_obvious_search():
    cities = places._cities()
    large = cities.population >= 50_000
    lat, lng = from_xyz(np.random.default_rng(4).normal(size=(20, 3)))
    slow = [distance_km(a, b, cities.lat[large], cities.lng[large]).min() for a, b in zip(lat, lng, strict=True)]
    np.testing.assert_allclose(places.km_to_city(lat, lng, 50_000), slow, rtol=1e-9)


def test_a_place_far_off_is_not_named_as_if_it_were_here() -> None:
    (sea,) = places.nearest([-48.9], [-123.4])  # Point Nemo: no land within 2,600 km
    assert sea.distance_km > 2500 and sea.name.startswith(f"{sea.distance_km:,.0f} km from {sea.city}, ")
    (paris,) = places.nearest([48.86], [2.35])
    assert paris.name == "Paris, Île-de-France, France"
    cells = adaptive.build([(np.array([-48.9, 48.86]), np.array([-123.4, 2.35]))], max_photos=1, min_photos=1)
    assert {(city, region) for city, region in zip(cells.city, cells.region, strict=True)} == {
        ("", ""), ("Paris", "Île-de-France"),
    }  # fmt: skip
