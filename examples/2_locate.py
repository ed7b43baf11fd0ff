"""Locate photos and write the answers as GeoJSON, in constant memory.

python examples/1_train.py
python examples/2_locate.py
"""

from pathlib import Path

from openplanet import Predictor
from openplanet.inference.finding import Names
from openplanet.inference.output import FORMATS
from openplanet.inference.output.about import About

OUT = Path("example")


def main() -> None:
    photos = sorted((OUT / "planet" / "photos").rglob("*.jpg"))[:8]
    predictor = Predictor.load(OUT / "model")

    for photo, answer in zip(photos, predictor.locate_many(photos), strict=True):
        if answer.prediction is None:  # a file that cannot be read does not stop the others
            print(photo.name, "failed:", answer.error)
            continue
        place, point = answer.prediction.answer(), answer.prediction.best_point(within_km=200)
        print(f"{photo.name}  {place.text}  {point.lat:.3f} {point.lng:.3f}  {point.probability:.0%} within 200 km")

    about = About(Names(photos), top=5, model=predictor.provenance)
    with (OUT / "located.geojson").open("w", encoding="utf-8") as file:
        file.writelines(FORMATS["geojson"](predictor.locate_many(photos), about))
    print(f"{OUT / 'located.geojson'}: for QGIS, or any map that reads GeoJSON")


if __name__ == "__main__":
    main()
