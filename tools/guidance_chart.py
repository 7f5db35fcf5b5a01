"""Distance over guidance or cost, a line for each source or way with its seeds' range, as SVG. Needs nothing but Python."""
import statistics

from svg_chart import COLOURS, LEFT, TOP, Frame, escape


def draw(series, path, title, x_name="guidance"):
    """series: name -> {guidance: distances of the seeds}, or over what x_name says. A source of a single x is a line across."""
    strengths = sorted({w for points in series.values() for w in points})
    frame = Frame(strengths, [d for points in series.values() for seeds in points.values() for d in seeds], title, .02, .02)
    frame.lines(strengths if len(strengths) < 12 else None)
    for i, (name, points) in enumerate(series.items()):
        colour, means = COLOURS[i % len(COLOURS)], {w: statistics.fmean(seeds) for w, seeds in sorted(points.items())}
        places = [(frame.x_of(w), frame.y_of(d)) for w, d in means.items()]
        if len(places) == 1:
            places = [(LEFT, places[0][1]), (frame.right, places[0][1])]
        frame.out.append(f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        for w, seeds in points.items():
            x, y = frame.x_of(w), frame.y_of(means[w])
            beside = x + 2 * (i - len(series) / 2)  # so that ranges do not hide each other
            frame.out.append(f'<line x1="{beside:.1f}" y1="{frame.y_of(min(seeds)):.1f}" x2="{beside:.1f}" y2="{frame.y_of(max(seeds)):.1f}" '
                             f'stroke="{colour}" opacity="0.6"/>')
            frame.out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"><title>{escape(name)}, {w:g}: {means[w]:.2f}</title></circle>')
        y = TOP + 8 + 18 * i
        frame.out.append(f'<circle cx="{frame.right + 16}" cy="{y}" r="4" fill="{colour}"/><text x="{frame.right + 26}" y="{y + 4}">{escape(name)}</text>')
    frame.names(x_name, "distance")
    frame.write(path)
