"""The picture of tools/sampling_table.py: distance over seconds, both logarithmic, as SVG. Needs nothing but Python."""
import math

COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 885, 470, 64, 260, 48, 52
TICKS = [m * 10.0**e for e in range(-3, 5) for m in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8)]


def family(name):
    """"unipc, 5 steps, fitted grid" -> "unipc, fitted grid": what is joined by a line."""
    parts = [part.strip() for part in name.split(",")]
    return ", ".join(part for part in parts if "step" not in part and not part[0].isdigit() and "rtol" not in part)


def ticks(low, high, most):
    found = [tick for tick in TICKS if low <= tick <= high]
    while len(found) > most:
        found = found[::2]
    return found


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


def draw(rows, path, title, within=1.02, faster=16):
    """rows: (name, distance, seconds, is_reference). The tinted corner is where the reference's distance is reached `within`
    that factor in `faster` times less time. Points more than three times the reference's distance stay out, said below."""
    reference = next((row for row in rows if row[3]), None)
    most = 3 * reference[1] if reference else math.inf
    shown, left_out = [row for row in rows if row[1] <= most], [row for row in rows if row[1] > most]
    xs, ys = [math.log10(row[2]) for row in shown], [math.log10(row[1]) for row in shown]
    x0, x1, y0, y1 = min(xs) - .06, max(xs) + .06, min(ys) - .03, max(ys) + .03
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT

    def x_of(seconds):
        return LEFT + (math.log10(seconds) - x0) / (x1 - x0) * (right - LEFT)

    def y_of(distance):
        return TOP + (y1 - math.log10(distance)) / (y1 - y0) * (bottom - TOP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="DejaVu Sans, Verdana, sans-serif" font-size="11">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="13">{escape(title)}</text>']
    if reference:
        edge, line = min(max(x_of(reference[2] / faster), LEFT), right), min(max(y_of(reference[1] * within), TOP), bottom)
        out.append(f'<rect x="{LEFT}" y="{line:.1f}" width="{edge - LEFT:.1f}" height="{bottom - line:.1f}" fill="#e8f4e8"/>')
        out.append(f'<text x="{LEFT}" y="38" fill="#3a7a3a">tinted: at most {within:g} times the distance of dopri5 in 1/{faster} of its time</text>')
    for tick in ticks(10**x0, 10**x1, 9):
        out.append(f'<line x1="{x_of(tick):.1f}" y1="{TOP}" x2="{x_of(tick):.1f}" y2="{bottom}" stroke="#ddd"/>')
        out.append(f'<text x="{x_of(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
    for tick in ticks(10**y0, 10**y1, 9):
        out.append(f'<line x1="{LEFT}" y1="{y_of(tick):.1f}" x2="{right}" y2="{y_of(tick):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y_of(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    kinds = list(dict.fromkeys(family(row[0]) for row in shown))
    for i, kind in enumerate(kinds):
        colour, dashes = COLOURS[i % len(COLOURS)], "" if i < len(COLOURS) else ' stroke-dasharray="4 3"'
        points = sorted((x_of(row[2]), y_of(row[1]), row) for row in shown if family(row[0]) == kind)
        if len(points) > 1:
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
            out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" opacity="0.45"{dashes}/>')
        for x, y, row in points:
            told = f"<title>{escape(row[0])}: {row[1]:.3f}, {row[2]:.2f} s</title>"
            if row[3]:
                out.append(f'<path d="M{x:.1f} {y - 7:.1f} l6 12 h-12 z" fill="{colour}">{told}</path>')
            elif i < len(COLOURS):
                out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}">{told}</circle>')
            else:
                out.append(f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7" fill="{colour}">{told}</rect>')
        y = TOP + 8 + 18 * i
        mark = (f'<circle cx="{right + 16}" cy="{y}" r="4" fill="{colour}"/>' if i < len(COLOURS)
                else f'<rect x="{right + 12.5}" y="{y - 3.5}" width="7" height="7" fill="{colour}"/>')
        out.append(mark + f'<text x="{right + 26}" y="{y + 4}" font-size="10">{escape(kind)}</text>')
    out.append(f'<text x="{(LEFT + right) / 2:.0f}" y="{bottom + 34}" text-anchor="middle">seconds of drawing (logarithmic)</text>')
    out.append(f'<text x="16" y="{(TOP + bottom) / 2:.0f}" text-anchor="middle" transform="rotate(-90 16 {(TOP + bottom) / 2:.0f})">distance (logarithmic)</text>')
    if left_out:
        names = "; ".join(f"{row[0]} ({row[1]:.1f})" for row in left_out)
        out.append(f'<text x="{LEFT}" y="{HEIGHT - 4}" font-size="9" fill="#666">above: {escape(names)}</text>')
    with open(path, "w") as file:
        file.write("\n".join(out + ["</svg>"]) + "\n")
