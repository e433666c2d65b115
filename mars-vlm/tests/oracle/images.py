"""Reference for images: small files of every kind that is read, and what Pillow makes of them.

    python mars-vlm/tests/oracle/images.py        (Pillow 13.0.0 with libjpeg-turbo 3.2.0, numpy)

Writes mars-vlm/tests/fixtures/images/: the files, and in expected.json width, height and the SHA-256 of the pixels of
each after `ImageOps.exif_transpose` and `convert("RGB")`, or null where Pillow refuses it.
"""

import hashlib
import io
import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

OUT = Path(__file__).resolve().parents[1] / "fixtures" / "images"
rng = np.random.default_rng(11)


def picture(width, height, channels):
    """Waves with noise, like a photo's."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 110 * np.sin((k + 1) * x / 7 + y / (4 + k)) for k in range(channels)]
    values = np.stack(waves, -1) + rng.normal(0, 9, (height, width, channels))
    return np.clip(values, 0, 255).astype(np.uint8)


def image(mode, width, height):
    channels = {"L": 1, "RGB": 3, "RGBA": 4, "CMYK": 4, "LA": 2}[mode]
    values = picture(width, height, channels)
    return Image.fromarray(values[..., 0] if channels == 1 else values, mode)


def exif(orientation):
    tags = Image.Exif()
    tags[274] = orientation
    return tags.tobytes()


def saved(picture, kind, **options):
    into = io.BytesIO()
    picture.save(into, kind, **options)
    return into.getvalue()


def segment(data, markers):
    """Where the first segment with one of these markers begins."""
    at = 2
    while data[at + 1] not in markers:
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    return at


def jpegs():
    for name, subsampling in [("444", 0), ("422", 1), ("420", 2)]:
        yield f"{name}.jpg", saved(image("RGB", 37, 29), "JPEG", quality=80, subsampling=subsampling)
    data = saved(image("RGB", 35, 51), "JPEG", quality=92, subsampling=2, progressive=True)
    yield "progressive.jpg", data
    data = saved(image("RGB", 40, 33), "JPEG", quality=60, subsampling=2, restart_marker_blocks=2)
    yield "restarts.jpg", data
    yield "grey.jpg", saved(image("L", 21, 18), "JPEG", quality=75)
    yield "turned.jpg", saved(image("RGB", 25, 17), "JPEG", quality=85, exif=exif(6))
    # The blocks of 4:2:2 in another order are those of 4:4:0.
    data = bytearray(saved(image("RGB", 48, 32), "JPEG", quality=85, subsampling=1))
    at = segment(data, (0xC0,))
    data[at + 5:at + 9] = struct.pack(">HH", 59, 21)
    data[at + 11] = 0x12
    yield "440.jpg", bytes(data)
    data = bytearray(saved(image("CMYK", 23, 30), "JPEG", quality=85))
    yield "cmyk.jpg", bytes(data)
    # The same values as YCCK: the transform of Adobe's segment.
    data[segment(data, (0xEE,)) + 15] = 2
    yield "ycck.jpg", bytes(data)
    yield "rgb.jpg", saved(image("RGB", 20, 20), "JPEG", quality=90, keep_rgb=True, subsampling=0)
    data = saved(image("RGB", 64, 64), "JPEG", quality=85)
    yield "cut.jpg", data[: len(data) // 2]
    yield "no_end.jpg", data[:-2]
    # Cut, but ended: Pillow fills it up with grey.
    yield "ended_early.jpg", data[: len(data) // 2] + b"\xff\xd9"


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_of(width, height, kind, depth, rows, more=b""):
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def noise(width, height, bits):
    stride = (width * bits + 7) // 8
    return b"".join(b"\0" + rng.integers(0, 256, stride, dtype=np.uint8).tobytes() for _ in range(height))


def pngs():
    whole = saved(image("RGB", 19, 14), "PNG")
    yield "no_end.png", whole[:-12]
    yield "no_sum.png", whole[:-16]
    yield "half.png", whole[: len(whole) // 2]
    for name, kind, depth, channels in [("grey16", 0, 16, 1), ("rgb16", 2, 16, 3), ("alpha16", 6, 16, 4),
                                        ("grey_alpha16", 4, 16, 2), ("bits1", 0, 1, 1), ("bits2", 0, 2, 1),
                                        ("bits4", 0, 4, 1)]:
        yield f"{name}.png", png_of(9, 7, kind, depth, noise(9, 7, depth * channels))
    palette = image("RGB", 16, 16).quantize(7)
    yield "palette.png", saved(palette, "PNG", transparency=2)
    yield "palette_alpha.png", saved(palette, "PNG", transparency=bytes([0, 128, 255]))
    yield "grey_alpha.png", saved(image("LA", 8, 9), "PNG")
    yield "alpha.png", saved(image("RGBA", 8, 9), "PNG")
    yield "turned.png", saved(image("RGB", 12, 5), "PNG", exif=exif(8))


def gifs():
    palette = image("RGB", 18, 13).quantize(9)
    yield "plain.gif", saved(palette, "GIF")
    # The name does not count.
    yield "gif_named.png", saved(palette, "GIF", interlace=1)
    frames = [image("RGB", 18, 13).quantize(5) for _ in range(2)]
    yield "frames.gif", saved(palette, "GIF", save_all=True, append_images=frames, duration=50)
    data = bytearray(saved(palette, "GIF", transparency=3))
    data[6:10] = struct.pack("<HH", 30, 20)
    yield "canvas.gif", bytes(data)
    data[6:10] = struct.pack("<HH", 5, 5)
    yield "beyond.gif", bytes(data)
    yield "grey.gif", saved(image("L", 7, 7), "GIF")
    yield "cut.gif", saved(palette, "GIF")[:-40]


def bmps():
    yield "colour.bmp", saved(image("RGB", 11, 6), "BMP")
    yield "alpha.bmp", saved(image("RGBA", 5, 6), "BMP")
    yield "palette.bmp", saved(image("RGB", 11, 6).quantize(5), "BMP")
    yield "bits.bmp", saved(image("L", 13, 4).convert("1"), "BMP")
    for name, coding, masks in [("short", 0, b""), ("short565", 3, struct.pack("<III", 0xF800, 0x7E0, 0x1F))]:
        pixels = rng.integers(0, 256, 4 * 12, dtype=np.uint8).tobytes()
        head = struct.pack("<IiiHHIIiiII", 40, 5, -4, 1, 16, coding, len(pixels), 0, 0, 0, 0)
        start = 54 + len(masks)
        yield f"{name}.bmp", (b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + head + masks
                              + pixels)
    runs = bytes([3, 5, 0, 3, 1, 2, 3, 0, 0, 0, 2, 9, 4, 7, 0, 0, 6, 200, 0, 1])
    colours = rng.integers(0, 256, 1024, dtype=np.uint8).tobytes()
    head = struct.pack("<IiiHHIIiiII", 40, 6, 3, 1, 8, 1, len(runs), 0, 0, 256, 0)
    yield "runs.bmp", b"BM" + struct.pack("<IHHI", 1078 + len(runs), 0, 0, 1078) + head + colours + runs


def tiffs():
    for mode in ["L", "RGB", "RGBA", "CMYK"]:
        for coding in [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"]:
            options = {"compression": coding} if coding else {}
            yield f"{mode}_{coding}.tif".lower(), saved(image(mode, 10, 7), "TIFF", **options)
    yield "palette.tif", saved(image("RGB", 10, 7).quantize(6), "TIFF", compression="tiff_lzw")
    yield "bits.tif", saved(image("L", 21, 7).convert("1"), "TIFF", compression="group4")
    deep = Image.fromarray(rng.integers(0, 400, (6, 9)).astype(np.uint16))
    yield "grey16.tif", saved(deep, "TIFF", compression="tiff_lzw")
    yield "strips.tif", saved(image("RGB", 10, 17), "TIFF", compression="tiff_lzw", tiffinfo={278: 4, 317: 2})
    yield "turned.tif", saved(image("RGB", 10, 7), "TIFF", compression="tiff_lzw", tiffinfo={274: 5})


def pnms():
    for kind, most in [(1, 1), (2, 255), (2, 7), (3, 100), (4, 1), (5, 255), (5, 1000), (5, 65535), (6, 255), (6, 31)]:
        channels = 3 if kind in (3, 6) else 1
        values = rng.integers(0, most + 1, 9 * 5 * channels)
        head = f"P{kind}\n# nine by five\n9 5\n" + ("" if kind in (1, 4) else f"{most}\n")
        if kind <= 3:
            body = " ".join(map(str, values)).encode() + b"\n"
        elif kind == 4:
            body = rng.integers(0, 256, 2 * 5, dtype=np.uint8).tobytes()
        else:
            body = values.astype(">u2" if most > 255 else "u1").tobytes()
        yield f"p{kind}_{most}.pnm", head.encode() + body


def webps():
    for name, mode, options in [("lossless", "RGB", {"lossless": True}), ("lossy", "RGB", {"quality": 60}),
                                ("alpha", "RGBA", {"quality": 70})]:
        yield f"{name}.webp", saved(image(mode, 33, 21), "WEBP", **options)
    frames = [image("RGB", 33, 21)]
    yield "frames.webp", saved(image("RGB", 33, 21), "WEBP", save_all=True, append_images=frames)


def xmps():
    """Orientation in XMP, alone and beside that of EXIF data."""
    picture = image("RGB", 10, 7)
    attribute = '<rdf:Description tiff:Orientation="{}"/>'.format
    element = "<tiff:Orientation>{}</tiff:Orientation>".format

    def jpeg(text, **options):
        return saved(picture, "JPEG", quality=85, xmp=text.encode(), **options)

    def png(text, add=PngInfo.add_itxt, packed=False, **options):
        info = PngInfo()
        add(info, "XML:com.adobe.xmp", text, zip=packed)
        return saved(picture, "PNG", pnginfo=info, **options)

    def webp(text, **options):
        return saved(picture, "WEBP", lossless=True, xmp=text.encode(), **options)

    def tiff(text, tags=(), **options):
        return saved(picture, "TIFF", tiffinfo={700: text.encode(), **dict(tags)}, **options)

    yield "xmp.jpg", jpeg(attribute(6))
    yield "xmp_element.jpg", jpeg(element(5))
    yield "xmp_none.jpg", jpeg(attribute(""))
    yield "xmp_0.jpg", jpeg(attribute(0))
    yield "xmp_9.jpg", jpeg(element(9))
    # EXIF data win wherever they have the tag.
    yield "xmp_exif.jpg", jpeg(attribute(6), exif=exif(3))
    yield "xmp_exif_0.jpg", jpeg(attribute(6), exif=exif(0))
    others = Image.Exif()
    others[271] = "a camera"
    yield "xmp_exif_others.jpg", jpeg(attribute(6), exif=others.tobytes())
    yield "xmp.png", png(attribute(6))
    yield "xmp_element.png", png(element(8), packed=True)
    yield "xmp_text.png", png(attribute(7), add=PngInfo.add_text)
    yield "xmp_packed_text.png", png(element(2), add=PngInfo.add_text, packed=True)
    yield "xmp_exif.png", png(attribute(6), exif=exif(9))
    yield "xmp.webp", webp(attribute(6))
    yield "xmp_element.webp", webp(element(8))
    yield "xmp_exif.webp", webp(attribute(6), exif=exif(1))
    # Without its flag in the header a chunk does not count.
    for name, data, flag in [("xmp", webp(attribute(6)), 4), ("exif", webp("", exif=exif(6)), 8)]:
        data = bytearray(data)
        data[20] &= ~flag
        yield f"{name}_no_flag.webp", bytes(data)
    yield "xmp.tif", tiff(attribute(6), compression="tiff_lzw")
    yield "xmp_element.tif", tiff(element(3))
    yield "xmp_tag.tif", tiff(attribute(6), [(274, 2)])


def png_texts():
    """EXIF data in texts of PNG, and texts and chunks that do not count."""
    picture = image("RGB", 6, 5)
    xmp, raw = b"XML:com.adobe.xmp", b"Raw profile type exif"
    attribute = b'<rdf:Description tiff:Orientation="%d"/>'
    others = Image.Exif()
    others[271] = "a camera"
    others = others.tobytes()

    def text(keyword, body):
        return chunk(b"tEXt", keyword + b"\0" + body)

    def packed(keyword, body, cut=None):
        return chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(body)[:cut])

    def international(keyword, body, flags=b"\0\0"):
        return chunk(b"iTXt", keyword + b"\0" + flags + b"en\0\0" + body)

    def profile(data):
        digits = data.hex()
        lines = [digits[k:k + 72] for k in range(0, len(digits), 72)]
        return f"\nexif\n{len(data):8}\n{chr(10).join(lines)}\n".encode()

    def png(*chunks, animation=False, before="IEND"):
        """The chunks before the first one of that name, or behind all."""
        options = {"save_all": True, "append_images": [picture.rotate(180)]} if animation else {}
        data = saved(picture, "PNG", **options)
        at = data.index(before.encode()) - 4 if before else len(data)
        return data[:at] + b"".join(chunks) + data[at:]

    yield "exif_text.png", png(text(raw, profile(exif(6))))
    yield "exif_packed_text.png", png(packed(raw, profile(exif(8))))
    yield "exif_international.png", png(international(raw, zlib.compress(profile(exif(5))), b"\1\0"))
    yield "exif_text_others.png", png(text(raw, profile(others)), international(xmp, attribute % 6))
    yield "exif_text_xmp.png", png(text(raw, profile(exif(3))), international(xmp, attribute % 6))
    yield "exif_chunk_text.png", png(chunk(b"eXIf", others[6:]), text(raw, profile(exif(6))))
    yield "exif_chunks.png", png(chunk(b"eXIf", exif(6)[6:]), chunk(b"eXIf", exif(3)[6:]))
    yield "exif_behind_end.png", png(chunk(b"eXIf", exif(6)[6:]), before=None)
    yield "exif_frame_1.png", png(chunk(b"eXIf", exif(6)[6:]), animation=True, before="IDAT")
    yield "exif_frame_2.png", png(chunk(b"eXIf", exif(6)[6:]), animation=True, before="fdAT")
    # Of texts that cannot be read, or are empty, those of some kinds hide the one before.
    yield "xmp_short.png", png(text(xmp, attribute % 6), chunk(b"iTXt", xmp + b"\0\0"))
    yield "xmp_empty.png", png(international(xmp, attribute % 6), text(xmp, b""))
    yield "xmp_emptied.png", png(text(xmp, attribute % 6), text(xmp, b""))
    yield "xmp_corrupt.png", png(text(xmp, attribute % 6), international(xmp, b"corrupt", b"\1\0"))
    yield "xmp_corrupt_text.png", png(text(xmp, attribute % 6), chunk(b"zTXt", xmp + b"\0\0corrupt"))
    yield "xmp_cut_text.png", png(packed(xmp, attribute % 6, -5))
    yield "xmp_no_text.png", png(text(xmp, attribute % 6), chunk(b"tEXt", xmp))


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    expected = {}
    for kinds in [jpegs, pngs, gifs, bmps, tiffs, pnms, webps, xmps, png_texts]:
        for name, data in kinds():
            (OUT / name).write_bytes(data)
            try:
                upright = ImageOps.exif_transpose(Image.open(OUT / name)).convert("RGB")
                digest = hashlib.sha256(upright.tobytes()).hexdigest()
                expected[name] = {"width": upright.width, "height": upright.height, "sha256": digest}
            except (OSError, SyntaxError, ValueError):
                expected[name] = None
    (OUT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


main()
