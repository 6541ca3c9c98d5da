"""What a configuration means to the parts of an agent."""

from __future__ import annotations

from obsagent.collect.collector import Collector
from obsagent.collect.scrape_settings import ScrapeSettings
from obsagent.config import AgentConfig
from obsagent.head.budgets import Budgets


def budgets_of(config: AgentConfig) -> Budgets:
    """What it lets the store use."""
    return Budgets(
        config.series_per_metric,
        config.series_total,
        config.head_budget,
        disk_bytes=config.disk_budget,
        retention_ms=config.retention,
    ).within_disk()


def scales_of(config: AgentConfig) -> dict[str, int]:
    """Metric → the scale of its histograms, of those that have one of their own."""
    return {name: metric.scale for name, metric in config.metrics.items()}


def scraped_of(config: AgentConfig) -> dict[ScrapeSettings, Collector]:
    """A collector for each page of another server."""
    if not config.scrape:
        return {}
    from obsagent.collect.scrape import Scrape

    return {target: Scrape(target) for target in config.scrape}
