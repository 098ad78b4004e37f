#!/usr/bin/env python3
"""The alert rules and the dashboard (packaging/): each alert fires when it should and stays quiet when it should (promtool test rules),
has a section in docs/alerts.md that says what to do, and names only figures that a worker has.

usage: alerts.py      exit 77 without promtool (Debian: prometheus)
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "packaging" / "prometheus" / "alerts.yml"
CONFIG = RULES.with_name("prometheus.yml")
DASHBOARD = ROOT / "packaging" / "grafana" / "dashboards" / "warmpool.json"
GUIDE = ROOT / "docs" / "alerts.md"
SKIPPED = 77

ON = 'instance="w:9464",job="warmpool"'


def react(name):
    return f'{name}{{{ON},philosophy="react"}}'


# alert: (series that make it fire, series that do not, when (minutes), its labels, its summary). A series is {name: values}, a value a
# minute, in promtool's notation (0+5x40: 0, 5, 10, ... 40 times).
CASES = {
    "WarmpoolAbsent": ({}, {f'warmpool_build_info{{{ON}}}': "1x40"}, 5, {"severity": "page"}, "No warmpool worker is seen by Prometheus"),
    "WarmpoolWorkerDown": (
        {f'up{{{ON}}}': "0x40"}, {f'up{{{ON}}}': "1 0 1 0 1 0 1x40"}, 5,
        {"severity": "ticket", "instance": "w:9464", "job": "warmpool"}, "Worker w:9464 does not answer"),
    "WarmpoolNotReady": (
        {f'warmpool_ready{{{ON},part="redis"}}': "1 0x40", f'warmpool_ready{{{ON},part="kafka"}}': "1x40"},
        {f'warmpool_ready{{{ON},part="redis"}}': "1 0 1x40"}, 5,
        {"severity": "page", "instance": "w:9464", "part": "redis"}, "Worker w:9464 is not ready: redis"),
    "WarmpoolRestarts": (
        {f'process_start_time_seconds{{{ON}}}': "1 2 3 4x40"}, {f'process_start_time_seconds{{{ON}}}': "1 2x40"}, 10,
        {"severity": "ticket", "instance": "w:9464", "job": "warmpool"}, "Worker w:9464 has started 3 times anew in 15 minutes"),
    "WarmpoolLag": (
        {f'warmpool_consumer_lag{{{ON},topic="cache"}}': "2000x40"}, {f'warmpool_consumer_lag{{{ON},topic="cache"}}': "90000-2000x40"}, 15,
        {"severity": "page", "topic": "cache"}, "2000 events of cache wait, and it gets no less"),
    "WarmpoolDeadLetters": (
        {f'warmpool_events_total{{{ON},topic="cache",outcome="dead_letter"}}': "0x9 9x40"},
        {f'warmpool_events_total{{{ON},topic="cache",outcome="dead_letter"}}': "9x40", f'warmpool_events_total{{{ON},topic="cache",outcome="ok"}}': "0+9x40"},
        12, {"severity": "ticket", "topic": "cache"}, "9 events of cache could not be handled"),
    "WarmpoolRequestsWait": (
        {react("warmpool_pool_oldest_waiting_seconds"): "0 20x40"}, {react("warmpool_pool_oldest_waiting_seconds"): "0 20 0 14x40"}, 5,
        {"severity": "page", "philosophy": "react"}, "A request for react has waited for 20s"),
    "WarmpoolRejecting": (
        {f'warmpool_rejected_total{{{ON}}}': "0+1x40", react("warmpool_pool_warm_starts_total"): "0+8x40", react("warmpool_pool_cold_starts_total"): "0+1x40"},
        {f'warmpool_rejected_total{{{ON}}}': "7x40", react("warmpool_pool_warm_starts_total"): "0+8x40", react("warmpool_pool_cold_starts_total"): "0+1x40"},
        30, {"severity": "page"}, "10% of the requests are rejected"),
    "WarmpoolLeasesLost": (
        {f'warmpool_lost_total{{{ON}}}': "0x9 9x40"}, {f'warmpool_lost_total{{{ON}}}': "9x40"}, 12, {"severity": "ticket"},
        "9 leases ended by death or expiry in ten minutes"),
    "WarmpoolColdStarts": (
        {react("warmpool_pool_warm_starts_total"): "0+1x60", react("warmpool_pool_cold_starts_total"): "0+1x60"},
        {react("warmpool_pool_warm_starts_total"): "0+0x60", react("warmpool_pool_cold_starts_total"): "0+1x60"},  # too few to judge
        40, {"severity": "ticket", "philosophy": "react"}, "Only 50% of the starts of react are warm"),
    "WarmpoolPoolEmpty": (
        {f'warmpool_warning{{{ON},code="pool_empty",subject="react"}}': "1x40"},
        {f'warmpool_warning{{{ON},code="pool_empty",subject="react"}}': "1 1 1 stale"}, 8,
        {"severity": "ticket", "subject": "react"}, "Pool react is in use and has had no idle container for five minutes"),
    "WarmpoolSlowAnswers": (
        {f'warmpool_acquire_to_assignment_seconds_bucket{{{ON},le="1"}}': "0x60", f'warmpool_acquire_to_assignment_seconds_bucket{{{ON},le="2.5"}}': "0+9x60",
         f'warmpool_acquire_to_assignment_seconds_bucket{{{ON},le="+Inf"}}': "0+9x60"},
        {f'warmpool_acquire_to_assignment_seconds_bucket{{{ON},le="1"}}': "0+9x60", f'warmpool_acquire_to_assignment_seconds_bucket{{{ON},le="+Inf"}}': "0+9x60"},
        30, {"severity": "ticket"}, "Half of the answers take longer than 1.75s"),
    "WarmpoolHostsFull": (
        {f'warmpool_host_used{{{ON},host="h"}}': "19x40", f'warmpool_host_capacity{{{ON},host="h"}}': "20x40"},
        {f'warmpool_host_used{{{ON},host="h"}}': "19x40", f'warmpool_host_capacity{{{ON},host="h"}}': "20x40",
         f'warmpool_host_used{{{ON},host="i"}}': "0x40", f'warmpool_host_capacity{{{ON},host="i"}}': "20x40"},
        15, {"severity": "ticket"}, "95% of the room of all hosts is used"),
    "WarmpoolContainersDie": (
        {f'warmpool_containers_ended_total{{{ON},reason="killed"}}': "0x9 9x40"}, {f'warmpool_containers_ended_total{{{ON},reason="exited"}}': "0x9 9x40"},
        12, {"severity": "ticket", "reason": "killed"}, "9 containers ended in ten minutes: killed"),
    "WarmpoolImageMissing": (
        {f'warmpool_images_missing{{{ON}}}': "2x40"}, {f'warmpool_images_missing{{{ON}}}': "2x5 0x40"}, 15,
        {"severity": "page", "instance": "w:9464", "job": "warmpool"}, "The host of worker w:9464 has not got 2 of its images"),
    "WarmpoolOldFigures": (
        {f'warmpool_shared_timestamp_seconds{{{ON}}}': "0x40"}, {f'warmpool_shared_timestamp_seconds{{{ON}}}': "0+60x40"}, 5,
        {"severity": "page"}, "No worker has read the shared state for 5m 0s"),
    "WarmpoolRedisErrors": (
        {f'warmpool_redis_errors_total{{{ON}}}': "0+9x40"}, {f'warmpool_redis_errors_total{{{ON}}}': "0 9x40"}, 20,
        {"severity": "ticket", "instance": "w:9464"}, "Calls of Redis fail again and again: w:9464"),
    "WarmpoolRedisSlow": (
        {f'warmpool_redis_call_seconds_bucket{{{ON},le="0.25"}}': "0x60", f'warmpool_redis_call_seconds_bucket{{{ON},le="0.5"}}': "0+9x60",
         f'warmpool_redis_call_seconds_bucket{{{ON},le="+Inf"}}': "0+9x60"},
        {f'warmpool_redis_call_seconds_bucket{{{ON},le="0.25"}}': "0+9x60", f'warmpool_redis_call_seconds_bucket{{{ON},le="+Inf"}}': "0+9x60"},
        30, {"severity": "ticket"}, "One call of Redis in a hundred takes longer than 497.5ms"),
    "WarmpoolStateRepaired": (
        {f'warmpool_repaired_total{{{ON}}}': "0x59 3x40"}, {f'warmpool_repaired_total{{{ON}}}': "3x90"}, 61, {"severity": "ticket"},
        "3 rows of the shared state contradicted others, and were put right"),
    "WarmpoolKafkaErrors": (
        {f'warmpool_kafka_produce_errors_total{{{ON}}}': "0+1x40"}, {f'warmpool_kafka_produce_errors_total{{{ON}}}': "0 5x40"}, 25,
        {"severity": "ticket", "instance": "w:9464"}, "Kafka does not confirm records of w:9464"),
    "WarmpoolCacheMisses": (
        {f'warmpool_cache_hits_total{{{ON},namespace="tool"}}': "0+2x90", f'warmpool_cache_misses_total{{{ON},namespace="tool"}}': "0+2x90"},
        {f'warmpool_cache_hits_total{{{ON},namespace="tool"}}': "0+9x90", f'warmpool_cache_misses_total{{{ON},namespace="tool"}}': "0+2x90"},
        80, {"severity": "ticket", "namespace": "tool"}, "Only 50% of the lookups in tool are hits"),
    "WarmpoolDiffers": (
        {f'warmpool_warning{{{ON},code="clocks_differ",subject="worker"}}': "1x40"},
        {f'warmpool_warning{{{ON},code="image_missing",subject="worker"}}': "1x40"}, 10,
        {"severity": "ticket", "code": "clocks_differ", "subject": "worker"}, "clocks_differ: worker"),
}


def promtool(*words):
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def case(alert, series, minutes, expected):
    return {"interval": "1m", "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [{"eval_time": f"{minutes}m", "alertname": alert, "exp_alerts": expected}]}


def figures():
    """The names of /metrics, from the table of the worker; a histogram has three."""
    text = (ROOT / "worker" / "ops" / "prometheus.c").read_text()
    names = set(re.findall(r'^    \{"([a-z_]+)", (?:COUNTER|GAUGE|HISTOGRAM)', text, re.M))
    return names | {name + end for name in names for end in ("_bucket", "_sum", "_count")} | {"up"}


def names_in(expression):
    return set(re.findall(r"\b(?:warmpool|process)_[a-z_]+", expression))


class Alerts(unittest.TestCase):
    alerts = re.findall(r"^ +- alert: (\w+)$", RULES.read_text(), re.M)

    def test_rules_and_configuration_are_valid(self):
        for words in (("check", "rules", str(RULES)), ("check", "config", str(CONFIG))):
            self.assertEqual(promtool(*words)[0], 0, promtool(*words)[1])

    def test_each_alert_fires_and_stays_quiet(self):
        self.assertEqual(sorted(CASES), sorted(self.alerts))
        tests = []
        for alert, (fires, quiet, minutes, labels, summary) in CASES.items():
            tests.append(case(alert, fires, minutes, [{"exp_labels": labels, "exp_annotations": {"summary": summary}}]))
            tests.append(case(alert, quiet, minutes, []))
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "alerts_test.yml"
            path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))  # JSON is YAML
            self.assertEqual(promtool("test", "rules", str(path))[0], 0, promtool("test", "rules", str(path))[1])

    def test_the_guide_has_a_section_for_each_alert(self):
        text = GUIDE.read_text()
        self.assertEqual(re.findall(r"^### (Warmpool\w+)$", text, re.M), self.alerts, "in the order of the rules")
        for name, section in zip(self.alerts, re.split(r"^### Warmpool\w+$", text, flags=re.M)[1:]):
            self.assertRegex(section, r"(?s)\*\*Means:\*\* .+\*\*Do:\*\* .+", name)

    def test_only_figures_that_a_worker_has_are_named(self):
        dashboard = json.loads(DASHBOARD.read_text())
        asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", []))
        asked += " ".join(line for line in RULES.read_text().splitlines() if "summary:" not in line and not line.lstrip().startswith("#"))
        self.assertEqual(names_in(asked) - figures(), set())

    def test_each_figure_is_in_the_reference(self):
        text = (ROOT / "docs" / "metrics.md").read_text()
        self.assertEqual({name for name in figures() - {"up"} if not re.search("_(bucket|sum|count)$", name) and f"`{name}`" not in text}, set())

    def test_panels_have_places_and_names_of_their_own(self):
        panels = json.loads(DASHBOARD.read_text())["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        self.assertEqual(len({panel["title"] for panel in panels}), len(panels))
        taken = set()
        for panel in panels:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            self.assertFalse(cells & taken or place["x"] + place["w"] > 24, panel["title"])
            taken |= cells


if __name__ == "__main__":
    if not shutil.which("promtool"):
        print("skipped: no promtool here (apt-get install --no-install-recommends prometheus)", file=sys.stderr)
        sys.exit(SKIPPED)
    unittest.main()
