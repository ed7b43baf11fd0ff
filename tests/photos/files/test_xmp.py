import time
import zlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import exif_blocks
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photo_files import picture, save

from openplanet.photos.dataset import Dataset
from openplanet.photos.files import exif, xmp
from openplanet.photos.ingest.ingest import ingest
from openplanet.photos.sources import registry

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
        ("48 deg 51' 30.00&quot; N", "2 deg 17' 40.0&quot; West", (48.858333, -2.294444)),
        ("48°51.5' N", "2° 17.667′ E", (48.858333, 2.294450)),
        ("48,51.5 North", "2,17.667e", (48.858333, 2.294450)),
        ("48 51 30 N", "2 17 40 E", None),
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


def test_properties_with_qualifiers() -> None:
    value = '<exif:{} rdf:parseType="Resource"><rdf:value>{}</rdf:value><exif:by>9,9N</exif:by></exif:{}>'
    lat, lng = value.format("GPSLatitude", "46,0N", "GPSLatitude"), value.format("GPSLongitude", "7,0E", "GPSLongitude")
    entry = xmp.read(f"<rdf:RDF {NAMES}><rdf:Description>{lat}{lng}</rdf:Description></rdf:RDF>".encode())
    assert (entry.lat, entry.lng) == (46, 7)


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


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
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
    assert xmp.read_packets(exif.read(path).xmp).lat == 10.5


@pytest.mark.parametrize(
    ("lat", "lat_ref", "lng", "lng_ref", "place"),
    [
        ("43.0764", "N", "79.0770", "W", (43.0764, -79.077)),
        ("34.86", "S", "56.15", "W", (-34.86, -56.15)),
        ("34.86", "South Latitude", "56.15", "west", (-34.86, -56.15)),
        ("34,51.6", "s", "56,9.0", "W", (-34.86, -56.15)),
        ("-34.86", "S", "-56.15", "W", (-34.86, -56.15)),
        ("34,51.6S", "S", "56,9.0W", "W", (-34.86, -56.15)),
        ("34.86", "", "-56.15", " ", (34.86, -56.15)),
        ("-34.86", "N", "56.15", "W", None),
        ("+34.86", "S", "56.15", "W", None),
        ("18,32.7N", "S", "70,19.9E", "W", None),
        ("18,32.7N", "N", "70,19.9E", "W", None),
        ("18.5", "E", "70.1", "W", None),
        ("18.5", "?", "70.1", "W", None),
    ],
)
def test_hemispheres_stand_beside_the_values(
    lat: str, lat_ref: str, lng: str, lng_ref: str, place: tuple[float, float] | None
) -> None:
    data = packet(lat, lng, f'exif:GPSLatitudeRef="{lat_ref}" exif:GPSLongitudeRef="{lng_ref}"')
    entry = xmp.read(data)
    assert (None if entry.lat is None else (entry.lat, entry.lng)) == (place and pytest.approx(place, abs=1e-5))
    assert (entry.problem == "") == (place is not None)


def test_hemispheres_that_disagree_are_refused_in_words(tmp_path: Path) -> None:
    data = packet("18,32.7N", "70,19.9E", 'exif:GPSLatitudeRef="S" exif:GPSLongitudeRef="W"')
    for folder in ("inside", "beside"):
        save(tmp_path / folder / "good.jpg", 1, lat=10.0)
    picture(2).save(tmp_path / "inside" / "a.jpg", xmp=data)
    picture(2).save(tmp_path / "beside" / "a.jpg")
    (tmp_path / "beside" / "a.xmp").write_bytes(data)
    for folder in ("inside", "beside"):
        ingest([tmp_path / folder], tmp_path / f"{folder}.ds", workers=1)
        rejected = (tmp_path / f"{folder}.ds" / "rejected.csv").read_text()
        assert f"{folder}/a.jpg,contradictory gps,\"its XMP says '18,32.7N' and hemisphere 'S'\"" in rejected


SHOWN = "<exif:GPSLatitude>45,0.0N</exif:GPSLatitude><exif:GPSLongitude>7,0.0E</exif:GPSLongitude>"
OWN = "<exif:GPSLatitude>46,0.0N</exif:GPSLatitude><exif:GPSLongitude>8,0.0E</exif:GPSLongitude>"


def described(*properties: str) -> bytes:
    nodes = "".join(each if each.startswith("<rdf:D") else f"<rdf:Description>{each}</rdf:Description>"
                    for each in properties)  # fmt: skip
    more = 'xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:m="http://ns.adobe.com/xap/1.0/mm/"'
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMES} {more}>{nodes}</rdf:RDF></x:xmpmeta>'.encode()


NESTED = [
    f'<e:LocationShown><rdf:Bag><rdf:li rdf:parseType="Resource">{SHOWN}</rdf:li></rdf:Bag></e:LocationShown>',
    '<e:LocationShown><rdf:Bag><rdf:li exif:GPSLatitude="45,0.0N" exif:GPSLongitude="7,0.0E"/></rdf:Bag>'
    "</e:LocationShown>",
    f'<e:LocationCreated rdf:parseType="Resource">{SHOWN}</e:LocationCreated>',
    '<e:LocationCreated exif:GPSLatitude="45,0.0N" exif:GPSLongitude="7,0.0E"/>',
    f"<m:Pantry><rdf:Bag><rdf:li><rdf:Description>{SHOWN}</rdf:Description></rdf:li></rdf:Bag></m:Pantry>",
    '<m:Ingredients><rdf:Bag><rdf:li><rdf:Description exif:GPSLatitude="45,0.0N" exif:GPSLongitude="7,0.0E"/>'
    "</rdf:li></rdf:Bag></m:Ingredients>",
    f'<m:Pantry><rdf:Bag><rdf:li><rdf:RDF><rdf:Description>{SHOWN}</rdf:Description></rdf:RDF></rdf:li></rdf:Bag></m:Pantry>',
    f'<rdf:Description rdf:nodeID="a">{SHOWN}</rdf:Description>',
    f"<m:Thing>{SHOWN}</m:Thing>",
]  # fmt: skip


@pytest.mark.parametrize("nested", NESTED)
def test_only_the_photos_own_position_counts(nested: str) -> None:
    assert xmp.read(described(nested)).lat is None
    for own in (described(nested, OWN), described(OWN, nested)):
        entry = xmp.read(own)
        assert (entry.lat, entry.lng, entry.problem) == (46, 8, "")


@pytest.mark.parametrize(
    ("uri", "written", "place"),
    [
        ("http://www.dji.com/drone-dji/1.0/", {"GpsLatitude": "+22.5", "GpsLongitude": "-114.1"}, (22.5, -114.1)),
        ("http://www.dji.com/drone-dji/1.0/", {"GpsLatitude": "22.5", "GpsLongtitude": "114.1"}, (22.5, 114.1)),
        ("http://www.dji.com/drone-dji/1.0/", {"Latitude": "22.5", "Longitude": "114.1"}, (22.5, 114.1)),
        ("http://www.dji.com/drone-dji/1.0/", {"GpsLatitude": "0.0", "GpsLongitude": "0.0"}, None),
        ("http://www.autelrobotics.com/drone-autel/1.0/", {"GPSLatitude": "2.5", "GPSLongitude": "4.1"}, (2.5, 4.1)),
        ("http://example.org/maker/", {"GPSLatitude": "2.5", "GPSLongitude": "4", "GPSLongitudeRef": "W"}, (2.5, -4)),
        ("http://example.org/maker/", {"Latitude": "2.5", "Longitude": "4.1"}, None),
        ("http://example.org/maker/", {"GPSDestLatitude": "2.5", "GPSDestLongitude": "4.1"}, None),
    ],
)  # fmt: skip
def test_makers_own_positions_come_after_the_photos_own(
    uri: str, written: dict[str, str], place: tuple[float, float] | None
) -> None:
    maker = " ".join(f'd:{name}="{value}"' for name, value in written.items())
    alone = described(f'<rdf:Description xmlns:d="{uri}" {maker}/>')
    entry = xmp.read(alone)
    assert (None if entry.lat is None else (entry.lat, entry.lng)) == place
    assert xmp.read(described(f'<rdf:Description xmlns:d="{uri}" {maker}>{OWN}</rdf:Description>')).lat == 46


def test_a_contradiction_is_not_settled_by_the_maker() -> None:
    maker = '<rdf:Description xmlns:d="http://www.dji.com/drone-dji/1.0/" d:GpsLatitude="1" d:GpsLongitude="2"'
    entry = xmp.read(described(f'{maker} exif:GPSLatitudeRef="S">{OWN}</rdf:Description>'))
    assert entry.lat is None and entry.problem


def profile(data: bytes) -> bytes:
    return f"\nxmp\n{len(data):8d}\n{data.hex()}\n".encode()


def extension(data: bytes, guid: bytes = b"0123456789ABCDEF" * 2, piece: int = 700) -> list[bytes]:
    parts = [(at, data[at : at + piece]) for at in range(0, len(data), piece)]
    heads = [guid + len(data).to_bytes(4, "big") + at.to_bytes(4, "big") for at, _ in parts]
    return [b"http://ns.adobe.com/xmp/extension/\0" + head + part
            for head, (_, part) in zip(heads, parts, strict=True)][::-1]  # fmt: skip


def jpeg(segments: Sequence[bytes]) -> bytes:
    return exif_blocks.jpeg(before=b"".join(exif_blocks.segment(0xE1, each) for each in segments))


HEAD = b"http://ns.adobe.com/xap/1.0/\0"
EMPTY, FULL = described("<m:DocumentID>1</m:DocumentID>"), described(f"<m:DocumentID>{'x' * 2000}</m:DocumentID>{OWN}")
NAMED = described(
    '<rdf:Description xmlns:xmpNote="http://ns.adobe.com/xmp/note/" '
    'xmpNote:HasExtendedXMP="0123456789ABCDEF0123456789ABCDEF"/>'
)
PACKED = {
    "second segment": jpeg([HEAD + EMPTY, HEAD + FULL]),
    "extended": jpeg([*extension(FULL), HEAD + NAMED]),
    "PNG profile, tEXt": exif_blocks.png(exif_blocks.chunk(b"tEXt", b"Raw profile type xmp\0" + profile(FULL))),
    "PNG profile, zTXt": exif_blocks.png(
        exif_blocks.chunk(b"zTXt", b"Raw profile type xmp\0\0" + zlib.compress(profile(FULL)))
    ),
    "PNG profile, iTXt": exif_blocks.png(
        exif_blocks.chunk(b"iTXt", b"Raw profile type xmp\0\1\0\0\0" + zlib.compress(profile(FULL)))
    ),
    "PNG profile APP1": exif_blocks.png(
        exif_blocks.chunk(b"tEXt", b"Raw profile type APP1\0" + profile(HEAD + FULL))
    ),
    "PNG iTXt, compressed": exif_blocks.png(
        exif_blocks.chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(FULL))
    ),
    "PNG, two": exif_blocks.png(
        *(exif_blocks.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0en\0\0" + each) for each in (EMPTY, FULL))
    ),
    "TIFF": exif_blocks.tiff([exif_blocks.entry(700, exif_blocks.UNDEFINED, FULL)]),
    "Exif block": jpeg([b"Exif\0\0II*\0\x08\0\0\0"
                        + exif_blocks.directory([exif_blocks.entry(700, exif_blocks.UNDEFINED, FULL)], 8)]),
}  # fmt: skip


@pytest.mark.parametrize("name", PACKED)
def test_every_packet_of_a_file_counts(name: str) -> None:
    entry = xmp.read_packets(exif.read(PACKED[name]).xmp)
    assert (entry.lat, entry.lng) == (46, 8)


def test_an_extension_that_no_packet_names_is_another_files() -> None:
    assert xmp.read_packets(exif.read(jpeg([HEAD + EMPTY, *extension(FULL)])).xmp).lat is None


def test_many_makers_are_read_once() -> None:
    makers = " ".join(f'xmlns:a{n}="a{n}" a{n}:GPSLatitude="1"' for n in range(60_000))
    started = time.process_time()
    assert xmp.read(described(f"<rdf:Description {makers}>{OWN}</rdf:Description>")).lat == 46
    assert xmp.read(described(f"<rdf:Description {makers}/>")).lat is None
    assert time.process_time() - started < 30  # a second; 60,000 times 60,000 would be half an hour


def test_packets_are_bounded() -> None:
    many = exif.read(jpeg([HEAD + EMPTY] * 100)).xmp
    assert len(many) == 64
    deflated = zlib.compress(b"0" * (64 << 20))
    bomb = exif_blocks.png(exif_blocks.chunk(b"zTXt", b"Raw profile type xmp\0\0" + deflated))
    assert sum(map(len, exif.read(bomb).xmp)) <= 4 << 20


@pytest.mark.parametrize("turned", [False, True])
def test_names_that_differ_in_letter_case_only(turned: bool) -> None:
    def found(*files: str) -> dict[str, str]:
        listed = files[::-1] if turned else files
        return xmp.beside([name for name in listed if name.lower().endswith(".jpg")], listed)

    pair = ("IMG_5.JPG", "IMG_5.jpg")
    assert found(*pair, "IMG_5.JPG.xmp", "IMG_5.jpg.xmp") == {name: f"{name}.xmp" for name in pair}
    both = {"After.jpg": "After.xmp", "after.jpg": "after.xmp"}
    assert found("After.jpg", "after.jpg", "after.xmp", "After.xmp") == both
    assert found(*pair, "IMG_5.JPG.xmp") == {"IMG_5.JPG": "IMG_5.JPG.xmp"}
    assert found("After.jpg", "after.jpg", "after.xmp") == {"after.jpg": "after.xmp"}
    assert found("after.jpg", "After.nef", "After.xmp") == {}  # that of the raw file
    assert found("img_5.jpg", "IMG_5.JPG.XMP") == {"img_5.jpg": "IMG_5.JPG.XMP"}
    assert found("img_5.jpg", "Img_5.jpg.xmp", "IMG_5.jpg.xmp") == {}  # whose is it?
    assert found("a.jpg", "a.JPG.xmp", "a.xmp") == {"a.jpg": "a.xmp"}
    assert found("a.jpg", "a.XMP", "a.xmp") == {"a.jpg": "a.xmp"}


def test_a_photo_given_alone_knows_the_names_beside_it(tmp_path: Path) -> None:
    for name in ("IMG_5.JPG", "IMG_5.jpg", "IMG_5.JPG.xmp"):
        (tmp_path / name).write_bytes(b"x")
    beside = {c.path.name: [Path(b.path).name for b in c.beside]
              for c in registry.find([tmp_path / "IMG_5.jpg", tmp_path / "IMG_5.JPG"]).candidates}  # fmt: skip
    if len({path.name for path in tmp_path.iterdir()}) < 3:
        pytest.skip("this disk ignores letter case")
    assert beside == {"IMG_5.jpg": [], "IMG_5.JPG": ["IMG_5.JPG.xmp"]}


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
