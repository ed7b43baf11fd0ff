"""Whether a converted GeoCLIP answers as its package does: the same pixels, one random tower put into both.

In an environment of its own (pip install geoclip==1.3.0):
    python benchmarks/geoclip_parity.py package WORK PHOTO...      the package's logits; keeps tower and pixels in WORK
In OpenPlaNet's:
    python benchmarks/geoclip_parity.py ours WORK WHEEL            converts the same tower, and compares
    python benchmarks/geoclip_parity.py cities WORK WHEEL          no tower: places of cities in place of photos

Shapes: N photos, P distinct places, D embedding.
"""

import argparse
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

PHOTOS = 50
TOP = 100
CITIES = 200


def package(work: Path, photos: list[Path]) -> None:
    """What the package says of the photos, with CLIP's tower at random."""
    from geoclip import GeoCLIP  # type: ignore[import-not-found]  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    torch.manual_seed(0)
    model = GeoCLIP(clip_pretrained=False).eval()
    with torch.no_grad():
        for name, value in model.image_encoder.CLIP.vision_model.named_parameters():
            if value.ndim > 1 and "embedding" not in name:
                value.mul_(2.0)  # as it is initialised, all photos look alike to it
    work.mkdir(parents=True, exist_ok=True)
    tower = {name: value.contiguous().clone() for name, value in model.image_encoder.CLIP.state_dict().items()}
    save_file(tower, work / "model.safetensors")
    gallery_P2 = torch.unique(model.gps_gallery, dim=0)
    pixels, names = [], []
    for path in photos[:PHOTOS]:
        with Image.open(path) as image:
            pixels.append(model.image_encoder.preprocess_image(image.convert("RGB")))
            names.append(str(path))
    pixels_N3HW = torch.cat(pixels)
    with torch.inference_mode():
        logits_NP = torch.cat([model(some, gallery_P2) for some in pixels_N3HW.split(4)])
    found = {"pixels": pixels_N3HW.numpy(), "logits": logits_NP.numpy(), "gallery": gallery_P2.numpy(), "names": names}
    np.savez(work / "package.npz", **found)  # type: ignore[arg-type]


def ours(work: Path, wheel: Path) -> None:
    """What the checkpoint says of the same pixels, and of the same photos read by itself."""
    from openplanet.inference.predictor import Predictor  # noqa: PLC0415
    from openplanet.models.published import geoclip  # noqa: PLC0415

    checkpoint = geoclip.convert({geoclip.WHEEL: wheel, geoclip.TOWER: work / "model.safetensors"})
    model, found = checkpoint.model, np.load(work / "package.npz")
    head: Any = model.head
    normalised = torch.from_numpy(found["pixels"])
    with torch.inference_mode():
        features = [model.backbone(some) for some in normalised.split(4)]
        embedding_ND = torch.nn.functional.normalize(model.embedding_of(torch.cat(features)), dim=1)
        with zipfile.ZipFile(wheel) as archive:
            encoder = geoclip._weights(archive, "location_encoder")
            lat_N, lng_N = geoclip.read_gallery(archive)
        lat, lng = np.unique(np.stack([lat_N, lng_N], axis=1), axis=0).T
        exact_PD = geoclip.encode_places(encoder, lat, lng)
        exact_NP = (head.log_scale.exp() * embedding_ND @ exact_PD.T).numpy()
        kept_NP = head(embedding_ND)[0].numpy()
        read: list[Any] = [Predictor(checkpoint)._try_pixels(Path(name)) for name in found["names"].tolist()]
        nothing = torch.full((1, embedding_ND.shape[1]), torch.nan)
        seen = [model.embed(each[None]) if isinstance(each, torch.Tensor) else nothing for each in read]
        photo_NP = head(torch.cat(seen))[0].numpy()
    column = {tuple(each): row for row, each in enumerate(found["gallery"].tolist())}
    # some places are one to the package, whose coordinates are float32
    theirs_NP = found["logits"][:, [column[tuple(each)] for each in np.float32(np.stack([lat, lng], axis=1)).tolist()]]
    print(f"{len(theirs_NP)} photos, {theirs_NP.shape[1]:,} places; spread of the logits {theirs_NP.std():.2f}")
    for what, logits_NP in (("float32", exact_NP), ("float16, as kept", kept_NP), ("pixels read by us", photo_NP)):
        right = np.isfinite(logits_NP).all(axis=1)  # ours refuses photos that end early
        logits_NP, told_NP = logits_NP[right], theirs_NP[right]
        order = [[np.argsort(-row, kind="stable")[:TOP] for row in each] for each in (told_NP, logits_NP)]
        alike = np.mean([np.mean(a == b) for a, b in zip(*order, strict=True)])
        shared = np.mean([len(set(a.tolist()) & set(b.tolist())) / TOP for a, b in zip(*order, strict=True)])
        most_N = np.abs(logits_NP - told_NP).max(axis=1)
        middle = np.median(most_N)
        print(f"{what}: {len(told_NP)} photos, logits differ by {most_N.max():.2g} at most, median {middle:.2g}")
        print(f"    top {TOP}: {alike:.1%} at the same rank, {shared:.1%} the same places")


def cities(wheel: Path) -> None:
    """How far the best point lies from a city whose own place is given in place of a photo's embedding."""
    from openplanet.earth import geo, places  # noqa: PLC0415
    from openplanet.inference.prediction import Prediction  # noqa: PLC0415
    from openplanet.models.published import geoclip  # noqa: PLC0415

    with zipfile.ZipFile(wheel) as archive:
        names = ("location_encoder", "logit_scale")
        weights = {name: geoclip._weights(archive, name) for name in names}
        head, (*coarser, cells) = geoclip.gallery(weights, *geoclip.read_gallery(archive))
    _, lat, lng = places.largest((-90, -180, 90, 180), CITIES)
    with torch.inference_mode():
        scores = head.combine(head(geoclip.encode_places(weights["location_encoder"], lat, lng)))
    sizes = ", ".join(f"{len(each):,}" for each in (*coarser, cells))
    print(f"partitions of {sizes} cells; smallest {cells.area_km2.min():.2f} km²")
    for within_km in (1.0, 25.0):
        best = [Prediction(cells, row.numpy()).best_point(within_km) for row in scores]
        far = geo.distance_km(lat, lng, [each.lat for each in best], [each.lng for each in best])
        shares = ", ".join(f"{(far <= km).mean():.1%} within {km} km" for km in (1, 5, 25, 200))
        print(f"best point for {within_km:g} km, {CITIES} largest cities: {shares}; median {np.median(far):.1f} km")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["package", "ours", "cities"])
    parser.add_argument("work", type=Path)
    parser.add_argument("files", nargs="+", type=Path)
    args = parser.parse_args()
    if args.what == "package":
        package(args.work, args.files)
    elif args.what == "ours":
        ours(args.work, args.files[0])
    else:
        cities(args.files[0])


if __name__ == "__main__":
    sys.exit(main())
