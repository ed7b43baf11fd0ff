from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from photo_files import picture, save

from openplanet.photos import exif, xmp
from openplanet.photos.ingest import ingest
from openplanet.photos.shards import Dataset

NAMES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
    'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
)


def packet(lat: str, lng: str, more: str = "") -> bytes:
    return (
        f'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMES}>'
        f'<rdf:Description rdf:about="" exif:GPSLatitude="{lat}" exif:GPSLongitude="{lng}" {more}/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


@pytest.mark.parametrize(
    ("lat", "lng", "place"),
    [
        ("48,51.5N", "2,17.667E", (48.858333, 2.294450)),
        ("33,51,30.5S", "151,12,36W", (-33.858472, -151.21)),
        ("48.8583", "-2.2945", (48.8583, -2.2945)),
        ("48.8583N", "2.2945w", (48.8583, -2.2945)),
        ("48,51.5", "2,17.667", None),
        ("48,51.5E", "2,17.667E", None),
        ("-48,51.5S", "2,17E", None),
        ("91,0.0N", "2,17E", None),
        ("0,0.0N", "0,0.0E", None),
        ("", "", None),
        ("48;51N", "2,17E", None),
    ],
)
def test_coordinates(lat: str, lng: str, place: tuple[float, float] | None) -> None:
    entry = xmp.read(packet(lat, lng))
    assert (None if entry.lat is None else (entry.lat, entry.lng)) == (place and pytest.approx(place, abs=1e-5))


def test_elements_and_times() -> None:
    text = (
        f"<rdf:RDF {NAMES}><rdf:Description><exif:GPSLatitude>10,30.0N</exif:GPSLatitude>"
        "<exif:GPSLongitude>20,0.0E</exif:GPSLongitude></rdf:Description></rdf:RDF>"
    )
    assert xmp.read(text.encode()).lat == 10.5
    assert xmp.read(text.encode("utf-16")).lat == 10.5
    timed = xmp.read(packet("1,0N", "1,0E", 'exif:DateTimeOriginal="2020-05-01T10:00:00+02:00"'))
    assert timed.taken_at == datetime(2020, 5, 1, 8) and timed.taken_at_is_utc
    local = xmp.read(packet("1,0N", "1,0E", 'photoshop:DateCreated="2020-05-01T10:00:00"'))
    assert local.taken_at == datetime(2020, 5, 1, 10) and not local.taken_at_is_utc
    assert xmp.read(packet("1,0N", "1,0E", 'exif:DateTimeOriginal="2020"')).taken_at is None


def test_entities_and_document_types_are_refused() -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "1"><!ENTITY b "&a;&a;">]>' + packet("1,0N", "1,0E").decode()
    assert xmp.read(bomb.encode()).lat is None
    outside = f'<!DOCTYPE a SYSTEM "file:///etc/passwd"><rdf:RDF {NAMES}/>'
    assert xmp.read(outside.encode()).lat is None


@given(st.binary(max_size=400) | st.integers(0, 330).map(lambda cut: packet("1,0N", "1,0E")[:cut]))
def test_damage_never_raises(data: bytes) -> None:
    xmp.read(data)


def test_names_beside() -> None:
    files = ["a.XMP", "b.jpg.xmp", "b.xmp", "c.png.xmp"]
    assert xmp.beside(["a.jpg", "b.jpg", "c.jpg"], files) == {"a.jpg": "a.XMP", "b.jpg": "b.jpg.xmp"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_packets_inside_photos_are_found(tmp_path: Path, kind: str) -> None:
    path, data = tmp_path / "a.jpg", packet("10,30.0N", "20,0.0E")
    options: dict[str, object] = {"xmp": data}
    if kind == "PNG":
        from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", data.decode())
        options = {"pnginfo": info}
    if kind == "TIFF":
        options = {"tiffinfo": {700: data}}
    picture(1).save(path, kind, **options)
    assert xmp.read(exif.read(path).xmp).lat == 10.5


def test_exif_wins_over_sidecar_over_packet(tmp_path: Path) -> None:
    root = tmp_path / "p"
    save(root / "exif.jpg", 1, lat=40.0)
    save(root / "sidecar.jpg", 2)
    for name in ("exif", "sidecar"):
        (root / f"{name}.xmp").write_bytes(packet("50,0.0N", "5,0.0E"))
    picture(3).save(root / "both.jpg", xmp=packet("60,0.0N", "6,0.0E"))
    (root / "both.jpg.xmp").write_bytes(packet("50,0.0N", "5,0.0E"))
    picture(4).save(root / "inside.jpg", xmp=packet("60,0.0N", "6,0.0E"))
    ingest([root], tmp_path / "out", workers=1)
    rows = Dataset.open(tmp_path / "out").table(["source", "lat", "position_from"]).to_pylist()
    assert {row["source"][2:-4]: (row["lat"], row["position_from"]) for row in rows} == {
        "exif": (40, "exif"), "sidecar": (50, "sidecar"), "both": (50, "sidecar"), "inside": (60, "xmp")
    }  # fmt: skip
