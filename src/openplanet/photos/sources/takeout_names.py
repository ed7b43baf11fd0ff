"""Which JSON of a Google Takeout belongs to which photo, by their names and by the title that the JSON tells.

``a.jpg.json`` (until 2024) or ``a.jpg.supplemental-metadata.json``; both are cut so that the name without ``.json`` has
46 UTF-16 code units. The number of a repeated name moves: ``a(1).jpg`` has ``a.jpg(1).json`` or
``a.jpg.supplemental-metadata(1).json``. An edited copy (``a-edited.jpg``) has none and shares that of ``a.jpg``.
"""

import html
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from openplanet.photos.files.images import SUFFIXES

MAX_NAME = 46  # UTF-16 code units before ".json"; with it 51
MAX_STEM = 47  # of a photo's name before ".jpg", which Takeout cuts likewise
SUPPLEMENT = ".supplemental-metadata"
# What Takeout puts behind the name of a copy edited in Google Photos, in its languages.
EDITED = (
    "-edited", "-effects", "-smile", "-mix", "-bearbeitet", "-ha editado", "-editado", "-editada", "-editat",
    "-modifié", "-modificato", "-bewerkt", "-redigerad", "-redigeret", "-redigert", "-edytowane", "-muokattu",
    "-upraveno", "-upravené", "-szerkesztett", "-szerkesztve", "-düzenlendi", "-urejeno", "-uređeno", "-redaguota",
    "-rediģēts", "-muudetud", "-изменено", "-отредактировано", "-відредаговано", "-редактирано", "-измењено",
    "-επεξεργασμένο", "-編集済み", "-已修改", "-已编辑", "-已編輯", "-편집됨", "-수정됨", "-diedit", "-telah diedit",
    "-đã chỉnh sửa", "-แก้ไขแล้ว", "-נערך", "-تم التعديل", "-संपादित", "-breytt",
)  # fmt: skip
_HALVES = ("\ufffd", *map(chr, range(0xD800, 0xE000)))  # what a sign cut in half leaves
_NUMBER = re.compile(r"\((\d{1,4})\)$")
_MEDIA = re.compile(
    r"\.(jpe?g|png|hei[cf]|webp|gif|tiff?|avif|bmp|dng|cr[23]|nef|arw|orf|rw2|raf|mp4?|mov|m4v|3gp|avi|mkv)$", re.I
)
_PHOTOS = (
    "photos?|fotos?|foto_s|foto['’]s|fotky|fotografie|fotografii|fotografije|fotók|fényképek|fotoğraflar|"
    "фото|фотографии|фотографії|снимки|φωτογραφίες|zdjęcia|bilder|billeder|valokuvat|kuvat|myndir|slike|fotod|"
    "fotoattēli|nuotraukos|ảnh|写真|照片|相片|사진|ภาพถ่าย|รูปภาพ|תמונות|صور|तस्वीरें"
)
_LINKS = (
    "from|of|von|vom|aus|de|del|dal|da|di|des|van|uit|z|ze|z roku|från|fra|vuodelta|vuodesta|din|iz|из|за|от|від|од|"
    "từ|từ năm|năm|dari|dari tahun|tahun|από|από το|του|yılından|yılına ait|no|iš|aastast|frá|จาก|จากปี|מ|מ-|מאת|من|"
    "years?|roku|г|год|года|рік|року|年|年の|年的|년|년의|-es|-as|-os|se|की"
)
_YEAR_FOLDER = re.compile(
    rf"(?:{_PHOTOS})\s*(?:{_LINKS})?\s*\d{{4}}\s*(?:{_LINKS})?\.?"
    rf"|\d{{4}}\s*(?:{_LINKS})?\s*(?:{_PHOTOS})\s*(?:{_LINKS})?",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Told:
    """A JSON that may belong to a photo; ``titled``: only where its title names the photo."""

    file: str
    titled: bool = False


def is_year_folder(name: str) -> bool:
    """Whether Takeout made the folder: it holds every photo of a year, the albums' ones once more."""
    return _YEAR_FOLDER.fullmatch(_nfc(name).strip()) is not None


def beside(photos: Sequence[str], files: Iterable[str]) -> dict[str, tuple[Told, ...]]:
    """Photo → the JSON files that may be its, the likeliest first, of names in one folder; photos without one are
    left out.

    The exact name wins. Names that agree but for letter case count where the JSON is no other photo's by its
    exact name and nothing else agrees so.
    """
    exact, folded = _Index(), _Index()
    for file in sorted(files):
        if file.lower().endswith(".json"):
            exact.add(_nfc(file), file)
            folded.add(_fold(file), file)
    if not exact.full:
        return {}
    there = {_nfc(photo) for photo in photos}
    alike = Counter(map(_fold, photos))
    found: dict[str, tuple[Told, ...]] = {}
    for photo in photos:
        if told := _candidates(_nfc(photo), exact, there):
            found[photo] = told
    # an edited copy shares the JSON of its photo and takes it from nobody
    claimed = {told[0].file for photo, told in found.items() if not _is_edited(_nfc(photo))}
    for photo in photos:
        if photo not in found and alike[_fold(photo)] == 1:
            told = _candidates(_fold(photo), folded, {_fold(name) for name in there})
            if not _is_edited(_fold(photo)):
                told = tuple(each for each in told if each.file not in claimed)
            if told:
                found[photo] = told
    return found


def names_photo(title: str | None, photo: str) -> bool | None:
    """Whether a JSON's ``title`` names the file ``photo``; None where it names no file at all.

    Takeout replaces signs that file systems refuse, cuts long names and converts formats: letters and digits count,
    from the start, without the suffix.
    """
    title = html.unescape(title or "").strip()
    match = _MEDIA.search(title)
    if match is None:
        return None
    wholes = {_letters(title[: match.start()]), _letters(title)}
    if "" in wholes:  # emoji alone
        return None
    for stem in _stems(PurePath(_nfc(photo)).stem):
        if (letters := _letters(stem)) in wholes:
            return True
        if letters and _units(stem) >= MAX_NAME - 1 and any(whole.startswith(letters) for whole in wholes):
            return True
    return False


@dataclass
class _Index:
    """JSON files by (name, number) and by name: ``bare`` are those of a photo named without its suffix."""

    full: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    bare: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    by_name: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, name: str, file: str) -> None:
        whole = name[: -len(".json")]
        if whole.endswith(_HALVES):
            whole = whole.rstrip("".join(_HALVES))
        base, number = _numbered(whole)
        self.full[base, number].append(file)
        self.by_name[base].append(file)
        if number:
            self.full[whole, ""].append(file)
        start = base.rfind(".")
        if start > 0 and SUPPLEMENT.startswith(base[start:].casefold()):  # cut anywhere, also behind its point
            self.full[base[:start], number].append(file)
            if base[start:] != ".":
                self.bare[base[:start], number].append(file)


def _candidates(photo: str, index: _Index, there: set[str]) -> tuple[Told, ...]:
    """The JSON files that may be the photo's; ``there``: the photos of the folder, written as ``photo`` is."""
    path = PurePath(photo)
    ways: list[tuple[str, str, Sequence[str]]] = [(*_numbered(path.stem), (path.suffix,))]
    # an edited copy of a HEIC is a JPEG
    others = (path.suffix, *sorted({form for each in SUFFIXES for form in (each, each.upper())} - {path.suffix}))
    ways += [(name, number, others) for name, number in _unedited(path, there)]
    for name, number, suffixes in ways:
        for suffix in suffixes:
            if told := _of_name(name, number, suffix, index):
                return told
    return ()


def _of_name(name: str, number: str, suffix: str, index: _Index) -> tuple[Told, ...]:
    # The number is Takeout's own, or the photo had it before: 'Holiday (38).JPG'; or it stands on both sides.
    fulls = dict.fromkeys([(name + suffix, number), (f"{name}{number}{suffix}", "")])
    keys = [key for full, after in fulls for key in ((full, after), *((cut, after) for cut in _cuts(full)))]
    files = next((index.full[key] for key in keys if key in index.full), None)
    if files is None and (name, number) in index.bare:
        files = index.bare[name, number]
    if files is None and number:
        files = index.full.get((f"{name}{number}{suffix}", number))
    told = [Told(file, titled=len(files or ()) > 1) for file in files or ()]
    if _units(name + suffix) > MAX_NAME:  # long names that begin alike: only their titles tell their JSON apart
        more = (file for full, _ in fulls for cut in _cuts(full) for file in index.by_name.get(cut, ()))
        told += [Told(file, titled=True) for file in dict.fromkeys(more) if file not in (files or ())]
    return tuple(told)


def _unedited(photo: PurePath, there: set[str]) -> Iterator[tuple[str, str]]:
    """(name, number) of the photos of which ``photo`` may be an edited copy."""
    stem, after = _numbered(photo.stem)
    for whole in _stripped(stem):
        name, before = _numbered(whole)
        yield name, before or after
        # the number can be that of the copy; not where a photo has it
        if after and not before and f"{name}{after}{photo.suffix}" not in there:
            yield name, ""


def _is_edited(photo: str) -> bool:
    return next(_stripped(_numbered(PurePath(photo).stem)[0]), None) is not None


def _stripped(stem: str) -> Iterator[str]:
    """``stem`` without the mark of an edited copy, which can be cut where the name is long."""
    low = stem.casefold()
    for mark in _MARKS:
        if low.endswith(mark):
            yield stem[: -len(mark)]
    rest = low[low.rfind("-") :]
    if _units(stem) >= MAX_STEM - 1 and stem.rfind("-") > 0 and any(mark.startswith(rest) for mark in _MARKS):
        yield stem[: stem.rfind("-")]


def _stems(stem: str) -> Iterator[str]:
    """The photo's name, and what it may have been before Takeout numbered and marked it."""
    name = _numbered(stem)[0]
    yield from (stem, name)
    for whole in _stripped(name):
        yield from (whole, _numbered(whole)[0])


def _cuts(name: str) -> list[str]:
    """What 46 units leave of a name with its supplement; a sign cut in half goes or is replaced."""
    data = (name + SUPPLEMENT).encode("utf-16-le", "surrogatepass")
    if len(data) <= 2 * MAX_NAME:
        return []
    cut = data[: 2 * MAX_NAME].decode("utf-16-le", "ignore")
    return [cut] if _units(cut) == MAX_NAME else [cut, f"{cut}?", f"{cut}_"]


def _units(name: str) -> int:
    return len(name.encode("utf-16-le", "surrogatepass")) // 2


def _numbered(name: str) -> tuple[str, str]:
    match = _NUMBER.search(name)
    return (name[: match.start()], match[0]) if match else (name, "")


def _letters(name: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFKC", name).casefold() if each.isalnum())


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _fold(name: str) -> str:
    return _nfc(_nfc(name).casefold())


_MARKS = tuple(_fold(mark) for mark in EDITED)
