"""Prometheus and Grafana's dashboard: a real Prometheus scrapes a real worker with our rules, each panel's query finds data in it, and
the dashboard has the shape that Grafana publishes (grafana-foundation-sdk, made from its schemas)."""
import copy
import itertools
import json
import pathlib
import re
import tempfile
import unittest

import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from client import Client
from prometheus import RULES, Prometheus
from system import ROOT, System, wait_until

DASHBOARD = ROOT / "packaging" / "grafana" / "dashboards" / "warmpool.json"
OPTIONS = {"metrics.interval": 1, "pool.prewarm": "react:2", "pool.max_containers.full": 1, "pool.size.full": 1,
           "tenant.max_leases.acme": 5, "cache.max_entries": 2}


def differences(before, after, path=""):
    """What is in `before` and not, or otherwise, in `after`."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [each for name, value in before.items()
                for each in ([f"{path}/{name}"] if name not in after else differences(value, after[name], f"{path}/{name}"))]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [each for i, value in enumerate(before) for each in differences(value, after[i], f"{path}/{i}")]
    return [] if before == after else [path]


def unknown_to_grafana(dashboard):
    """Paths of the dashboard that are not what Grafana's types keep of it."""
    plugins.register_default_plugins()
    return differences(dashboard, json.loads(JSONEncoder().encode(Dashboard.from_json(copy.deepcopy(dashboard)))))


class Observe(unittest.TestCase):
    def test_each_query_of_the_dashboard_finds_data(self):
        dashboard = json.loads(DASHBOARD.read_text())
        queries = {f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "10s").replace("$philosophy", ".*")
                   for panel in dashboard["panels"] for target in panel.get("targets", [])}
        with tempfile.TemporaryDirectory(prefix="warmpool-prometheus-") as folder, System(options=OPTIONS) as system:
            client, worker = Client(system), system.workers[0]
            prometheus = Prometheus(folder, f"127.0.0.1:{worker.port()}")
            self.addCleanup(prometheus.close)
            wait_until(lambda: prometheus.query("warmpool_pool_size").get("data", {}).get("result"), prometheus.read_log)
            client.acquire("r-1")  # after the first scrape: counters grow
            client.acquire("r-2", philosophy="full")  # its pool is empty then: a warning
            answers, numbers = {}, itertools.count()

            def look_up():
                """Again and again: Prometheus sees no growth in what a series begins with, and a namespace begins with its first lookup."""
                number = next(numbers)
                client.send("cache", {"event_id": f"s-{number}", "op": "set", "namespace": "tool", "key": f"k-{number}", "value": b"v"})
                client.send("cache", {"event_id": f"g-{number}", "op": "get", "namespace": "tool", "key": f"k-{number}"})

            def missing():
                answers.update({name: prometheus.query(queries[name]) for name in queries
                                if not answers.get(name, {}).get("data", {}).get("result")})
                return {name: answers[name] for name in queries if not answers[name].get("data", {}).get("result")}
            wait_until(lambda: look_up() or not missing(), lambda: json.dumps({name: (queries[name], answers[name]) for name in missing()}, indent=1))

            def rules():
                found = [rule for group in prometheus.get("/api/v1/rules").get("data", {}).get("groups", []) for rule in group["rules"]]
                return found if found and all(rule["health"] != "unknown" for rule in found) else None
            found = wait_until(rules, prometheus.read_log)
            self.assertEqual([rule["name"] for rule in found], re.findall(r"- alert: (\w+)", RULES.read_text()))
            self.assertEqual([rule for rule in found if rule["health"] != "ok"], [])
            self.assertEqual([rule["name"] for rule in found if rule["state"] == "firing"], [], "of a system that works")

    def test_the_dashboard_has_grafanas_shape(self):
        dashboard = json.loads(DASHBOARD.read_text())
        self.assertEqual(unknown_to_grafana(dashboard), [])
        kinds = {panel["type"] for panel in dashboard["panels"]}
        self.assertEqual(kinds, {"row", "stat", "timeseries", "table"})
        # What is not of the schema is found.
        panel = next(panel for panel in dashboard["panels"] if panel["type"] == "timeseries")
        for where, wrong in ((panel, "unit"), (panel["fieldConfig"]["defaults"]["custom"], "lineWith"), (panel["targets"][0], "query_text"),
                             (panel["options"]["legend"], "position"), (dashboard["templating"]["list"][0], "querry")):
            where[wrong] = "x"
            self.assertEqual([path.rsplit("/", 1)[1] for path in unknown_to_grafana(dashboard)], [wrong])
            del where[wrong]

    def test_compose_gives_prometheus_and_grafana_what_they_look_for(self):
        services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
        observe = {name: service for name, service in services.items() if service.get("profiles") == ["observe"]}
        self.assertEqual(sorted(observe), ["grafana", "prometheus"])
        places = {}
        for service in observe.values():
            self.assertNotIn("latest", service["image"])
            self.assertTrue(all(port.startswith("127.0.0.1:") for port in service["ports"]), service["ports"])
            for source, target, *_ in (volume.split(":") for volume in service["volumes"]):
                if source.startswith("."):
                    places[target] = ROOT / source
        config = yaml.safe_load((places["/etc/prometheus"] / "prometheus.yml").read_text())
        self.assertIn("--config.file=/etc/prometheus/prometheus.yml", observe["prometheus"]["command"])
        self.assertTrue(all((places["/etc/prometheus"] / name).exists() for name in config["rule_files"]))
        (job,) = config["scrape_configs"]
        found = [name for each in job["dns_sd_configs"] for name in each["names"]]
        workers = [name for name, service in services.items() if "warmpool" in service["image"]]
        self.assertEqual(sorted(found), sorted(workers), "every service that runs a worker is scraped")
        self.assertEqual(job["job_name"], "warmpool", "as the rules expect")
        provisioning = places["/etc/grafana/provisioning"]
        (source,) = yaml.safe_load((provisioning / "datasources" / "warmpool.yaml").read_text())["datasources"]
        self.assertEqual((source["type"], source["url"]), ("prometheus", "http://prometheus:9090"))
        (provider,) = yaml.safe_load((provisioning / "dashboards" / "warmpool.yaml").read_text())["providers"]
        home = pathlib.PurePath(observe["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
        self.assertEqual(str(home.parent), provider["options"]["path"])
        self.assertEqual(places[provider["options"]["path"]] / home.name, DASHBOARD)


if __name__ == "__main__":
    unittest.main()
