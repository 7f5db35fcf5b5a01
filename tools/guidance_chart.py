"""The picture of tools/condition_sources.py: distance over guidance, a line for each source with its seeds' range, as SVG. Needs nothing but Python."""
import math
import statistics

from sampling_chart import BOTTOM, COLOURS, HEIGHT, LEFT, RIGHT, TOP, WIDTH, escape, ticks


def draw(series, path, title):
    """series: name -> {guidance: distances of the seeds}. Both axes logarithmic; a single guidance is a line across."""
    strengths = sorted({w for points in series.values() for w in points})
    every = [d for points in series.values() for seeds in points.values() for d in seeds]
    x0, x1 = math.log(strengths[0]) - .04, math.log(strengths[-1]) + .04
    y0, y1 = math.log10(min(every)) - .02, math.log10(max(every)) + .02
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT

    def x_of(w):
        return LEFT + (math.log(w) - x0) / (x1 - x0) * (right - LEFT)

    def y_of(distance):
        return TOP + (y1 - math.log10(distance)) / (y1 - y0) * (bottom - TOP)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="DejaVu Sans, Verdana, sans-serif" font-size="11">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="13">{escape(title)}</text>']
    for w in strengths:
        out.append(f'<line x1="{x_of(w):.1f}" y1="{TOP}" x2="{x_of(w):.1f}" y2="{bottom}" stroke="#ddd"/>')
        out.append(f'<text x="{x_of(w):.1f}" y="{bottom + 16}" text-anchor="middle">{w:g}</text>')
    for tick in ticks(10**y0, 10**y1, 9):
        out.append(f'<line x1="{LEFT}" y1="{y_of(tick):.1f}" x2="{right}" y2="{y_of(tick):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{y_of(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for i, (name, points) in enumerate(series.items()):
        colour, means = COLOURS[i], {w: statistics.fmean(seeds) for w, seeds in sorted(points.items())}
        places = [(x_of(w), y_of(d)) for w, d in means.items()]
        if len(places) == 1:
            places = [(LEFT, places[0][1]), (right, places[0][1])]
        out.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        for w, seeds in points.items():
            x = x_of(w) + 2 * (i - len(series) / 2)  # side by side, so that ranges do not hide each other
            out.append(f'<line x1="{x:.1f}" y1="{y_of(min(seeds)):.1f}" x2="{x:.1f}" y2="{y_of(max(seeds)):.1f}" stroke="{colour}" opacity="0.6"/>')
            out.append(f'<circle cx="{x_of(w):.1f}" cy="{y_of(means[w]):.1f}" r="3.2" fill="{colour}"><title>{escape(name)}, {w:g}: {means[w]:.2f}</title></circle>')
        y = TOP + 8 + 18 * i
        out.append(f'<circle cx="{right + 16}" cy="{y}" r="4" fill="{colour}"/><text x="{right + 26}" y="{y + 4}">{escape(name)}</text>')
    out.append(f'<text x="{(LEFT + right) / 2:.0f}" y="{bottom + 34}" text-anchor="middle">guidance (logarithmic)</text>')
    out.append(f'<text x="16" y="{(TOP + bottom) / 2:.0f}" text-anchor="middle" transform="rotate(-90 16 {(TOP + bottom) / 2:.0f})">distance (logarithmic)</text>')
    with open(path, "w") as file:
        file.write("\n".join(out + ["</svg>"]) + "\n")
