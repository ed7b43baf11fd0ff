"""Pictures that are no photos, drawn: screenshots, documents, clip art; for measuring the rules of flags.py."""

import io

import numpy as np
from PIL import Image, ImageDraw

SCREENS = ((1080, 2400), (1170, 2532), (1920, 1080), (1440, 900))


def encoded(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """As it would be found: a PNG, or a JPEG of some quality."""
    if rng.random() < 0.5:
        return image
    out = io.BytesIO()
    image.save(out, "JPEG", quality=int(rng.integers(70, 95)))
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB")


def screenshot(rng: np.random.Generator) -> Image.Image:
    """Bars, lists, cards and some pictures in them, light or dark, of the size of a screen."""
    size = SCREENS[rng.integers(len(SCREENS))]
    dark = rng.random() < 0.4
    paper, ink = ((18, 18, 20), (230, 230, 230)) if dark else ((250, 250, 252), (30, 30, 30))
    image = Image.new("RGB", size, paper)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, size[0], size[1] // 16), tuple(int(c) for c in rng.integers(0, 256, 3)))
    y = size[1] // 14
    while y < size[1] - 60:
        height = int(rng.integers(40, 260))
        if rng.random() < 0.2:
            noise = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            photo = Image.fromarray(noise).resize((size[0] // 2, height), Image.Resampling.BICUBIC)
            image.paste(photo, (size[0] // 8, y))
        else:
            for line in range(0, height, 28):
                width = int(rng.integers(size[0] // 5, size[0] * 4 // 5))
                for x in range(40, width, 14):
                    if rng.random() < 0.85:
                        draw.rectangle((x, y + line, x + 9, y + line + 14), ink)
        y += height + int(rng.integers(20, 80))
    return encoded(image, rng)


def document(rng: np.random.Generator) -> Image.Image:
    """A scanned page: off-white with a little noise and shade, lines of dark marks."""
    width = int(rng.integers(1200, 2000))
    size = (width, int(width * 1.414))
    level = rng.integers(215, 250)
    paper = np.full((size[1], size[0]), level, np.float32) + rng.normal(0, 2.5, (size[1], size[0]))
    paper += np.linspace(0, rng.uniform(-12, 12), size[0])[None, :]
    image = Image.fromarray(np.clip(paper, 0, 255).astype(np.uint8)).convert("RGB")
    draw = ImageDraw.Draw(image)
    step = int(rng.integers(30, 60))
    for y in range(size[1] // 12, size[1] * 11 // 12, step):
        x = width // 10
        end = int(width * rng.uniform(0.5, 0.9))
        while x < end:
            word = int(rng.integers(30, 150))
            for letter in range(x, min(x + word, end), step // 3):
                draw.rectangle((letter, y, letter + step // 6, y + step // 3), (40, 40, 45))
            x += word + step // 2
    return encoded(image, rng)


def clip_art(rng: np.random.Generator) -> Image.Image:
    """Flat shapes in few colours."""
    size = (int(rng.integers(300, 1500)), int(rng.integers(300, 1500)))
    colours = [tuple(int(c) for c in rng.integers(0, 256, 3)) for _ in range(int(rng.integers(2, 8)))]
    image = Image.new("RGB", size, colours[0])
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(3, 14))):
        x, y = int(rng.integers(0, size[0])), int(rng.integers(0, size[1]))
        box = (x, y, x + int(rng.integers(20, 500)), y + int(rng.integers(20, 500)))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)(box, colours[rng.integers(len(colours))])
    return encoded(image, rng)


DRAWN = {"screenshot": screenshot, "document": document, "clip art": clip_art}
