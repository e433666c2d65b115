"""Published pictures with texts as LLaVA JSON, for `mars-recipes pictures`.

usage: python pictures.py DOWNLOADS OUT        needs pillow (13.0.0 was used)

First, in DOWNLOADS:
    apt-get download openclipart-svg openclipart-png; for f in *.deb; do dpkg -x $f deb; done     (public domain; 0.18+dfsg-19 was used)
    pip download easy-vqa --no-deps; unzip easy_vqa-1.0-py3-none-any.whl -d easyvqa                (MIT, Victor Zhou)

OUT/clipart/all.json     up to three texts for each picture: its name, its section, its keywords; images/ of 48 x 48 pixels on white
OUT/easyvqa/{train,test}.json     the published questions, images/ as published (64 x 64)
Without one of the two downloads, the other is converted.
"""
import collections, gzip, hashlib, json, re, sys
from pathlib import Path
from PIL import Image

SIDE = 48
NOISE = re.compile(r"clipart by|collection|iconset|theme|openclipart|untitled|http|@|hash|^0x|^\W*$", re.I)
VAGUE = {"hash", "theme", "unsorted", "externalsource", "clip_art", "magick", "special", "icons", "lemon_theme_icon", "miscellany"}


def row(ident, image, question, answer):
    return {"id": ident, "image": image, "conversations": [{"from": "human", "value": "<image>\n" + question}, {"from": "gpt", "value": answer}]}


def write(path, rows):
    path.write_text("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n]\n")


def square(path):
    """The picture on white, its longest side SIDE."""
    im = Image.open(path).convert("RGBA")
    if min(im.size) < 16:
        raise ValueError("too small")
    im.thumbnail((SIDE, SIDE), Image.LANCZOS)
    on = Image.new("RGBA", (SIDE, SIDE), (255, 255, 255, 255))
    on.alpha_composite(im, ((SIDE - im.width) // 2, (SIDE - im.height) // 2))
    return on.convert("RGB")


def words(text):
    return re.sub(r"\s+", " ", re.sub(r"&\w+;|[_\d]+", " ", text)).strip().lower()


def metadata(svg):
    """Title and keywords that the file itself has."""
    raw = svg.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    found = re.search(rb"<rdf:RDF.*?</rdf:RDF>", raw, re.S)
    text = found[0].decode("utf8", "replace") if found else ""
    title = re.search(r"<dc:title[^>]*>([^<]*)</dc:title>", text)
    bag = re.search(r"<dc:subject>(.*?)</dc:subject>", text, re.S)
    keys = [w.lower() for w in re.findall(r"<rdf:li>([^<]*)</rdf:li>", bag[1])] if bag else []
    keys = [words(w) for w in keys if w not in VAGUE and not NOISE.search(w)]
    return title[1] if title else "", [w for w in dict.fromkeys(keys) if 2 < len(w) < 25]


def clipart(downloads, out):
    base, pictures = downloads / "deb/usr/share/openclipart", []
    for svg in sorted((base / "svg").rglob("*.svg*")):
        inside = svg.relative_to(base / "svg")
        stem = inside.name.split(".svg")[0]
        png = base / "png" / inside.parent / (stem + ".png")
        if png.exists():
            title, keys = metadata(svg)
            pictures.append((inside.parent, stem, png, title, keys))
    titles = collections.Counter(p[3] for p in pictures)
    common = collections.Counter(w for p in pictures for w in p[4])
    (out / "images").mkdir(parents=True, exist_ok=True)
    rows, seen = [], set()
    for n, (section, stem, png, title, keys) in enumerate(pictures):
        try:
            image = square(png)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
        digest = hashlib.sha256(image.tobytes()).digest()
        if digest in seen:
            continue
        seen.add(digest)
        # A title of many pictures is that of their collection; then the name of the file says what is shown.
        name = words(title if 3 <= len(title) <= 60 and titles[title] <= 5 and not NOISE.search(title) else stem)
        # From the most frequent keyword to the rarest, so that the order can be learned.
        keys = sorted(keys, key=lambda w: (-common[w], w))[:5]
        # The name without numbers: pictures of a series are told apart by it.
        file = f"{n:04d}_{re.sub(r'[^a-z]+', '-', words(stem))[:40].strip('-')}.png"
        texts = [("name", "What does this picture show?", name if 3 <= len(name) <= 60 else ""),
                 ("section", "Which section is it from?", words(section.parts[0] if section.parts else "").replace("unsorted", "")),
                 ("keywords", "Give keywords for this picture.", ", ".join(keys) if len(keys) >= 2 else "")]
        texts = [t for t in texts if t[2]]
        if texts:
            image.save(out / "images" / file, optimize=True)
            rows += [row(f"clipart-{n:04d}-{kind}", file, q, a) for kind, q, a in texts]
    write(out / "all.json", rows)
    print("clipart", len(rows), "texts of", len(seen), "pictures")


def easyvqa(downloads, out):
    base = downloads / "easyvqa/easy_vqa/data"
    (out / "images").mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        for file in (base / part / "images").glob("*.png"):
            (out / "images" / f"{part}{file.stem}.png").write_bytes(file.read_bytes())
        asked = json.loads((base / part / "questions.json").read_text())
        write(out / f"{part}.json", [row(f"easyvqa-{part}-{i}", f"{part}{k}.png", q[0].upper() + q[1:], a) for i, (q, a, k) in enumerate(asked)])
        print("easyvqa", part, len(asked))


if __name__ == "__main__":
    downloads, out = map(Path, sys.argv[1:])
    if (downloads / "deb/usr/share/openclipart").is_dir():
        clipart(downloads, out / "clipart")
    if (downloads / "easyvqa/easy_vqa").is_dir():
        easyvqa(downloads, out / "easyvqa")
