"""The picture of tools/sampling_table.py: distance over seconds, both logarithmic, as SVG. Needs nothing but Python."""
import math

from svg_chart import COLOURS, HEIGHT, LEFT, TOP, Frame, escape


def family(name):
    """"unipc, 5 steps, fitted grid" -> "unipc, fitted grid": what is joined by a line."""
    parts = [part.strip() for part in name.split(",")]
    return ", ".join(part for part in parts if "step" not in part and not part[0].isdigit() and "rtol" not in part)


def draw(rows, path, title, within=1.02, faster=16):
    """rows: (name, distance, seconds, is_reference). The tinted corner is where the reference's distance is reached `within`
    that factor in `faster` times less time. Points more than three times the reference's distance stay out, said below."""
    reference = next((row for row in rows if row[3]), None)
    most = 3 * reference[1] if reference else math.inf
    shown, left_out = [row for row in rows if row[1] <= most], [row for row in rows if row[1] > most]
    frame = Frame([row[2] for row in shown], [row[1] for row in shown], title, .06, .03)
    x_of, y_of, out, bottom, right = frame.x_of, frame.y_of, frame.out, frame.bottom, frame.right
    if reference:
        edge, line = min(max(x_of(reference[2] / faster), LEFT), right), min(max(y_of(reference[1] * within), TOP), bottom)
        out.append(f'<rect x="{LEFT}" y="{line:.1f}" width="{edge - LEFT:.1f}" height="{bottom - line:.1f}" fill="#e8f4e8"/>')
        out.append(f'<text x="{LEFT}" y="38" fill="#3a7a3a">tinted: at most {within:g} times the distance of dopri5 in 1/{faster} of its time</text>')
    frame.lines()
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
    frame.names("seconds of drawing", "distance")
    if left_out:
        names = "; ".join(f"{row[0]} ({row[1]:.1f})" for row in left_out)
        out.append(f'<text x="{LEFT}" y="{HEIGHT - 4}" font-size="9" fill="#666">above: {escape(names)}</text>')
    frame.write(path)
