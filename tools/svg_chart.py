"""The frame of a chart with two logarithmic axes, as SVG. Needs nothing but Python."""
import math

COLOURS = ["#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 885, 470, 64, 260, 48, 52
TICKS = [m * 10.0**e for e in range(-3, 5) for m in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8)]


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


class Frame:
    """Room for the values xs and ys. `out` are the lines of the file, below all that is drawn afterwards."""

    def __init__(self, xs, ys, title, x_margin, y_margin):
        xs, ys = [math.log10(x) for x in xs], [math.log10(y) for y in ys]
        self.x0, self.x1, self.y0, self.y1 = min(xs) - x_margin, max(xs) + x_margin, min(ys) - y_margin, max(ys) + y_margin
        self.bottom, self.right = HEIGHT - BOTTOM, WIDTH - RIGHT
        self.out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
                    'font-family="DejaVu Sans, Verdana, sans-serif" font-size="11">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
                    f'<text x="{LEFT}" y="20" font-size="13">{escape(title)}</text>']

    def x_of(self, x):
        return LEFT + (math.log10(x) - self.x0) / (self.x1 - self.x0) * (self.right - LEFT)

    def y_of(self, y):
        return TOP + (self.y1 - math.log10(y)) / (self.y1 - self.y0) * (self.bottom - TOP)

    def lines(self, x_ticks=None):
        for tick in x_ticks or ticks(10**self.x0, 10**self.x1, 9):
            x = self.x_of(tick)
            self.out.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{self.bottom}" stroke="#ddd"/>')
            self.out.append(f'<text x="{x:.1f}" y="{self.bottom + 16}" text-anchor="middle">{tick:g}</text>')
        for tick in ticks(10**self.y0, 10**self.y1, 9):
            y = self.y_of(tick)
            self.out.append(f'<line x1="{LEFT}" y1="{y:.1f}" x2="{self.right}" y2="{y:.1f}" stroke="#ddd"/>')
            self.out.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')

    def names(self, x_name, y_name):
        middle, centre = (LEFT + self.right) / 2, (TOP + self.bottom) / 2
        self.out.append(f'<text x="{middle:.0f}" y="{self.bottom + 34}" text-anchor="middle">{x_name} (logarithmic)</text>')
        self.out.append(f'<text x="16" y="{centre:.0f}" text-anchor="middle" transform="rotate(-90 16 {centre:.0f})">{y_name} (logarithmic)</text>')

    def write(self, path):
        with open(path, "w") as file:
            file.write("\n".join([*self.out, "</svg>"]) + "\n")


def ticks(low, high, most):
    found = [tick for tick in TICKS if low <= tick <= high]
    while len(found) > most:
        found = found[::2]
    return found if len(found) > 2 else even_ticks(low, high)


def even_ticks(low, high):
    """Of a short range: round numbers at the largest distance that gives three."""
    unit = 10.0 ** math.floor(math.log10(high - low))
    for step in (unit, unit / 2, unit / 5, unit / 10):
        found = [round(k * step, 12) for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
        if len(found) > 2:
            break
    return found
