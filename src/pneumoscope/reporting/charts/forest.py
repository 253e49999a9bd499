"""A figure of several sites with its random-effects mean and prediction interval."""

from __future__ import annotations

from matplotlib.figure import Figure

from pneumoscope.reporting.charts.figure import ACCENT, MARK, SOFT, add_interval, add_mark, new_figure, styled
from pneumoscope.reporting.formatting import name_figure
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.heterogeneity import PooledFigure


@styled
def draw_forest(pooled: PooledFigure) -> Figure:
    """Draw each site's figure with its interval, then the mean over sites, then what a new site may have.

    Args:
        pooled: A figure of two or more sites that can be pooled.
    """
    sites = {name: site for name, site in pooled.sites.items() if site.value is not None}
    names = [*sites, "mean", "a new site"]
    left = 16 + 7 * max(map(len, names))
    title = name_figure(pooled.figure)
    figure, [axes] = new_figure(f"{title} by source", (900, 26 * len(names) + 60), margins=(left, 30, 10, 50))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.05)
    for place, (name, site) in enumerate(sites.items()):
        estimate = Estimate(value=site.value, low=site.low, high=site.high)
        add_interval(axes, place, estimate, across=True, color=ACCENT, linewidth=2, alpha=1)
        if site.value is not None:
            # The area of a mark is the site's weight in the mean.
            size = 5 + 12 * (site.weight or 0.0) ** 0.5
            add_mark(axes, site.value, place, f"{name}: {estimate}", size=size, color=ACCENT, marker="s")
    if pooled.mean.value is not None:
        add_interval(axes, len(sites), pooled.mean, across=True, linewidth=2, alpha=1)
        add_mark(axes, pooled.mean.value, len(sites), f"mean: {pooled.mean}", color=MARK, marker="D")
        add_interval(axes, len(sites) + 1, pooled.prediction, across=True, linewidth=4, color=SOFT)
    axes.set_xlabel(f"{title}, 95% intervals (last line: prediction interval)")
    return figure
